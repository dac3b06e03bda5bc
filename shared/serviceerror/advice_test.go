package serviceerror_test

import (
	"errors"
	"strings"
	"testing"

	"rekey/shared/serviceerror"
)

// What is wrong in Key Vault is told with where it is and the command that puts it right;
// where that is not known, by the class.
func TestAdviceAboutTheVault(t *testing.T) {
	at := serviceerror.Place{Vault: "name", Name: "billing", Version: "v1"}
	for name, tt := range map[string]struct {
		err  serviceerror.Error
		says []string
	}{
		"soft-deleted": {serviceerror.Error{Class: serviceerror.VaultMissing, Detail: serviceerror.DetailSoftDeleted, Place: at},
			[]string{`"billing"`, "version v1", "az keyvault secret recover --vault-name name --name billing."}},
		"purged": {serviceerror.Error{Class: serviceerror.VaultMissing, Place: at},
			[]string{"version v1", "purged", "REKEY_KEY_VAULT_URL", "az keyvault secret list-versions --vault-name name --name billing."}},
		"disabled": {serviceerror.Error{Class: serviceerror.VaultDisabled, Place: at},
			[]string{"az keyvault secret set-attributes --vault-name name --name billing --version v1 --enabled true."}},
		"the latest is disabled": {
			serviceerror.Error{Class: serviceerror.VaultDisabled, Place: serviceerror.Place{Vault: "name", Name: "billing"}},
			[]string{"the latest version", "--name billing --enabled true."},
		},
		"its name is blocked": {serviceerror.Error{Class: serviceerror.VaultConflict, Detail: serviceerror.DetailSoftDeleted, Place: at},
			[]string{"its name is blocked", "az keyvault secret recover"}},
		"another's": {serviceerror.Error{Class: serviceerror.VaultConflict, Place: at}, []string{serviceerror.VaultConflict.Advice()}},
		"no place":  {serviceerror.Error{Class: serviceerror.VaultMissing}, []string{serviceerror.VaultMissing.Advice()}},
		"a role":    {serviceerror.Error{Class: serviceerror.VaultRefused, Place: at}, []string{"Secrets Officer"}},
		"own identity": {serviceerror.Error{Class: serviceerror.VaultRefused, Code: "AADSTS7000215"},
			[]string{"Rekey's own identity", "AZURE_CLIENT_ID"}},
		"own identity, disabled": {serviceerror.Error{Class: serviceerror.VaultRefused, Code: "AADSTS7000112"},
			[]string{"Rekey's own identity", "disabled in this tenant"}},
		"what an actor lacks": {*serviceerror.ActorFailure("signing in", &serviceerror.Error{Class: serviceerror.VaultDisabled, Place: at}),
			[]string{`The Key Vault secret "billing"`, "keeps the connection that authenticates", "Once it is put right"}},
		"what an actor may not read": {*serviceerror.ActorFailure("signing in", &serviceerror.Error{Class: serviceerror.VaultRefused, Place: at}),
			[]string{"Key Vault refuses Rekey. Give Rekey's identity"}},
		"an actor that Entra refuses": {*serviceerror.ActorFailure("signing in", &serviceerror.Error{Class: serviceerror.SignInExpired}),
			[]string{serviceerror.ActorRefused.Advice(), "Why: The sign-in has ended"}},
	} {
		got := tt.err.Advice()
		for _, words := range tt.says {
			if !strings.Contains(got, words) {
				t.Errorf("%s does not say %q: %s", name, words, got)
			}
		}
		if strings.HasPrefix(name, "what an actor") && strings.Contains(got, "takes new credentials") {
			t.Errorf("%s leads to new credentials: %s", name, got)
		}
		if strings.Contains(tt.err.Error(), "billing") {
			t.Errorf("%s: the error prints the secret's name: %s", name, tt.err.Error())
		}
	}
}

// What is not in the vault is not found; what is disabled there is. Neither can be read.
func TestUnreadable(t *testing.T) {
	missing, disabled := &serviceerror.Error{Class: serviceerror.VaultMissing}, &serviceerror.Error{Class: serviceerror.VaultDisabled}
	if !errors.Is(missing, serviceerror.ErrNotFound) || errors.Is(disabled, serviceerror.ErrNotFound) || serviceerror.IsDisabled(missing) ||
		!serviceerror.IsDisabled(disabled) {
		t.Error("missing and disabled are not told apart")
	}
	for err, want := range map[error]bool{
		missing: true, disabled: true, serviceerror.ErrNotFound: true, nil: false,
		&serviceerror.Error{Class: serviceerror.VaultRefused}: false, errors.New("reset"): false,
	} {
		if serviceerror.Unreadable(err) != want {
			t.Errorf("%v: %t", err, !want)
		}
	}
}
