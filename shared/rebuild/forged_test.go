package rebuild_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"rekey/shared/connection"
	"rekey/shared/rebuild"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/vaulttag"
)

// What bears our marker and stands in no tag is told of and left alone for good.
func TestMarkedStranger(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.rotating()
		stranger := w.AddMarked(s.app.ClientID, rotation.MarkerPrefix(rotationtest.Deployment, s.id)+"0123456789")
		w.LoseTable(nil)
		plan := w.rebuild("")
		c := want(t, plan, s.id, rebuild.Rebuilt)
		if !plan.NeedsPerson() || len(c.ByPerson) != 1 || !strings.Contains(c.ByPerson[0], stranger) {
			t.Errorf("by person: %q", c.ByPerson)
		}
		if rec := s.record(); len(rec.ByHand) != 1 || rec.ByHand[0].KeyID != stranger || len(rec.Orphans()) != 0 {
			t.Errorf("by hand %+v, abandoned %+v", rec.ByHand, rec.Orphans())
		}
		w.sweep(70 * day)
		if !w.IsLive(stranger) {
			t.Error("it was removed")
		}
		w.settled(s)
	})
}

// Of very many of them all are told of; the record lists as many as fit its row.
func TestManyMarkedStrangers(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.rotating()
		const many = 60
		for i := range many {
			w.AddMarked(s.app.ClientID, rotation.MarkerPrefix(rotationtest.Deployment, s.id)+fmt.Sprintf("STRANGER%02d", i))
		}
		w.LoseTable(nil)
		c := want(t, w.rebuild(""), s.id, rebuild.Rebuilt)
		if got := len(s.record().ByHand); len(c.ByPerson) != many || got != rotation.MaxByHand {
			t.Errorf("told of %d, listed %d", len(c.ByPerson), got)
		}
		w.settled(s)
	})
}

// A secret that was copied together with its tags is told from the original where that
// has its staged secret; else nothing tells them apart.
func TestCopy(t *testing.T) {
	inBubble(t, func(w *world) {
		s, off := w.rotating(), w.subject()
		in := off.input()
		in.Rotate = false
		off.make(in)
		for _, of := range []*subject{s, off} {
			v, _ := w.Published(of.record().VaultName)
			v.Name = "copy-of-" + v.Name
			w.Seed(v)
		}
		w.LoseTable(nil)
		plan := w.rebuild("")
		if c := want(t, plan, s.id, rebuild.Rebuilt); len(c.ByPerson) != 1 || !strings.Contains(c.ByPerson[0], "copy-of-") {
			t.Errorf("by person: %q", c.ByPerson)
		}
		want(t, plan, off.id, rebuild.Held)
		w.settled(s)
	})
}

// One version with a tag that is made up, among those of a connection.
func TestForgedVersion(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.rotating()
		v, _ := w.Published(s.record().VaultName)
		forged := v
		forged.Tags = maps.Clone(v.Tags)
		forged.Tags[vaulttag.KeyID], forged.Tags[vaulttag.Marker] = s.foreign,
			rotation.MarkerPrefix(rotationtest.Deployment, s.id)+"ABCDEFGHIJ"
		w.OutsideBreak(true)
		for _, put := range []rotation.VaultSecret{forged, v} { // and then what is current, once more
			time.Sleep(time.Second)
			if _, err := w.VaultPort().Put(w.t.Context(), put); err != nil {
				t.Fatal(err)
			}
		}
		w.OutsideBreak(false)
		w.LoseTable(nil)
		c := want(t, w.rebuild(""), s.id, rebuild.Rebuilt)
		if len(c.ByPerson) != 1 || !strings.Contains(c.ByPerson[0], s.foreign) || len(c.Record.Replaced()) != 0 {
			t.Errorf("by person %q, retiring %+v", c.ByPerson, c.Record.Replaced())
		}
		w.sweep(70 * day)
		if !w.IsLive(s.foreign) {
			t.Error("a client secret was removed that is none of Rekey's")
		}
		w.settled(s)
	})
}

