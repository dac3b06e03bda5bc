package stack

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Watch keeps every secret that comes into being and everything that comes out, so that the one can be searched for in
// the other (promise P4). It is an io.Writer for logs and the output of programs. The zero value is ready.
type Watch struct {
	mu      sync.Mutex
	secrets map[string]bool
	printed bytes.Buffer
	seen    []sighting
}

// sighting is something that came out.
type sighting struct{ where, text string }

// Issued takes a secret in: a client secret, an access token or an API key.
func (w *Watch) Issued(value string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.secrets == nil {
		w.secrets = map[string]bool{}
	}
	w.secrets[value] = true
}

// Secrets returns what was issued, sorted.
func (w *Watch) Secrets() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(maps.Keys(w.secrets))
}

// Write takes what programs print.
func (w *Watch) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.printed.Write(p)
}

// Log returns what was printed so far.
func (w *Watch) Log() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.printed.String()
}

// Saw takes in what came out elsewhere, such as an answer.
func (w *Watch) Saw(where, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, sighting{where, text})
}

// Stored takes in what the services keep, except for the values of the vault, which is where they belong.
func (w *Watch) Stored(s *Stack) {
	for _, row := range s.Table.Rows("") {
		w.Saw("row "+row.RowKey, fmt.Sprint(row.PartitionKey, row.Properties))
	}
	for _, name := range s.Vault.Names() {
		for _, v := range s.Vault.Versions(name) {
			w.Saw("tags of "+name, fmt.Sprint(v.ContentType, v.Tags))
		}
	}
}

// Leaks says where secrets have come out, without showing them. Of each it searches for the middle and for the end,
// since part of a secret is bad enough; not for its first three characters, which Graph shows as the hint.
func (w *Watch) Leaks() (found []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := append([]sighting{{"log", w.printed.String()}}, w.seen...)
	for value := range w.secrets {
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
