package graph

import (
	"net/http"
	"testing"

	"rekey/shared/serviceerror"
)

// Either sign of a collision is enough: Graph's code without the words that usually
// come with it, and the words under another code. Where neither is there, a 409 is no
// collision, and would be refused again.
func TestEitherSignOfACollision(t *testing.T) {
	const words = "Due to Concurrent requests being made to the tenant, try again."
	for _, tt := range []struct {
		name, code, message string
		status              int
		want                serviceerror.Class
	}{
		{"code alone", "Directory_ConcurrencyViolation", "Try again.", http.StatusConflict, serviceerror.Concurrency},
		{"code alone, as 400", "Directory_ConcurrencyViolation", "", http.StatusBadRequest, serviceerror.Concurrency},
		{"words alone, as 409", "Request_Conflict", words, http.StatusConflict, serviceerror.Concurrency},
		{"words alone, as 400", "Request_BadRequest", words, http.StatusBadRequest, serviceerror.Concurrency},
		{"neither", "Request_Conflict", "Try again.", http.StatusConflict, serviceerror.Invalid},
		{"words of a refusal", "Authorization_RequestDenied", words, http.StatusForbidden, serviceerror.Permission},
	} {
		if got := classify(tt.status, tt.code, tt.message); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}
