package functionshost

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// function is one folder with a function.json: either HTTP or a timer.
type function struct {
	name   string
	config json.RawMessage // function.json as it is
	http   *httpTrigger
	timer  *timerTrigger
}

type httpTrigger struct {
	route   route
	methods []string // upper case; empty: all
}

type timerTrigger struct {
	binding      string // the name in Data
	schedule     Schedule
	runOnStartup bool
	monitored    bool // whether the host keeps a ScheduleStatus
}

// functionFile is function.json.
type functionFile struct {
	Disabled bool
	Retry    json.RawMessage
	Bindings []binding
}

type binding struct {
	Type, Direction, Name string
	AuthLevel             string
	Route                 *string
	Methods               []string
	Schedule              string
	RunOnStartup          bool
	UseMonitor            *bool
}

var (
	functionName = regexp.MustCompile(`^(?i)[a-z][a-z0-9_-]{0,127}$`)
	bindingName  = regexp.MustCompile(`^([a-zA-Z][a-zA-Z0-9]{0,127}|\$return)$`)
)

// scriptExtensions make the real host take a file beside function.json for the
// function's script, and guess the app's language from it.
var scriptExtensions = []string{".js", ".mjs", ".cjs", ".ts", ".py", ".ps1", ".cs", ".csx", ".fsx", ".dll", ".jar"}

// readFunctions finds the functions in root's immediate sub-folders, in the
// order in which their routes are tried: by name, ignoring case.
func readFunctions(root string, s settings) ([]*function, error) {
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil, fmt.Errorf("looking for functions: %w", err)
	}
	var functions []*function
	var errs []error
	for _, entry := range entries {
		folder := filepath.Join(root, entry.Name())
		data, err := os.ReadFile(filepath.Join(folder, "function.json"))
		if !entry.IsDir() || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			var f *function
			if f, err = readFunction(folder, data, s); f != nil {
				functions = append(functions, f)
			}
		}
		errs = append(errs, wrap("function "+entry.Name(), err))
	}
	slices.SortFunc(functions, func(a, b *function) int {
		return cmp.Compare(strings.ToUpper(a.name), strings.ToUpper(b.name))
	})
	errs = append(errs, checkTogether(functions))
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if len(functions) == 0 {
		return nil, fmt.Errorf("there is no function in %s: a function.json counts only one level below host.json (make stage puts it there)",
			root)
	}
	return functions, nil
}

// readFunction returns nil without an error for a disabled function.
func readFunction(folder string, data []byte, s settings) (*function, error) {
	name := filepath.Base(folder)
	if !functionName.MatchString(name) || strings.EqualFold(name, "host") {
		return nil, errors.New("the folder's name must be a letter followed by letters, digits, - and _, and not host")
	}
	var file functionFile
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("decoding function.json: %w", err)
	}
	disabled, _ := s.environment.lookup("AzureWebJobs." + name + ".Disabled")
	if file.Disabled || strings.EqualFold(disabled, "true") || disabled == "1" {
		return nil, nil
	}
	if len(file.Retry) > 0 && string(file.Retry) != "null" {
		return nil, errors.New("retry: the local host does not support it")
	}
	if err := checkFolder(folder); err != nil {
		return nil, err
	}
	trigger, err := file.trigger()
	if err != nil {
		return nil, err
	}
	f := &function{name: name, config: data}
	switch strings.ToLower(trigger.Type) {
	case "httptrigger":
		f.http, err = readHTTP(name, file.Bindings, trigger, s)
	case "timertrigger":
		f.timer, err = readTimer(file.Bindings, trigger, s)
	default:
		err = fmt.Errorf("the local host knows httpTrigger and timerTrigger, not %q", trigger.Type)
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// trigger checks the bindings and returns the only trigger among them.
func (f *functionFile) trigger() (*binding, error) {
	var trigger *binding
	for i := range f.Bindings {
		b := &f.Bindings[i]
		if !bindingName.MatchString(b.Name) {
			return nil, fmt.Errorf("%q is no name for a binding", b.Name)
		}
		if !strings.HasSuffix(strings.ToLower(b.Type), "trigger") {
			continue
		}
		if trigger != nil {
			return nil, errors.New("there is more than one trigger")
		}
		trigger = b
		if b.Direction != "in" {
			return nil, errors.New(`the trigger's direction must be "in"`)
		}
	}
	if trigger == nil {
		return nil, errors.New("there is no trigger among the bindings")
	}
	return trigger, nil
}

// checkFolder refuses what the real host would take for a script.
func checkFolder(folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("reading the folder: %w", err)
	}
	for _, entry := range entries {
		if slices.Contains(scriptExtensions, strings.ToLower(filepath.Ext(entry.Name()))) {
			return fmt.Errorf("the host would take %s for the function's script: keep only function.json in the folder", entry.Name())
		}
	}
	return nil
}