// The same, with the name of a foreign client secret for a marker, while the
// application can't be read: that name is not looked for later.
func TestForgedMarker(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.rotating()
		v, _ := w.Published(s.record().VaultName)
		forged := v
		forged.Tags = maps.Clone(v.Tags)
		forged.Tags[vaulttag.KeyID], forged.Tags[vaulttag.Marker] = s.foreign, "somebody else's"
		w.OutsideBreak(true)
		for _, put := range []rotation.VaultSecret{forged, v} {
			time.Sleep(time.Second)
			if _, err := w.VaultPort().Put(w.t.Context(), put); err != nil {
				t.Fatal(err)
			}
		}
		w.OutsideBreak(false)
		var roles []string
		w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { roles, a.Roles = a.Roles, nil })
		w.LoseTable(nil)
		if c := want(t, w.rebuild(""), s.id, rebuild.Rebuilt); len(c.ByPerson) != 1 {
			t.Errorf("by person %q", c.ByPerson)
		}
		w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Roles = roles })
		w.sweep(4 * day)
		if !w.IsLive(s.foreign) {
			t.Error("a client secret was removed that is none of Rekey's")
		}
		w.settled(s)
	})
}

// The tags of another connection's credential, key id and marker, on a secret that
// claims to be a connection's own.
func TestForgedFromAnother(t *testing.T) {
	const id = "0b8ab8a7-0000-4000-8000-000000000002"
	inBubble(t, func(w *world) {
		s := w.rotating()
		v, _ := w.Published(s.record().VaultName)
		v.Tags = maps.Clone(v.Tags)
		v.Tags[vaulttag.Connection], v.Tags[vaulttag.Name] = id, "forged"
		for _, name := range []string{"forged", "forged-staged"} {
			v.Name = name
			w.Seed(v)
		}
		w.LoseTable(nil)
		plan := w.scan()
		if c := want(t, plan, id, rebuild.Missing); c.Record.Current.Origin != rotation.OriginGiven || c.Record.Current.KeyID != "" {
			t.Errorf("current: %+v", c.Record.Current)
		}
		want(t, plan, s.id, rebuild.Missing)
		plan = w.rebuild("")
		if plan.Count(rebuild.Rebuilt) != 1 || plan.Count(rebuild.Held) != 1 { // one application, one connection
			t.Errorf("plan: %+v", plan.Connections)
		}
	})
}

// Tags that a person has made up never lead to a client secret that Rekey did not issue.
func TestForgedTags(t *testing.T) {
	const id = "0b8ab8a7-0000-4000-8000-000000000001"
	marker := rotation.MarkerPrefix(rotationtest.Deployment, id) + "ABCDEFGHIJ"
	for name, forge := range map[string]func(tags map[string]string, s *subject){
		"issued, with a foreign key id": func(tags map[string]string, s *subject) { tags[vaulttag.KeyID] = s.foreign },
		"issued, with a foreign one, no mark": func(tags map[string]string, s *subject) {
			tags[vaulttag.KeyID] = s.foreign
			delete(tags, vaulttag.Marker)
		},
		"named, with a key id that does not fit": func(tags map[string]string, s *subject) {
			tags[vaulttag.KeyID], tags[vaulttag.Origin] = s.foreign, string(rotation.OriginNamed)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				s := w.subject()
				s.id = id
				tags := map[string]string{
					vaulttag.Deployment: rotationtest.Deployment, vaulttag.Connection: id, vaulttag.Name: "forged",
					vaulttag.Method: connection.ClientSecret,
					vaulttag.Tenant: s.app.TenantID, vaulttag.Client: s.app.ClientID, vaulttag.Marker: marker,
					vaulttag.Origin:   string(rotation.OriginIssued),
					vaulttag.Schedule: "30d 03:00 UTC 48h0m0s",
				}
				forge(tags, s)
				w.Seed(rotation.VaultSecret{Name: "forged", Value: s.secret, Tags: tags})
				w.Seed(rotation.VaultSecret{Name: "forged-staged", Value: s.secret, Tags: tags})
				plan := w.rebuild("")
				if c := want(t, plan, id, rebuild.Rebuilt); len(c.ByPerson) == 0 {
					t.Error("no person is told")
				}
				w.sweep(70 * day)
				if !w.IsLive(s.foreign) || !w.IsLive(s.keyID) {
					t.Error("a client secret was removed that is none of Rekey's")
				}
			})
		})
	}
}
