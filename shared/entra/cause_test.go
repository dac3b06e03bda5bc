package entra

import (
	"testing"

	"rekey/shared/serviceerror"
)

// A code that has a cause of its own has a class, towards applications and towards people,
// whatever OAuth's error beside it says.
func TestCodesWithACause(t *testing.T) {
	for code, want := range map[int][2]serviceerror.Class{
		50076:   {serviceerror.CredentialInvalid, serviceerror.SignInExpired},
		50078:   {serviceerror.CredentialInvalid, serviceerror.SignInExpired},
		50079:   {serviceerror.CredentialInvalid, serviceerror.SignInExpired},
		53001:   {serviceerror.CredentialInvalid, serviceerror.CredentialInvalid},
		70043:   {serviceerror.CredentialInvalid, serviceerror.SignInExpired},
		53003:   {serviceerror.CredentialInvalid, serviceerror.CredentialInvalid},
		53000:   {serviceerror.CredentialInvalid, serviceerror.CredentialInvalid},
		50105:   {serviceerror.CredentialInvalid, serviceerror.CredentialInvalid},
		7000112: {serviceerror.CredentialInvalid, serviceerror.CredentialInvalid},
		50196:   {serviceerror.Throttled, ""},
	} {
		for _, name := range []string{"invalid_grant", "interaction_required", "unauthorized_client", "invalid_client"} {
			class, said := classify(400, name, []int{70000, code})
			if class != want[0] || (&serviceerror.Error{Code: said}).Cause() == "" {
				t.Errorf("%d with %s: %s, %s", code, name, class, said)
			}
		}
		if signInClasses[code] != want[1] {
			t.Errorf("%d of a person: %q", code, signInClasses[code])
		}
	}
}

// A registration whose redirect URI has another platform than Web is for the operator of Rekey to put right,
// whichever of its codes Entra answers: 9002327 is that for a request without the header Origin, as Rekey sends.
func TestRedirectURIOfAnotherPlatform(t *testing.T) {
	for _, code := range []int{700025, 9002325, 9002327} {
		if class := signInClasses[code]; class != serviceerror.Invalid {
			t.Errorf("%d: %q", code, class)
		}
	}
}
