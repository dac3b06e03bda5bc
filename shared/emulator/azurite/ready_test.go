package azurite

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
)

// Another program that has taken the port in between is not taken for Azurite.
func TestReady(t *testing.T) {
	for server, want := range map[string]error{"Azurite-Table/3.35.0": nil, "": errEnded, "nginx": errEnded} {
		other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Server", server) }))
		s := &Service{exited: make(chan struct{})}
		close(s.exited)
		if err := s.ready(t.Context(), other.URL); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", server, err, want)
		}
		other.Close()
	}
}
