package inventory_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode"

	"rekey/shared/inventory"
)

// adviceOn returns the advice of the only finding of that kind.
func adviceOn(t *testing.T, k inventory.FindingKind, a *inventory.Application, facts inventory.Facts) string {
	t.Helper()
	for _, f := range inventory.Findings(now, a, facts, nil) {
		if f.Kind == k {
			return f.Advice
		}
	}
	t.Errorf("there is no finding %s", k)
	return ""
}

func TestAdvice(t *testing.T) {
	cert, saml, sp := kind(inventory.Certificate), kind(inventory.SAMLSigning), held(inventory.Principal)
	elsewhere := func(a *inventory.Application) { a.ObjectID = "" }
	adopt := fmt.Sprintf("POST .../inventory/%s/%s/adopt.", tenant, key.ClientID)
	admin := inventory.Manager{ConnectionID: id(71), Name: "admin", KeyIDs: []string{id(10)}}
	target := inventory.Manager{ConnectionID: id(71), TargetID: id(72), Name: "invoices", Rotates: true, KeyIDs: []string{id(10)}}
	removing := rotation(id(10), id(11), id(12), id(13))
	removing.Removing, removing.ByHand = map[string]time.Time{id(10): now.Add(day), id(11): {}}, []string{id(12)}
	for _, row := range []struct {
		name   string
		kind   inventory.FindingKind
		app    *inventory.Application
		facts  inventory.Facts
		says   []string
		silent []string // what it does not say
	}{
		{"a client secret that ends can be adopted, or replaced by hand", inventory.EndsIn7Days, app(with(secret(10, 7*day, named("ci")))),
			all(),
			[]string{`The client secret "ci" ends on 2026-03-17 at 12:00 UTC.`, "Let Rekey rotate it: " + adopt,
				"az ad app credential reset --id " + id(1) + " --append", "az ad app credential delete --id " + id(1) + " --key-id " + id(10) +
					"."}, nil},
		{"what is registered elsewhere cannot be adopted", inventory.EndsIn30Days, app(elsewhere, with(secret(10, 20*day, sp))), all(),
			[]string{"of the service principal ends", "az ad sp credential reset --id " + id(1) + " --append", "az ad sp credential delete"},
			[]string{"adopt"}},
		{"a rotation has the application already", inventory.EndsIn30Days, app(with(secret(11, 20*day))), all(rotation(id(10))),
			[]string{`Connection "billing" (` + id(70) + `) rotates another client secret`, "read that from Key Vault"}, []string{"adopt"}},
		{"a connection signs in with it", inventory.EndsIn90Days, app(with(secret(10, 80*day))), all(admin),
			[]string{`connection "admin" (` + id(71) + `)`, "PATCH .../azure-client-secrets/" + id(71)}, []string{"adopt"}},
		{"a certificate", inventory.EndsIn7Days, app(with(secret(10, 6*day, cert))), all(),
			[]string{"The certificate ends", "--cert @<certificate.pem> --append", "--key-id " + id(10) + " --cert."}, []string{"adopt"}},
		{"a SAML signing certificate", inventory.EndsIn7Days, app(with(secret(10, 6*day, saml, sp))), all(),
			[]string{"The SAML signing certificate", "Single sign-on"}, []string{"az ad", "adopt"}},
		{"one that has ended, beside another one", inventory.Expired, app(with(secret(10, -day), secret(11, 100*day))), all(),
			[]string{"ended on 2026-03-09.", "remove it: az ad app credential delete"}, []string{"no other"}},
		{"the last one has ended", inventory.Expired, app(with(secret(10, -day))), all(),
			[]string{"no other that is good", "az ad app credential reset", "remove it: az ad app credential delete"}, nil},
		{"the last one that could be read has ended", inventory.Expired, app(with(secret(10, -day)), func(a *inventory.Application) {
			a.Unread = []inventory.List{inventory.Principals}
		}), all(), []string{"remove it: az ad app credential delete"}, []string{"no other"}},
		{"the last one that is kept has ended", inventory.Expired, app(with(secret(10, -day)), func(a *inventory.Application) {
			a.MoreCredentials = 1
		}), all(), []string{"remove it: az ad app credential delete"}, []string{"no other"}},
		{"the last one for SAML has ended", inventory.Expired, app(with(secret(10, -day, saml, sp))), all(),
			[]string{"no other that is good", "Single sign-on", "az ad sp credential delete"}, []string{"reset"}},
		{"without an end", inventory.NeverEnds, app(with(secret(10, 0, endless))), all(), []string{"never ends", adopt}, nil},
		{"too long", inventory.TooLong, app(with(secret(10, 400*day))), allowing(all(), 90*day), []string{"should live for 90 days at most",
			adopt}, nil},
		{"an orphan", inventory.Orphan, app(with(secret(10, 100*day, named("rekey/prod/c/r")))), all(),
			[]string{`"rekey/prod/c/r"`, "kept on purpose", "make sure that nothing uses it", "az ad app credential delete"}, nil},
		{"never used", inventory.Unused, app(with(secret(10, 20*day, since(100*day)))), all(),
			[]string{"was never used", "az ad app credential delete"}, []string{"other tenants"}},
		{"used long ago, where other tenants may use it", inventory.Unused,
			app(with(secret(10, 20*day, since(150*day), used(100*day))),
				func(a *inventory.Application) { a.Audience = "AzureADMultipleOrgs" }), all(),
			[]string{"was last used to sign in on 2025-11-30.", "other tenants or personal accounts"}, nil},
		{"unused, and rotated", inventory.Unused, app(with(secret(10, 20*day, since(100*day)))), all(rotation(id(10))),
			[]string{`delete connection "billing" (` + id(70) + ") with revoke"}, []string{"az ad"}},
		{"unused, and removed by a rotation after its grace period", inventory.Unused, app(with(secret(10, 20*day, since(100*day)))),
			all(removing), []string{"Rekey removes it by itself on 2026-03-11 at 12:00 UTC", "if it can't, that needs attention"}, []string{"az ad", "revoke", "nothing to do"}},
		{"unused, and removed by a rotation at any time", inventory.Unused, app(with(secret(11, 20*day, since(100*day)))),
			all(removing), []string{"Rekey removes it by itself as soon as it may, for"}, []string{"az ad", "revoke"}},
		{"unused, and left to a person by a rotation", inventory.Unused, app(with(secret(12, 20*day, since(100*day)))),
			all(removing), []string{"az ad app credential delete"}, []string{"revoke"}},
		{"ended, and removed by a rotation", inventory.Expired, app(with(secret(10, -day), secret(13, 20*day))),
			all(removing), []string{"Rekey removes it by itself"}, []string{"az ad", "revoke"}},
		{"ends, and removed by a connection that is being deleted", inventory.EndsIn7Days, app(with(secret(10, day))),
			all(inventory.Manager{ConnectionID: id(71), Name: "admin", KeyIDs: []string{id(10)}, Removing: removing.Removing}),
			[]string{"Rekey removes it by itself"}, []string{"az ad", "PATCH"}},
		{"no owner", inventory.Ownerless, app(ownerless), all(), []string{"az ad app owner add --id " + id(1)}, nil},
		{"no owner of what is registered elsewhere", inventory.Ownerless, app(ownerless, elsewhere), all(), []string{"Enterprise applications"},
			[]string{"az ad"}},
		{"no owner, and it ends", inventory.OwnerlessEnding, app(ownerless, with(secret(10, day))), all(), []string{"within 30 days",
			"owner add"}, nil},
		{"disabled", inventory.DisabledFinding, app(with(secret(10, 100*day)), func(a *inventory.Application) { a.Disabled = true }), all(),
			[]string{"az ad app delete --id " + id(1)}, nil},
		{"disabled, and registered elsewhere", inventory.DisabledFinding,
			app(elsewhere, with(secret(10, 100*day, saml)), func(a *inventory.Application) { a.Disabled = true }), all(),
			[]string{"az ad sp delete --id " + id(1)}, nil},
		{"several", inventory.SeveralSecrets, app(with(secret(10, 100*day), secret(11, 100*day))), all(), []string{"--key-id <key id>",
			adopt}, nil},
		{"several, of which one is rotated", inventory.SeveralSecrets, app(with(secret(10, 100*day), secret(11, 100*day))),
			all(rotation(id(10))),
			[]string{"--key-id <key id>", `Leave those of connection "billing"`}, []string{"adopt"}},
		{"federated, and rotated", inventory.FederatedAlready, app(with(secret(10, 100*day)), func(a *inventory.Application) {
			a.Federated = []inventory.Federated{{Name: "github"}}
		}), all(rotation(id(10))), []string{"deleting it with revoke removes what it publishes"}, nil},
		{"federated", inventory.FederatedAlready, app(with(secret(10, 100*day)), func(a *inventory.Application) {
			a.Federated = []inventory.Federated{{Name: "github"}}
		}), all(), []string{`"github"`, "credential delete"}, nil},
		{"room for one", inventory.RoomForOne, app(with(secret(10, 100*day)),
			func(a *inventory.Application) { a.Audience = "PersonalMicrosoftAccount" }),
			all(), []string{"leave that free"}, []string{"az ad"}},
		{"no room", inventory.RoomForOne, app(with(secret(10, 100*day), secret(11, -day)), func(a *inventory.Application) {
			a.Audience = "PersonalMicrosoftAccount"
		}), all(), []string{"It has both", "credential delete"}, nil},
		{"not read", inventory.Incomplete, app(func(a *inventory.Application) {
			a.Unread = []inventory.List{inventory.FederatedIDs, inventory.Principals, inventory.Activity}
		}), all(), []string{"(federated, service-principals)", "Application.Read.All"}, nil},
		{"too many", inventory.Incomplete, app(func(a *inventory.Application) { a.MoreCredentials = 7 }), all(),
			[]string{"7 more credentials"}, nil},
		{"managed", inventory.Managed, app(), all(target),
			[]string{`Target "invoices" (` + id(72) + `) of connection ` + id(71) + ` rotates its client secret.`}, nil},
	} {
		got := adviceOn(t, row.kind, row.app, row.facts)
		for _, words := range row.says {
			if !strings.Contains(got, words) {
				t.Errorf("%s does not say %q: %s", row.name, words, got)
			}
		}
		for _, words := range row.silent {
			if strings.Contains(got, words) {
				t.Errorf("%s says %q: %s", row.name, words, got)
			}
		}
	}
}

