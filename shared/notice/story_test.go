package notice_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/schedule"
	"rekey/shared/serviceerror"

	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// A connection whose rotation is refused, and then is not any more, told to a receiver
// that is down in between: it hears of both, once each and in that order, and of no value.
func TestStoryOfAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.world.AtEnd = false
		app, secret, keyID := s.world.AddApplication()
		s.world.Name(keyID)
		now := time.Now()
		rec := rotation.Record{
			Schema: rotation.Schema, ID: "5a3d2b1c-0000-4000-8000-000000000001", Name: "billing", VaultName: "billing",
			Phase: rotation.Idle, Acknowledged: true,
			Policy: rotation.Policy{Enabled: true, Schedule: schedule.Schedule{Interval: 30, Zone: "UTC"}, Grace: 48 * time.Hour},
			Actor:  app, Target: app, NextSlot: now.Add(time.Hour), WakeAt: now.Add(time.Hour), Version: 1, Revision: 1,
			Current: &rotation.Credential{Target: app, KeyID: keyID, Origin: rotation.OriginIssued, Since: now, ExpiresAt: now.AddDate(0, 0, 40)},
		}
		version, err := s.world.VaultPort().Put(t.Context(), rotation.VaultSecret{Name: rec.VaultName,
			Value: secret, Enabled: true, Tags: rotation.Tags(rotationtest.Deployment, &rec, *rec.Current)})
		if err != nil {
			t.Fatal(err)
		}
		rec.Current.VaultVersion = version
		if _, err := s.world.StorePort().Create(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
		run := func(d time.Duration) {
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Minute) {
				if _, err := s.world.Rotator().Sweep(t.Context()); err != nil {
					t.Fatalf("Sweep: %v", err)
				}
				s.round()
			}
		}
		deny := func(denied bool) {
			s.world.Change(app.ClientID, func(a *rotationtest.AppSettings) { a.Denied = denied })
		}
		deny(true)
		run(8 * time.Hour)
		if len(s.receiver.taken) != 1 {
			t.Fatalf("told %d times of a refused rotation, want once", len(s.receiver.taken))
		}
		s.receiver.answer = refuseAll
		deny(false)
		run(12 * time.Hour)
		s.receiver.answer = nil
		run(3 * time.Hour)

		var types, states []string
		for _, e := range s.receiver.taken {
			types, states = append(types, e.Type), append(states, e.Data.State)
			if e.Subject != rec.ID || e.Data.Connection.Name != "billing" || e.Data.Application.ClientID != app.ClientID || e.Data.Advice == "" {
				t.Errorf("event %+v", e)
			}
		}
		if want := []string{"rekey.connection.attention", "rekey.connection.recovered"}; !slices.Equal(types, want) {
			t.Fatalf("told of %q, want %q", types, want)
		}
		if want := []string{"attention", "recovered"}; !slices.Equal(states, want) {
			t.Errorf("states %q, want %q", states, want)
		}
		if p := s.receiver.taken[0].Data.Problem; p == nil || p.Class != serviceerror.Permission || p.Message == "" {
			t.Errorf("problem %+v", p)
		}
		for _, body := range s.receiver.bodies {
			s.world.Log.Write(body) // so that it is searched, too
		}
		s.world.Log.Write([]byte(s.log.String()))
		s.world.CheckLeaks()
		for _, v := range s.world.Violations() {
			t.Error(v)
		}
		s.wantQuiet()
	})
}
