package health_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"rekey/functions/health"
)

func TestHealth(t *testing.T) {
	h := health.Handler("1.2.3")
	for method, want := range map[string]int{
		http.MethodGet: http.StatusOK, http.MethodHead: http.StatusOK, http.MethodPost: http.StatusMethodNotAllowed,
		http.MethodDelete: http.StatusMethodNotAllowed,
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, health.Path, nil))
		if w.Code != want {
			t.Errorf("%s: status %d, want %d", method, w.Code, want)
		}
		if method == http.MethodGet &&
			(w.Body.String() != `{"status":"ok","version":"1.2.3"}`+"\n" || w.Header().Get("Content-Type") != "application/json" ||
				w.Header().Get("Cache-Control") != "no-store") {
			t.Errorf("%s %v", w.Body, w.Header())
		}
		if want == http.StatusMethodNotAllowed && w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("Allow %q", w.Header().Get("Allow"))
		}
	}
}
