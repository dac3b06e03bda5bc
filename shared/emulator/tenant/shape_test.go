package tenant_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/shared/inventory"
)

const day = 24 * time.Hour

// TestShapes: the first applications show what they are called after, as a scan finds it.
func TestShapes(t *testing.T) {
	w := newWorld(t, 6, 120)
	found := w.found()
	const secret, certificate, saml = inventory.ClientSecret, inventory.Certificate, inventory.SAMLSigning
	count := func(a inventory.Application, kind inventory.CredentialKind) (n int) {
		for _, c := range a.Credentials {
			if c.Kind == kind {
				n++
			}
		}
		return n
	}
	held := func(a inventory.Application, holder inventory.Holder) bool {
		return slices.ContainsFunc(a.Credentials, func(c inventory.Credential) bool { return c.Holder == holder })
	}
	for shape, shows := range map[string]func(a inventory.Application) bool{
		"nothing":             func(a inventory.Application) bool { return len(a.Credentials) == 0 && a.ObjectID != "" },
		"hundred-credentials": func(a inventory.Application) bool { return count(a, secret) == 100 },
		"ownerless-ending": func(a inventory.Application) bool {
			return len(a.Owners) == 0 && a.Credentials[0].EndsAt.Equal(now.Add(3*day))
		},
		"twenty-owners":    func(a inventory.Application) bool { return len(a.Owners) == 20 && a.MoreOwners },
		"many-owners":      func(a inventory.Application) bool { return len(a.Owners) > 20 && a.MoreOwners },
		"same-owner-twice": func(a inventory.Application) bool { return len(a.Owners) <= 2 && bothOwned(a) == 1 },
		"owns-itself":      func(a inventory.Application) bool { return a.Owners[0].ID == a.PrincipalID },
		"owned-by-application": func(a inventory.Application) bool {
			return len(a.Owners) == 1 && a.Owners[0].ID == found[w.truth.Shape("nothing")].PrincipalID
		},
		"never-ends": func(a inventory.Application) bool {
			return len(a.Credentials) == 2 && a.Credentials[0].EndsAt.IsZero() && a.Credentials[1].Hint == ""
		},
		"ends-in-2299":      func(a inventory.Application) bool { return a.Credentials[0].EndsAt.Year() == 2299 },
		"expired":           func(a inventory.Application) bool { return a.Credentials[1].EndsAt.Equal(now.Add(-day)) },
		"at-the-thresholds": func(a inventory.Application) bool { return count(a, secret) == 8 && a.Credentials[0].EndsAt.Equal(now) },
		"orphan": func(a inventory.Application) bool {
			return strings.HasPrefix(a.Credentials[1].Name, "rekey/test/") && len(a.Credentials[1].Name) == len("rekey/test/")+36+11
		},
		"personal-accounts": func(a inventory.Application) bool {
			return a.Audience == "PersonalMicrosoftAccount" && count(a, secret) == 2
		},
		"disabled":          func(a inventory.Application) bool { return a.Disabled },
		"without-principal": func(a inventory.Application) bool { return a.PrincipalID == "" && a.HomeTenantID == "" },
		"secret-of-principal": func(a inventory.Application) bool {
			return held(a, inventory.Principal) && !held(a, inventory.Registration)
		},
		"saml": func(a inventory.Application) bool {
			return count(a, saml) == 2 && len(a.Credentials) == 2 && a.ObjectID != ""
		},
		"saml-of-gallery":   func(a inventory.Application) bool { return count(a, saml) == 1 && a.ObjectID == "" },
		"secret-of-gallery": func(a inventory.Application) bool { return count(a, secret) == 1 && a.ObjectID == "" && a.Disabled },
		"nameless":          func(a inventory.Application) bool { return a.Name == "" && a.HomeTenantID != w.tenantID },
		"federated": func(a inventory.Application) bool {
			cut := func(f inventory.Federated) bool { return len([]rune(f.Subject)) == 256 }
			return len(a.Federated) == 20 && slices.ContainsFunc(a.Federated, cut)
		},
		"unused": func(a inventory.Application) bool {
			return a.Credentials[0].UsedAt.IsZero() && !a.Credentials[1].UsedAt.IsZero()
		},
		"certificates": func(a inventory.Application) bool { return count(a, certificate) == 3 },
		"name-0":       func(a inventory.Application) bool { return strings.HasPrefix(a.Name, "=HYPERLINK(") },
	} {
		a, ok := found[w.truth.Shape(shape)]
		if !ok || !shows(a) {
			t.Errorf("%s: %+v", shape, a)
		}
	}
	if w.truth.Shape("name-1000") != "" || newWorld(t, 6, 3).truth.Shape("orphan") != "" {
		t.Error("there is a shape that is not there")
	}
}

func bothOwned(a inventory.Application) (n int) {
	for _, o := range a.Owners {
		if o.OfRegistration && o.OfPrincipal {
			n++
		}
	}
	return n
}

// BenchmarkLists reads all lists of a tenant of 10,000 applications.
func BenchmarkLists(b *testing.B) {
	w := newWorld(b, 1, 10_000)
	pages := 0
	for b.Loop() {
		pages = 0
		for _, path := range lists {
			pages += w.read(path, func([]byte) {})
		}
	}
	b.ReportMetric(float64(pages), "pages")
}
