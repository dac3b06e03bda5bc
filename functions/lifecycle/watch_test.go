package lifecycle_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"testing"

	"rekey/shared/emulator/stack"
)

// watch keeps every secret that comes into being and everything that comes out, so that the
// one can be searched for in the other.
type watch struct {
	mu      sync.Mutex
	values  map[string]bool
	printed bytes.Buffer
	seen    []sighting
}

type sighting struct{ where, text string }

func (w *watch) issued(value string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.values == nil {
		w.values = map[string]bool{}
	}
	w.values[value] = true
}

// Write takes what programs print.
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

func (w *watch) log() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.printed.String()
}

// stored takes in what the services keep, except for the vault's values.
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

// leaks says where secrets have come out, whole or in part, without showing them. The first
// three characters are the hint, which Graph shows.
func (w *watch) leaks() (found []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := append([]sighting{{"log", w.printed.String()}}, w.seen...)
	for value := range w.values {
		encoded := base64.StdEncoding.EncodeToString([]byte(value))
		for _, s := range seen {
			for _, part := range []string{value[3:19], value[len(value)-16:], encoded[:24]} {
				if i := strings.Index(s.text, part); i >= 0 {
					found = append(found, fmt.Sprintf("a secret of %d characters in the %s, after %q", len(value), s.where, s.text[max(0, i-60):i]))
					break
				}
			}
		}
	}
	return found
}

// The search finds a value, whole or in part, in a log and in an answer, and the hint is none.
func TestLeaksAreFound(t *testing.T) {
	const value = "abc8Q~0123456789012345678901234567890123"
	for _, text := range []string{value, value[:20] + "...", "..." + value[20:]} {
		w := &watch{}
		w.issued(value)
		w.saw("answer", "the hint "+value[:3])
		if found := w.leaks(); len(found) != 0 {
			t.Errorf("found %q where there is nothing", found)
		}
		fmt.Fprintf(w, "level=INFO %s\n", text)
		w.saw("answer", text)
		if found := w.leaks(); len(found) != 2 || strings.Contains(strings.Join(found, ""), value) {
			t.Errorf("found %q, want it in log and answer", found)
		}
	}
}
