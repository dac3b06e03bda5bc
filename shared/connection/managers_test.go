package connection_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
	"rekey/shared/inventory"
	"rekey/shared/inventory/catalog"
	"rekey/shared/inventory/scan"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/serviceerror"
)

var (
	_ catalog.Managers = (*connection.Managers)(nil)
	_ scan.Managers    = (*connection.Managers)(nil)
)

func managers(s *subject) *connection.Managers {
	return &connection.Managers{Records: s.w.StorePort(), Deployment: rotationtest.Deployment}
}

func keyOf(app rotation.Application) inventory.Key {
	return inventory.Key{TenantID: strings.ToLower(app.TenantID), ClientID: strings.ToLower(app.ClientID)}
}

// asListed is what a directory's list says of an application's client secrets.
func (s *subject) asListed(app rotation.Application) inventory.Application {
	listed := inventory.Application{Key: keyOf(app)}
	for _, c := range s.w.Secrets(app.ClientID) {
		if !c.RemovedAt.IsZero() {
			continue
		}
		listed.Credentials = append(listed.Credentials, inventory.Credential{KeyID: c.KeyID, Name: c.Name, Kind: inventory.ClientSecret})
	}
	return listed
}

// both returns what All and Of say about an application, which has to be the same.
func (s *subject) both(t *testing.T, app rotation.Application) []inventory.Manager {
	t.Helper()
	all, known, err := managers(s).All(t.Context(), strings.ToUpper(app.TenantID))
	if err != nil || !known {
		t.Errorf("All: %v, %v", known, err)
	}
	of, known, err := managers(s).Of(t.Context(), []inventory.Application{s.asListed(app)})
	if err != nil || !known {
		t.Errorf("Of: %v, %v", known, err)
	}
	same := func(a, b inventory.Manager) bool {
		return a.ConnectionID == b.ConnectionID && a.TargetID == b.TargetID && a.Rotates == b.Rotates &&
			slices.Equal(a.KeyIDs, b.KeyIDs) && slices.Equal(a.Markers, b.Markers)
	}
	key := keyOf(app)
	if !slices.EqualFunc(all[key.ClientID], of[key], same) {
		t.Errorf("All says %+v, Of says %+v", all[key.ClientID], of[key])
	}
	return all[key.ClientID]
}

// Each client secret that bears a marker is known to a manager of its application while its
// connection exists, at whatever moment one looks: none ever looks like an orphan.
func TestManagersKnowWhatRekeyIssues(t *testing.T) {
	for name, prepare := range map[string]func(*testing.T, *subject){"a connection": settled, "a target": withTarget} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				prepare(t, s)
				s.request(t, rotation.Request{Kind: rotation.AskEmergency, ID: "now"})
				seen, looks := map[string]bool{}, 0
				look := func() {
					looks++
					list := s.both(t, s.app)
					for _, c := range s.asListed(s.app).Credentials {
						if _, ours := rotation.ParseMarker(c.Name, rotationtest.Deployment); !ours {
							continue
						}
						seen[c.KeyID] = true
						if !slices.ContainsFunc(list, func(m inventory.Manager) bool {
							return m.Rotates && (slices.Contains(m.KeyIDs, c.KeyID) || slices.Contains(m.Markers, c.Name))
						}) {
							t.Errorf("look %d: no manager of %+v knows %s (%s)", looks, list, c.KeyID, c.Name)
						}
					}
				}
				for _, op := range []string{"vault.put", "store.commit", "graph.remove"} {
					var again func()
					again = func() { look(); s.w.Before(op, again) }
					s.w.Before(op, again)
				}
				timer(t, service(s.w), 20*time.Minute)()
				if len(seen) < 2 || looks < 10 {
					t.Errorf("%d looks have seen %d client secrets of ours", looks, len(seen))
				}
				for _, m := range s.both(t, s.app) {
					connection, target := s.id, ""
					if s.parent != "" {
						connection, target = s.parent, s.id
					}
					if m.ConnectionID != connection || m.TargetID != target {
						t.Errorf("the manager is %+v", m)
					}
				}
			})
		})
	}
}

// A connection that signs in with a certificate has to do with its application, and rotates
// nothing of it. Only All finds that out: such a connection has no claim.
func TestManagersThatOnlySignIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		withTarget(t, s)
		all, known, err := managers(s).All(t.Context(), s.acting.TenantID)
		if err != nil || !known {
			t.Fatal(known, err)
		}
		list := all[keyOf(s.acting).ClientID]
		if len(list) != 1 || list[0].ConnectionID != s.parent || list[0].TargetID != "" || list[0].Rotates || list[0].Name != "billing" {
			t.Errorf("the application that signs in has the managers %+v", list)
		}
		if other, _, _ := managers(s).All(t.Context(), "00000000-0000-4000-8000-000000000000"); len(other) > 0 {
			t.Errorf("another tenant has the managers %v", other)
		}
	})
}

