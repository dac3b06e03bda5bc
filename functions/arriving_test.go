package functions

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// deadlines is the writer of a connection that notes its read deadlines.
type deadlines struct {
	*httptest.ResponseRecorder
	set []time.Time
}

func (d *deadlines) SetReadDeadline(at time.Time) error {
	d.set = append(d.set, at)
	return nil
}

// A body that has arrived leaves no deadline behind: it would end a request that takes
// long, and the next one on the connection. Without a body there is none, and a body that
// the handler does not read keeps it.
func TestDeadlineEndsWithTheBody(t *testing.T) {
	read := func(w http.ResponseWriter, r *http.Request) {
		if data, err := io.ReadAll(r.Body); err != nil || string(data) != "body" {
			t.Errorf("read %q, %v", data, err)
		}
	}
	for name, c := range map[string]struct {
		body    string
		handler http.HandlerFunc
		want    []bool // for each deadline that was set, whether it is one
	}{
		"read":   {"body", read, []bool{true, false}},
		"unread": {"body", func(http.ResponseWriter, *http.Request) {}, []bool{true}},
		"none":   {"", func(http.ResponseWriter, *http.Request) {}, nil},
	} {
		w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
		begun := time.Now()
		arriving(c.handler).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(c.body)))
		if len(w.set) != len(c.want) {
			t.Fatalf("%s: deadlines %v", name, w.set)
		}
		for i, at := range w.set {
			if left := at.Sub(begun); at.IsZero() == c.want[i] || !at.IsZero() && (left < arrival || left > 2*arrival) {
				t.Errorf("%s: deadline %d is %s", name, i, at)
			}
		}
	}
	// Where the connection takes no deadline the body is read as it is.
	arriving(http.HandlerFunc(read)).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", strings.NewReader("body")))
}
