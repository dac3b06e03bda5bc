package rotation_test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"rekey/shared/serviceerror"
	"rekey/shared/vaulttag"

	"rekey/shared/rotation"
)

// What is known of stale versions stays short, however many there are.
func TestStaleVersionsAreBounded(t *testing.T) {
	s := rotation.Stale{}
	for i := range 100 {
		s.Add(now.Add(time.Duration(i)*time.Minute), fmt.Sprint(i))
	}
	if len(s.Versions) != 8 || s.LookAt.IsZero() {
		t.Errorf("%d versions are known, the others are looked for at %s", len(s.Versions), s.LookAt)
	}
}

// When both secrets are listed: once what is written now is old enough. A look that is due
// may be under way and miss it.
func TestWhenStaleVersionsAreLookedFor(t *testing.T) {
	for name, tt := range map[string]struct{ planned, want time.Time }{
		"none was to come":     {time.Time{}, now.Add(rotation.StaleAge)},
		"one is to come":       {now.Add(minute), now.Add(minute)},
		"one may be under way": {now, now.Add(rotation.StaleAge)},
	} {
		s := rotation.Stale{LookAt: tt.planned}
		if s.Look(now); !s.LookAt.Equal(tt.want) {
			t.Errorf("%s: looked at %s, want %s", name, s.LookAt, tt.want)
		}
	}
}

func TestApplyDisableStale(t *testing.T) {
	refused := &serviceerror.Error{Op: "disabling a version", Class: serviceerror.VaultRefused, Status: 403}
	due := rotation.Stale{Versions: []string{"a", "b"}, LookAt: now}
	failing := func(since time.Duration) rotation.Stale {
		return rotation.Stale{Versions: []string{"b"}, Tries: 1, FailingSince: now.Add(-since)}
	}
	for name, tt := range map[string]struct {
		stale rotation.Stale
		out   rotation.Outcome
		want  rotation.Stale // NextAt is judged by whether there is one
	}{
		"all are disabled": {due, rotation.Outcome{Disabled: []string{"a", "b"}, Looked: now}, rotation.Stale{Versions: []string{}}},
		"some found are too young": {
			due, rotation.Outcome{Disabled: []string{"a", "b"}, Looked: now, LookAgainAt: now.Add(minute)},
			rotation.Stale{Versions: []string{}, LookAt: now.Add(minute)},
		},
		"another write was announced during the look": {
			rotation.Stale{LookAt: now.Add(rotation.StaleAge)}, rotation.Outcome{Looked: now}, rotation.Stale{LookAt: now.Add(rotation.StaleAge)},
		},
		"it was not time to look": {
			rotation.Stale{Versions: []string{"a"}, LookAt: now.Add(minute)}, rotation.Outcome{Disabled: []string{"a"}},
			rotation.Stale{Versions: []string{}, LookAt: now.Add(minute)},
		},
		"one is refused": {
			due, rotation.Outcome{Disabled: []string{"a"}, Err: refused},
			rotation.Stale{Versions: []string{"b"}, LookAt: now, NextAt: now, Tries: 1, FailingSince: now},
		},
		"for an hour": {
			failing(hour), rotation.Outcome{Err: refused},
			rotation.Stale{Versions: []string{"b"}, NextAt: now, Tries: 2, FailingSince: now.Add(-hour), Problem: serviceerror.VaultRefused},
		},
		"not for an hour yet": {
			failing(hour - minute), rotation.Outcome{Err: refused},
			rotation.Stale{Versions: []string{"b"}, NextAt: now, Tries: 2, FailingSince: now.Add(minute - hour)},
		},
		"no more": {
			rotation.Stale{Versions: []string{"b"}, Tries: 9, FailingSince: now.Add(-day), Problem: serviceerror.VaultRefused},
			rotation.Outcome{Disabled: []string{"b"}}, rotation.Stale{Versions: []string{}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			rec, _ := rotation.DefaultRules().Apply(now, with(idle(), stale(tt.stale)), rotation.DisableStale{}, tt.out)
			got := rec.Stale
			if got.NextAt.After(now) != (tt.out.Err != nil) {
				t.Errorf("tried again at %s", got.NextAt)
			}
			got.NextAt, tt.want.NextAt = time.Time{}, time.Time{}
			if len(got.Versions) == 0 && len(tt.want.Versions) == 0 {
				got.Versions, tt.want.Versions = nil, nil
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

// What a run goes on with is not stale, although nothing lists it.
func TestVersionsInUse(t *testing.T) {
	v := rotation.VaultSecret{Version: "v", Tags: map[string]string{vaulttag.Marker: "m"}}
	for name, tt := range map[string]struct {
		rec  rotation.Record
		want bool
	}{
		"of nothing":                     {idle(), false},
		"of the run":                     {rotation.Record{Run: &rotation.Run{StagedVersion: "v"}}, true},
		"of an attempt to be reconciled": {rotation.Record{Run: &rotation.Run{Marker: "m"}}, true},
		"of another attempt":             {rotation.Record{Run: &rotation.Run{Marker: "n", StagedVersion: "w"}}, false},
		"of an attempt that has another": {rotation.Record{Run: &rotation.Run{Marker: "m", StagedVersion: "w"}}, false},
		"it authenticates":               {signsIn(rotation.Auth{VaultVersion: "v"}), true},
		"it did":                         {signsIn(rotation.Auth{VaultVersion: "w"}), false},
		"it is to be proven":             {rotation.Record{Request: &rotation.Request{Next: &rotation.Credential{VaultVersion: "v"}}}, true},
	} {
		if got := tt.rec.InUse(v); got != tt.want {
			t.Errorf("%s: in use: %t", name, got)
		}
	}
}

// A version that may land after another one of the same value was used is looked for.
func TestAStrayVersionIsLookedFor(t *testing.T) {
	issued := rotation.Outcome{Issued: &rotation.Issued{KeyID: "k"}, StagedVersion: "s", IssuedAt: now,
		Application: &rotation.ApplicationState{}}
	noAnswer := refusedWith(serviceerror.Transient)
	stray := issued
	stray.Stray = true
	found := rotation.Outcome{Found: &rotation.VaultSecret{Version: "s", Tags: map[string]string{vaulttag.KeyID: "k"}, CreatedAt: now}}
	for name, tt := range map[string]struct {
		step rotation.Step
		out  rotation.Outcome
		want bool
	}{
		"the write was answered":       {rotation.IssueCredential{}, issued, false},
		"the first write was not":      {rotation.IssueCredential{}, stray, true},
		"a pass that is gone wrote it": {rotation.Reconcile{}, found, true},
		"the probe was not answered":   {rotation.IssueCredential{}, rotation.Outcome{NotSent: true, Stray: true, Err: noAnswer}, true},
		"the probe was refused":        {rotation.IssueCredential{}, rotation.Outcome{NotSent: true, Err: noAnswer}, false},
	} {
		rec, _ := rotation.DefaultRules().Apply(now, issuing(), tt.step, tt.out)
		want := rotation.Verifying
		if tt.out.NotSent {
			want = rotation.Issuing
		}
		if got := !rec.Stale.LookAt.IsZero(); got != tt.want || rec.Phase != want {
			t.Errorf("%s: looked for: %t, phase %s", name, got, rec.Phase)
		}
	}
}