// What a connection has left to a person stays known after the connection has gone over to another
// application, where it claims nothing any more.
func TestManagersKnowWhatWasLeftToAPerson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		was := s.published(t)
		next, _, _ := s.w.AddApplication()
		rec, err := s.w.StorePort().Load(t.Context(), s.id)
		if err != nil {
			t.Fatal(err)
		}
		rec.ByHand = append(rec.ByHand, rotation.ByHand{Target: s.app, KeyID: was.KeyID, Since: time.Now(), Reason: "a test"})
		end := time.Now().Add(time.Hour)
		rec.Removals = append(rec.Removals, rotation.Removal{Kind: rotation.RemoveReplaced, Target: s.app, KeyID: "OLD", After: end})
		for _, c := range rec.Claimed {
			if err := s.w.StorePort().Unclaim(t.Context(), rec.ClaimRow(c)); err != nil {
				t.Fatal(err)
			}
		}
		rec.Target, rec.Actor, rec.Current, rec.Claimed = next, next, nil, nil
		rec.Version++
		if _, err := s.w.StorePort().Commit(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
		list := s.both(t, s.app)
		if len(list) != 1 || list[0].Rotates || !slices.Contains(list[0].KeyIDs, was.KeyID) {
			t.Fatalf("the application that was left has the managers %+v, want one that knows %s", list, was.KeyID)
		}
		if _, removes := list[0].Removing[was.KeyID]; removes || !list[0].Removing["old"].Equal(end) ||
			!slices.Contains(list[0].ByHand, was.KeyID) {
			t.Errorf("it removes %v, and leaves %v to a person", list[0].Removing, list[0].ByHand)
		}
	})
}

// What the first rotation is to take the place of is removed by itself, unless a deletion was asked for by then.
func TestManagersOfWhatIsToBeRetired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		for _, request := range []*rotation.Request{nil, {Kind: rotation.AskDelete, At: time.Now()}} {
			rec, err := s.w.StorePort().Load(t.Context(), s.id)
			if err != nil {
				t.Fatal(err)
			}
			rec.Retire, rec.Request = []string{"NAMED"}, request
			rec.Version++
			if _, err := s.w.StorePort().Commit(t.Context(), rec); err != nil {
				t.Fatal(err)
			}
			list := s.both(t, s.app)
			if _, removes := list[0].Removing["named"]; removes != (request == nil) {
				t.Errorf("asked for %+v, it removes %v", request, list[0].Removing)
			}
		}
	})
}

// A record that can't be read might know any client secret.
func TestManagersThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		listed := s.asListed(s.app)
		s.writtenByANewer(t, s.id)
		all, known, err := managers(s).All(t.Context(), s.app.TenantID)
		if err != nil || known || len(all) != 0 {
			t.Errorf("All: %v, %v, %v", all, known, err)
		}
		if of, known, err := managers(s).Of(t.Context(), []inventory.Application{listed}); err != nil || known || len(of) != 0 {
			t.Errorf("Of: %v, %v, %v", of, known, err)
		}
		damaged := managers(s)
		damaged.Records = damagedRecords{damaged.Records}
		if of, known, err := damaged.Of(t.Context(), []inventory.Application{listed}); err != nil || known || len(of) != 0 {
			t.Errorf("Of, of a damaged row: %v, %v, %v", of, known, err)
		}
		s.w.Refuse("store.list", &serviceerror.Error{Class: serviceerror.Transient})
		if _, known, err := managers(s).All(t.Context(), s.app.TenantID); err == nil || known {
			t.Errorf("All while the table does not answer: %v, %v", known, err)
		}
	})
}

// damagedRecords has rows that are not what they should be.
type damagedRecords struct{ connection.ManagerRecords }

func (damagedRecords) Load(context.Context, string) (rec rotation.Record, err error) {
	return rec, errors.New("decoding a record: the row is not a JSON object")
}

// A scan of one tenant never signs in to another, whatever becomes of its connection.
func TestTokenInATenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		withParent(t, s)
		tenantID, err := service(s.w).TenantOf(t.Context(), s.parent)
		if err != nil || tenantID != strings.ToLower(s.acting.TenantID) {
			t.Fatalf("the connection is of tenant %q (%v)", tenantID, err)
		}
		if _, err := actors(s.w).TokenIn(t.Context(), s.parent, strings.ToUpper(tenantID)); err != nil {
			t.Errorf("its own tenant: %v", err)
		}
		for name, id := range map[string]string{"another tenant": s.parent, "no connection": "none"} {
			s.w.Calls()
			_, err := actors(s.w).TokenIn(t.Context(), id, "00000000-0000-4000-8000-000000000000")
			if e, ok := errors.AsType[*serviceerror.Error](err); !ok || e.Class != serviceerror.ActorRefused || e.Detail == "" {
				t.Errorf("%s: %v", name, err)
			}
			if s.w.Calls()["graph.certificate"] != 0 {
				t.Errorf("%s: it was signed in", name)
			}
		}
		if err := s.addTarget(t); err != nil {
			t.Fatal(err)
		}
		if _, err := service(s.w).TenantOf(t.Context(), s.id); err == nil {
			t.Error("a target has a tenant to scan")
		}
	})
}
