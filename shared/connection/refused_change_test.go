package connection_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/schedule"

	"rekey/shared/connection"
)

// refusal fails unless err is of that kind and says those words.
func refusal(t *testing.T, err error, kind connection.Kind, says string) {
	t.Helper()
	if e, ok := errors.AsType[*connection.Error](err); !ok || e.Kind != kind || !strings.Contains(e.Message, says) {
		t.Errorf("got %v, want %s: %q", err, kind, says)
	}
}

// unrotated makes a connection that publishes the subject's client secret and has never
// had a schedule.
func unrotated(t *testing.T, s *subject) {
	t.Helper()
	in := s.input()
	in.Rotate, in.Schedule = false, schedule.Schedule{}
	if err := s.make(t, in); err != nil {
		t.Fatal(err)
	}
	s.sweep(t, 5*time.Minute)
}

// What a connection does not allow is refused with what to do instead, and nothing of it
// is changed.
func TestRefusedChanges(t *testing.T) {
	certificate := func(s *subject, tenant string) *connection.Credentials {
		return &connection.Credentials{Method: connection.Certificate, TenantID: tenant, ClientID: s.acting.ClientID, Certificate: renewed}
	}
	secret := func(s *subject) *connection.Credentials { return new(s.input().Credentials) }
	on := connection.Change{Rotate: new(true), Schedule: &schedule.Schedule{Interval: 30, Hours: 3, Zone: "UTC"}}
	for name, tt := range map[string]struct {
		setup  func(t *testing.T, s *subject)
		change func(s *subject) connection.Change
		kind   connection.Kind
		says   string
	}{
		"credentials for a target": {withTarget, func(s *subject) connection.Change {
			return connection.Change{Credentials: certificate(s, s.acting.TenantID)}
		}, connection.Invalid, "no credentials of its own"},
		"another method": {withParent, func(s *subject) connection.Change {
			return connection.Change{Credentials: secret(s)}
		}, connection.Invalid, "can't be changed"},
		"another tenant": {withParent, func(s *subject) connection.Change {
			return connection.Change{Credentials: certificate(s, "22222222-2222-4222-8222-222222222222")}
		}, connection.Invalid, "of another tenant"},
		"a certificate that does not sign in": {withParent, func(s *subject) connection.Change {
			s.w.Withdraw(s.acting.ClientID)
			return connection.Change{Credentials: certificate(s, s.acting.TenantID)}
		}, connection.Invalid, ""},
		"rotation without a target": {withParent, func(*subject) connection.Change { return on }, connection.Invalid, "/targets"},
		"rotation without a schedule": {unrotated, func(*subject) connection.Change {
			return connection.Change{Rotate: new(true)}
		}, connection.Invalid, "rotationInterval"},
		"seen before another caller's change": {unrotated, func(*subject) connection.Change {
			return connection.Change{Version: new(int64(0)), Description: new("mine")}
		}, connection.Conflict, "Read it again"},
		"seen after it": {unrotated, func(*subject) connection.Change {
			return connection.Change{Version: new(int64(2)), Description: new("mine")}
		}, connection.Conflict, "Read it again"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				tt.setup(t, s)
				change := tt.change(s)
				before, reserved := mustRecord(t, s), s.w.Reserved()
				_, err := service(s.w).Update(t.Context(), s.id, change)
				refusal(t, err, tt.kind, tt.says)
				after := mustRecord(t, s)
				if after.Revision != before.Revision || after.Description != before.Description || after.Policy != before.Policy ||
					(after.Auth == nil) != (before.Auth == nil) || after.CredentialChanges != before.CredentialChanges {
					t.Errorf("it was changed: %+v", after)
				}
				if n := len(s.w.Reserved()); n != len(reserved) {
					t.Errorf("%d reservations, want %d", n, len(reserved))
				}
				s.check(t)
			})
		})
	}
}

// What Rekey itself depends on is neither taken over nor gone over to.
func TestRefusedApplications(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		own, secret, keyID := s.w.AddApplication()
		s.w.Name(keyID)
		refused := service(s.w)
		refused.Refused = map[string]string{own.ClientID: "Rekey's own identity"}
		credentials := connection.Credentials{TenantID: own.TenantID, ClientID: own.ClientID, ClientSecret: secret, ClientSecretKeyID: keyID}
		in := s.input()
		in.Name, in.Credentials = "second", credentials
		_, err := refused.Create(t.Context(), in)
		refusal(t, err, connection.Invalid, "Rekey's own identity")
		_, err = refused.Update(t.Context(), s.id, connection.Change{Credentials: &credentials})
		refusal(t, err, connection.Invalid, "Rekey's own identity")
		if n := len(s.w.Records()); n != 1 || !s.w.IsLive(keyID) || s.w.Live(own.ClientID) != 1 {
			t.Errorf("%d records; Rekey's own client secret lives: %t, among %d", n, s.w.IsLive(keyID), s.w.Live(own.ClientID))
		}
		s.check(t)
	})
}
