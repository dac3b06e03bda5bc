package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"rekey/shared/rotation"
	"rekey/shared/secret"
)

const canary = "q7X~canary-value"

// holder has a Secret wherever Go lets one be kept.
type holder struct {
	Public  secret.Value
	private secret.Value
	Pointer *secret.Value
	List    []secret.Value
	Map     map[string]secret.Value
	Key     map[secret.Value]bool
	Any     any
	inner   struct{ deep secret.Value }
}

func holding(s secret.Value) holder {
	h := holder{Public: s, private: s, Pointer: &s, List: []secret.Value{s}, Map: map[string]secret.Value{"k": s},
		Key: map[secret.Value]bool{s: true}, Any: s}
	h.inner.deep = s
	return h
}

// leaks reports whether text has the value, plain, quoted or in hex, or enough of it
// to be of use.
func leaks(text string) bool {
	text = strings.ToLower(text)
	for _, form := range []string{canary, canary[4:], fmt.Sprintf("%x", canary), fmt.Sprintf("% x", canary), fmt.Sprint([]byte(canary))} {
		if strings.Contains(text, strings.ToLower(form)) {
			return true
		}
	}
	return false
}

func TestSecretIsNeverPrinted(t *testing.T) {
	s := secret.New(canary)
	h := holding(s)
	values := map[string]any{
		"a secret": s, "a pointer": &s, "a struct": h, "a pointer to a struct": &h, "a list": h.List, "a map": h.Map, "a map's key": h.Key,
		"a nested struct": struct{ H holder }{h}, "an error": fmt.Errorf("refused: %v", s), "a version": rotation.VaultSecret{Value: s},
		"a token": rotation.Token{Value: s},
	}
	for name, v := range values {
		for _, flags := range []string{"", "+", "#", " ", "-20", "020", ".3", "+#"} {
			for verb := 'A'; verb <= 'z'; verb++ {
				if got := fmt.Sprintf("%"+flags+string(verb), v); leaks(got) {
					t.Errorf("%%%s%c of %s prints %s", flags, verb, name, got)
				}
			}
		}
		if got := fmt.Sprint(v) + fmt.Sprintln(v); leaks(got) {
			t.Errorf("Print of %s prints %s", name, got)
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		if got := fmt.Sprintf(verb, s); got != secret.Redacted {
			t.Errorf("%s prints %s, want %s", verb, got, secret.Redacted)
		}
	}
}

func TestSecretIsNeverLogged(t *testing.T) {
	s := secret.New(canary)
	h := holding(s)
	var out bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		log := slog.New(handler)
		log.With("with", s).WithGroup("g").Info("all of them", "secret", s, "pointer", &s, "struct", h, "list", h.List, "map", h.Map,
			slog.Group("group", "secret", s))
	}
	if leaks(out.String()) {
		t.Errorf("logged: %s", out.String())
	}
	if n := strings.Count(out.String(), secret.Redacted); n < 10 {
		t.Errorf("the log shows %d redactions, so it does not show that there were secrets: %s", n, out.String())
	}
}

func TestSecretIsNeverEncoded(t *testing.T) {
	s := secret.New(canary)
	h := holding(s)
	h.Key = nil // tested below
	for name, v := range map[string]any{"a secret": s, "a pointer": &s, "a struct": h, "a map": h.Map,
		"a map's key": map[secret.Value]int{s: 1}} {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if leaks(string(b)) || !strings.Contains(string(b), secret.Redacted) {
			t.Errorf("%s encodes as %s", name, b)
		}
	}
}

func TestSecretDecodes(t *testing.T) {
	var body struct{ ClientSecret secret.Value }
	if err := json.Unmarshal([]byte(`{"clientSecret":"a\u007eb"}`), &body); err != nil {
		t.Fatal(err)
	}
	if got := body.ClientSecret.Reveal(); got != "a~b" {
		t.Errorf("decoded %q", got)
	}
	if err := json.Unmarshal([]byte(`{"clientSecret":null}`), &body); err != nil || !body.ClientSecret.IsZero() {
		t.Errorf("null leaves %q, %v", body.ClientSecret.Reveal(), err)
	}
	for _, bad := range []string{`{"clientSecret":4711}`, `{"clientSecret":["` + canary + `"]}`, `{"clientSecret":{"a":"` + canary + `"}}`} {
		err := json.Unmarshal([]byte(bad), &body)
		if err == nil {
			t.Errorf("%s is accepted", bad)
		} else if leaks(err.Error()) || strings.Contains(err.Error(), "4711") {
			t.Errorf("the error quotes the value: %v", err)
		}
	}
}

func TestSecretsCompareByValue(t *testing.T) {
	a, b := secret.New(canary), secret.New(strings.Clone(canary))
	if a != b || a == secret.New("other") {
		t.Error("secrets of one value are equal, others are not")
	}
	var zero secret.Value
	if !zero.IsZero() || zero.Reveal() != "" || secret.New("") != zero || a.IsZero() || a.Reveal() != canary {
		t.Error("the zero secret is empty, and no other is")
	}
}

// A value that is asked for its text by hand does not give itself away, either.
func TestTextOfAValueIsRedacted(t *testing.T) {
	v := secret.New("canary-of-this-test")
	for name, text := range map[string]string{"String": v.String(), "GoString": v.GoString()} {
		if text != secret.Redacted {
			t.Errorf("%s gives %q", name, text)
		}
	}
}
