package connection_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
	"rekey/shared/rotation"
	"rekey/shared/serviceerror"
)

// policies is one policy for all applications.
type policies struct {
	forbidden bool
	longest   time.Duration
	err       error
}

func (p policies) PasswordPolicy(context.Context, rotation.Token, rotation.Application) (bool, time.Duration, error) {
	return p.forbidden, p.longest, p.err
}

// A policy that would stop the rotation is told beforehand, where it can be read. The
// connection rotates every 30 days, with a grace period of 2.
func TestAPolicyThatWouldStopTheRotationIsToldBeforehand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		if _, err := s.create(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.sweep(t, 30*time.Minute)
		const day = 24 * time.Hour
		for name, tt := range map[string]struct {
			policy policies
			known  bool
			why    string
		}{
			"none":          {policies{}, true, ""},
			"long enough":   {policies{longest: 35 * day}, true, ""},
			"too short":     {policies{longest: 34 * day}, true, "limits how long"},
			"forbidden":     {policies{forbidden: true}, true, "forbids new client secrets"},
			"can't be read": {policies{err: &serviceerror.Error{Class: serviceerror.Permission}}, false, ""},
			"no answer":     {policies{err: errors.New("reset")}, false, ""},
		} {
			service := service(s.w)
			service.Policies = tt.policy
			got, err := service.Check(t.Context(), s.id)
			if err != nil || (got.Policy != nil) != tt.known || (len(got.Why) == 0) != (tt.why == "") ||
				!strings.Contains(strings.Join(got.Why, ""), tt.why) {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
		}
		s.check(t)
	})
}

// What Rekey depends on itself is refused by any name: the check before connecting says so, too.
func TestInspectingWhatRekeyDependsOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		app, _, _ := s.w.AddApplication()
		c := service(s.w)
		c.Refused = map[string]string{strings.ToLower(app.ClientID): "the application of Rekey's own"}
		for _, target := range []connection.Target{{ClientID: app.ClientID}, {ObjectID: app.ObjectID}} {
			in := s.input()
			in.Target = target
			found, err := c.Inspect(t.Context(), in)
			if err != nil || !strings.Contains(strings.Join(found.Check.Why, " "), "the application of Rekey's own") {
				t.Errorf("%+v: %q, %v", target, found.Check.Why, err)
			}
		}
	})
}

// A target whose application is disabled can't rotate: the check says so, and how to enable it.
func TestADisabledTargetIsToldByTheCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		withTarget(t, s)
		for _, is := range []*serviceerror.Error{nil, disabled, keptOut} { // Graph does not tell the last
			s.refuse(is)
			found, err := service(s.w).Check(t.Context(), s.id)
			says := strings.Contains(strings.Join(found.Why, " "), "az ad sp update --id "+s.app.ClientID+" --set accountEnabled=true")
			if err != nil || says != (is == disabled) {
				t.Errorf("refused by %v: %q, %v", is, found.Why, err)
			}
		}
	})
}
