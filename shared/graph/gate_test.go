package graph

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"rekey/shared/serviceerror"
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
		if err := c.failure(err); serviceerror.ClassOf(err) != serviceerror.Invalid || serviceerror.UnknownOutcome(err) {
			t.Errorf("header %q: got %v, want a refusal with a known outcome", header, err)
		}
	}
}
