// The program makes calls with the client that oapi-codegen has generated beside it. It
// reads them from its input and writes what the client made of the answers.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"reflect"
	"strings"
)

// call is one operation. A path parameter in braces is an id that an earlier answer had.
type call struct {
	Operation string          `json:"operation"` // as the generator spells it
	Path      []string        `json:"path"`
	Params    json.RawMessage `json:"params"` // of query and header
	Body      json.RawMessage `json:"body"`
	Take      string          `json:"take"` // the id's name, and the member of the answer that has it
}

type result struct {
	Operation string `json:"operation"`
	Status    int    `json:"status"`
	Answer    any    `json:"answer"` // as the client's types have it
	Error     string `json:"error"`  // of the client itself
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	client, err := NewClientWithResponses(os.Getenv("REKEY_URL"), WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+os.Getenv("REKEY_API_KEY"))
		return nil
	}))
	if err != nil {
		return err
	}
	var calls []call
	if err := json.NewDecoder(os.Stdin).Decode(&calls); err != nil {
		return err
	}
	ids := map[string]string{}
	var results []result
	for _, c := range calls {
		for i, p := range c.Path {
			if id, ok := ids[p]; ok {
				c.Path[i] = id
			}
		}
		r, err := c.do(client)
		if err != nil {
			r = result{Operation: c.Operation, Error: err.Error()}
		}
		results = append(results, r)
		if name, member, ok := strings.Cut(c.Take, "="); ok {
			data, err := json.Marshal(r.Answer)
			if err != nil {
				return err
			}
			var answer map[string]struct{ ID string }
			if err := json.Unmarshal(data, &answer); err != nil {
				return fmt.Errorf("%s: %w", c.Operation, err)
			}
			ids[name] = answer[member].ID
		}
	}
	return json.NewEncoder(os.Stdout).Encode(results)
}

// do calls the method of the operation: a context, path parameters, the others as a
// struct if there are any, the body if there is one, and editors.
func (c call) do(client *ClientWithResponses) (result, error) {
	method := reflect.ValueOf(client).MethodByName(c.Operation + "WithResponse")
	if !method.IsValid() {
		return result{}, fmt.Errorf("the client has no such method")
	}
	args := []reflect.Value{reflect.ValueOf(context.Background())}
	for i := 1; i < method.Type().NumIn()-1; i++ {
		t := method.Type().In(i)
		arg := reflect.New(t)
		var err error
		switch {
		case t.Kind() == reflect.String:
			arg.Elem().SetString(c.Path[i-1])
		case t.Kind() == reflect.Pointer:
			err = strictly(c.Params, arg.Interface())
		default:
			err = strictly(c.Body, arg.Interface())
		}
		if err != nil {
			return result{}, err
		}
		args = append(args, arg.Elem())
	}
	out := method.Call(args)
	if err, _ := out[1].Interface().(error); err != nil {
		return result{}, err
	}
	got := out[0].Elem()
	r := result{Operation: c.Operation, Status: got.FieldByName("HTTPResponse").Interface().(*http.Response).StatusCode}
	for i := range got.NumField() {
		if strings.HasPrefix(got.Type().Field(i).Name, "JSON") && !got.Field(i).IsNil() {
			r.Answer = got.Field(i).Interface()
		}
	}
	return r, nil
}

// strictly decodes what the generated type must have a place for.
func strictly(data json.RawMessage, into any) error {
	if len(data) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(into)
}
