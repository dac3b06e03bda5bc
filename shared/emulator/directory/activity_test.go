package directory_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/shared/emulator/directory"
)

// TestSignInActivity: what was used is reported, page by page; a sign-in is a use.
func TestSignInActivity(t *testing.T) {
	w := newWorld(t, directory.Config{})
	used := began.AddDate(0, 6, 0)
	var keys []directory.Secret
	for n := range 7 {
		id := fmt.Sprintf("00000000-0000-4000-8000-0000000001%02d", n)
		keys = append(keys, directory.Secret{KeyID: id, StartsAt: began, EndsAt: ends, UsedAt: used})
	}
	// In the order of ids the service principal comes before the application, in the report after.
	app := w.register(directory.Registration{ObjectID: "ffffffff" + home[8:], PrincipalID: home, Credentials: &directory.Credentials{
		Secrets: append(keys, directory.Secret{StartsAt: began}),
		Keys:    []directory.Key{{KeyID: keyTwo, StartsAt: began, UsedAt: used}},
	}, PrincipalCredentials: directory.Credentials{Secrets: []directory.Secret{{KeyID: keyOne, UsedAt: used}}}})
	token := w.reader(directory.RoleAuditLogReadAll)
	for top, pages := range map[int]int{1: 10, 3: 4, 200: 1} {
		all, n := w.pages(token, w.beta(token, fmt.Sprint("/reports/appCredentialSignInActivities?$top=", top)), nil)
		if len(all) != 10 || n != pages { // seven, the certificate, the principal's, and the reader's own
			t.Errorf("$top=%d: %d uses on %d pages, want 10 on %d", top, len(all), n, pages)
		}
	}
	all, _ := w.pages(token, w.beta(token, scanActivity), nil)
	i := slices.IndexFunc(all, func(u map[string]any) bool { return u["keyId"] == keys[0].KeyID })
	wantJSON(t, "use", all[i], fmt.Sprintf(`{
		"id": "MDAwMDAwMDAtMDAwMC00MDAwLTgwMDAtMDAwMDAwMDAwMTAwfGFwcGxpY2F0aW9u",
		"keyId": %q, "keyType": "clientSecret", "keyUsage": "verify", "credentialOrigin": "application",
		"appId": %q, "appObjectId": %q, "servicePrincipalObjectId": %q, "resourceId": null,
		"expirationDateTime": "2027-01-02T03:04:05.0000000Z",
		"signInActivity": {"lastSignInDateTime": "2025-07-02T03:04:05.6789000Z", "lastSignInRequestId": null}
	}`, keys[0].KeyID, app.ClientID, app.ObjectID, app.ServicePrincipalID))
	i = slices.IndexFunc(all, func(u map[string]any) bool { return u["keyId"] == keyOne })
	if u := all[i]; u["credentialOrigin"] != "servicePrincipal" || u["appObjectId"] != app.ObjectID {
		t.Errorf("use of the service principal's: %v", u)
	}

	w.pass(time.Minute)
	w.token(w.app)
	all, _ = w.pages(token, w.beta(token, scanActivity), nil)
	i = slices.IndexFunc(all, func(u map[string]any) bool { return u["keyId"] == w.app.KeyID })
	if i < 0 {
		t.Fatalf("the sign-in just now is not reported: %v", all)
	}
	at, _ := all[i]["signInActivity"].(map[string]any)["lastSignInDateTime"].(string)
	if !strings.HasPrefix(at, w.now().Format("2006-01-02T15:04:05")) {
		t.Errorf("the last sign-in was at %s", at)
	}
}