func TestQuote(t *testing.T) {
	for name, want := range map[string]string{
		"":                       `""`,
		"billing":                `"billing"`,
		"Büro 発票 حساب 🚀":         `"Büro 発票 حساب 🚀"`,
		`say "hi" \`:             `"say \"hi\" \\"`,
		"two\nlines\r\t":         `"two\nlines\r\t"`,
		"\u202eturned\u200b":     `"\u202eturned\u200b"`,
		"\x00\x7f\u0085\u2028":   `"\x00\x7f\u0085\u2028"`,
		"\xff":                   `"�"`,
		strings.Repeat("é", 60):  `"` + strings.Repeat("é", 60) + `"`,
		strings.Repeat("é", 61):  `"` + strings.Repeat("é", 60) + `…"`,
		strings.Repeat("\n", 40): `"` + strings.Repeat(`\n`, 30) + `…"`,
	} {
		if got := inventory.Quote(name); got != want {
			t.Errorf("%q: got %s, want %s", name, got, want)
		}
	}
}

// Whatever names and ids a directory has: what is said about them is one line, prints, and has a
// length that people read; and no command has anything but a GUID from there.
func TestAdviceOnHostileNames(t *testing.T) {
	alphabet := []rune("a \n\r\t\x00\x1b\x7f\u0085\u061c\u200b\u202e\u2028\u2066\ufeff\"'`$(){};|&\\/<>🚀é発ح\U000e0001")
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 4))
		text := func() string {
			s := make([]rune, r.IntN(80))
			for i := range s {
				s[i] = alphabet[r.IntN(len(alphabet))]
			}
			return string(s)
		}
		hostile := func(c *inventory.Credential) { c.KeyID, c.Name = "$(reboot)"+text(), text() }
		a := app(func(a *inventory.Application) {
			a.ClientID, a.TenantID, a.Name = "$(reboot)"+text(), text(), text()
			a.Audience, a.MoreCredentials = "PersonalMicrosoftAccount", r.IntN(2)
			a.Federated = []inventory.Federated{{Name: text(), Issuer: text()}}
			a.Disabled = r.IntN(2) == 0
			for n := range 4 {
				kinds := []inventory.CredentialKind{inventory.ClientSecret, inventory.Certificate, inventory.SAMLSigning}
				a.Credentials = append(a.Credentials, secret(n, time.Duration(r.IntN(400)-40)*day, since(300*day), kind(kinds[r.IntN(3)]), hostile))
			}
			if r.IntN(2) == 0 {
				a.Owners, a.ObjectID = nil, ""
			}
		})
		manager := inventory.Manager{
			ConnectionID: text(), TargetID: text(), Name: text(), Rotates: r.IntN(2) == 0, KeyIDs: []string{a.Credentials[r.IntN(4)].KeyID},
		}
		c := inventory.Compare(time.Time{}, now, nil)
		c.Add(nil, a, all(manager), nil)
		said := []string{inventory.Words(c.Result(), true)}
		for _, f := range inventory.Findings(now, a, all(manager), nil) {
			said = append(said, f.Advice)
		}
		for _, s := range said {
			if i := strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 || len(s) > 1500 {
				t.Fatalf("seed %d: %d bytes: %q", seed, len(s), s)
			}
			if strings.Contains(s, "$(reboot)") {
				t.Fatalf("seed %d: an id that is none: %s", seed, s)
			}
		}
	}
}

func TestEndsAt(t *testing.T) {
	for _, row := range []struct {
		name string
		app  *inventory.Application
		want time.Time
	}{
		{"nothing ends", app(), time.Time{}},
		{"what never ends does not", app(with(secret(10, 0, endless))), time.Time{}},
		{"the first end after now", app(with(secret(10, -day), secret(11, 9*day), secret(12, 5*day), secret(13, 0, endless))), now.Add(5 * day)},
		{"what ends now has ended", app(with(secret(10, 0), secret(11, 5*day))), now.Add(5 * day)},
		{"if all have, the last end", app(with(secret(10, -3*day), secret(11, -day), secret(12, -2*day))), now.Add(-day)},
		{"even beside one that never ends", app(with(secret(10, -3*day), secret(11, 0, endless))), now.Add(-3 * day)},
	} {
		if got := row.app.EndsAt(now); !got.Equal(row.want) {
			t.Errorf("%s: got %s, want %s", row.name, got, row.want)
		}
	}
}