func readHTTP(name string, bindings []binding, trigger *binding, s settings) (*httpTrigger, error) {
	if len(bindings) != 2 || !slices.ContainsFunc(bindings, func(b binding) bool { return b.Type == "http" && b.Direction == "out" }) {
		return nil, errors.New("requests are passed through only if the bindings are one httpTrigger and one http output")
	}
	if trigger.AuthLevel != "anonymous" {
		return nil, fmt.Errorf(`authLevel is %q (the default is "function"); the local host keeps no keys and supports "anonymous" only`,
			trigger.AuthLevel)
	}
	text := name
	if trigger.Route != nil && *trigger.Route != "" {
		text = *trigger.Route
	}
	r, err := parseRoute(s.routePrefix, text)
	if err != nil {
		return nil, err
	}
	h := &httpTrigger{route: r}
	for _, m := range trigger.Methods {
		h.methods = append(h.methods, strings.ToUpper(m))
	}
	return h, nil
}

func readTimer(bindings []binding, trigger *binding, s settings) (*timerTrigger, error) {
	if len(bindings) != 1 {
		return nil, errors.New("the local host supports no bindings beside a timerTrigger")
	}
	text, err := s.environment.expand(trigger.Schedule)
	if err != nil {
		return nil, fmt.Errorf("schedule: %w", err)
	}
	schedule, err := ParseSchedule(text)
	if err != nil {
		return nil, err
	}
	return &timerTrigger{
		binding:      trigger.Name,
		schedule:     schedule,
		runOnStartup: trigger.RunOnStartup,
		monitored:    (trigger.UseMonitor == nil || *trigger.UseMonitor) && !schedule.subMinute(),
	}, nil
}

// checkTogether refuses functions that get in each other's way. They are in the
// order in which their routes are tried.
func checkTogether(functions []*function) error {
	var errs []error
	for i, a := range functions {
		for _, b := range functions[i+1:] {
			switch {
			case strings.EqualFold(a.name, b.name):
				errs = append(errs, fmt.Errorf("functions %s and %s differ in upper and lower case only", a.name, b.name))
			case a.http == nil || b.http == nil || !overlap(a.http.methods, b.http.methods):
			case strings.EqualFold(a.http.route.text, b.http.route.text):
				errs = append(errs, fmt.Errorf("functions %s and %s have the same route %q", a.name, b.name, b.http.route.text))
			case a.http.route.shadows(b.http.route):
				errs = append(errs, fmt.Errorf("route %q of function %s is never reached: routes are tried in the order of the functions' names, "+
					"and %q of %s takes everything", b.http.route.text, b.name, a.http.route.text, a.name))
			}
		}
	}
	return errors.Join(errs...)
}

func overlap(a, b []string) bool {
	return len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, func(m string) bool { return slices.Contains(b, m) })
}

// serves reports whether h answers method at path.
func (h *httpTrigger) serves(method, path string) bool {
	return (len(h.methods) == 0 || slices.Contains(h.methods, method)) && h.route.match(path)
}
