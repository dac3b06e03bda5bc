package graph

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"rekey/shared/rotation"
)

// nowhere is a pipeline that nothing may reach.
type nowhere struct{ t *testing.T }

func (n nowhere) Next(*http.Request, int) (*http.Response, error) {
	n.t.Error("the request was sent")
	return nil, errors.New("unreachable")
}

// TestNoTokenNoRequest is about the second line of defence: what the SDK would send
// without a token, for whatever reason, stays here.
func TestNoTokenNoRequest(t *testing.T) {
	for _, header := range []string{"", "Bearer", "Basic eA=="} {
		c := &call{op: "testing", write: true}
		r, err := http.NewRequestWithContext(c.into(t.Context()), http.MethodPost, "https://graph.microsoft.com/v1.0/applications", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", header)
		_, err = (&gate{time.Now}).Intercept(nowhere{t}, 0, r)
		if err := c.failure(err); rotation.ClassOf(err) != rotation.Invalid || rotation.UnknownOutcome(err) {
			t.Errorf("header %q: got %v, want a refusal with a known outcome", header, err)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 22, 18, 21, 52, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"":                              0,
		"30":                            30 * time.Second,
		"0":                             0,
		"-1":                            0,
		"1e9":                           0,
		"99999999999":                   0,
		"soon":                          0,
		"Sun, 22 Nov 2026 18:22:52 GMT": time.Minute,
		"Sun, 22 Nov 2026 18:20:52 GMT": 0,
		"Tue, 22 Nov 2050 18:20:52 GMT": 24 * time.Hour,
	} {
		if got := retryAfter(http.Header{"Retry-After": {value}}, now); got != want {
			t.Errorf("%q: got %v, want %v", value, got, want)
		}
	}
}
