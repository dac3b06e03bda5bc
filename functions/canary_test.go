package functions_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"rekey/shared/emulator/stack"
)

// watch keeps every secret that comes into being and everything that comes out, so
// that the one can be searched for in the other. It is an io.Writer for logs and the
// output of processes.
type watch struct {
	mu      sync.Mutex
	secrets map[string]bool
	printed bytes.Buffer
	seen    []sighting
}

// sighting is something that came out.
type sighting struct{ where, text string }

// Issued takes a secret in: a client secret, an access token or an API key.
func (w *watch) Issued(value string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.secrets == nil {
		w.secrets = map[string]bool{}
	}
	w.secrets[value] = true
}

// all returns the secrets, sorted.
func (w *watch) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(maps.Keys(w.secrets))
}

func (w *watch) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.printed.Write(p)
}

func (w *watch) saw(where, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, sighting{where, text})
}

// log returns what was printed so far.
func (w *watch) log() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.printed.String()
}

// stored takes in what the services keep, except for the values of the vault, which
// is where they belong.
func (w *watch) stored(s *stack.Stack) {
	for _, row := range s.Table.Rows("") {
		w.saw("row "+row.RowKey, fmt.Sprint(row.PartitionKey, row.Properties))
	}
	for _, name := range s.Vault.Names() {
		for _, v := range s.Vault.Versions(name) {
			w.saw("tags of "+name, fmt.Sprint(v.ContentType, v.Tags))
		}
	}
}

// leaks says where secrets have come out, without showing them. Of each it searches
// for the middle and for the end, since part of a secret is bad enough; not for its
// first three characters, which Graph shows to everybody as the hint.
func (w *watch) leaks() (found []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := append([]sighting{{"log", w.printed.String()}}, w.seen...)
	for secret := range w.secrets {
		encoded := base64.StdEncoding.EncodeToString([]byte(secret))
		for _, s := range seen {
			for _, part := range []string{secret[3:19], secret[len(secret)-16:], encoded[:24]} {
				if i := strings.Index(s.text, part); i >= 0 {
					found = append(found, fmt.Sprintf("a secret of %d characters in the %s, after %q", len(secret), s.where, s.text[max(0, i-60):i]))
					break
				}
			}
		}
	}
	return found
}

func (w *watch) check(t *testing.T) {
	t.Helper()
	for _, leak := range w.leaks() {
		t.Error("leaked: " + leak)
	}
}

// The search finds what it is to find: in a log, in an answer and in a row, whole or
// in part.
func TestLeaksAreFound(t *testing.T) {
	const secret = "abc8Q~0123456789012345678901234567890123"
	quoted, err := json.Marshal(object{"message": "the secret " + secret + " is wrong"})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"whole": string(quoted), "beginning": secret[:20] + "...", "end": "..." + secret[20:],
		"encoded": "Basic " + base64.StdEncoding.EncodeToString([]byte(secret)),
	} {
		w := &watch{}
		w.Issued(secret)
		w.saw("answer", "nothing but the hint "+secret[:3])
		if found := w.leaks(); len(found) != 0 {
			t.Errorf("%s: found %q where there is nothing", name, found)
		}
		fmt.Fprintf(w, "level=INFO %s\n", text)
		w.saw("answer", text)
		if found := w.leaks(); len(found) != 2 || strings.Contains(strings.Join(found, ""), secret) {
			t.Errorf("%s: found %q, want it in log and answer", name, found)
		}
	}
}
