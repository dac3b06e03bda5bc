package connection_test

import (
	"strings"
	"testing"
	"time"

	"rekey/shared/connection"
	"rekey/shared/rotation"
	"rekey/shared/schedule"
	"rekey/shared/serviceerror"
)

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

func in(days int) time.Time { return noon.AddDate(0, 0, days) }

// The specification of what a person is called for.
func TestAttention(t *testing.T) {
	daily := rotation.Policy{Enabled: true, Schedule: schedule.Schedule{Interval: 1, Zone: "UTC"}}
	failure := func(class serviceerror.Class, count int) *rotation.Failure {
		return &rotation.Failure{Class: class, Count: count}
	}
	ends := func(days int) *rotation.Credential { return &rotation.Credential{ExpiresAt: in(days)} }
	removal := func(class serviceerror.Class, tries int) rotation.Removal {
		return rotation.Removal{Problem: class, Tries: tries}
	}
	for name, tt := range map[string]struct {
		rec  rotation.Record
		want string
	}{
		"nothing":                             {rotation.Record{}, ""},
		"new":                                 {rotation.Record{Phase: rotation.Creating}, ""},
		"rotates tomorrow":                    {rotation.Record{Policy: daily, NextSlot: in(1), Current: ends(2)}, ""},
		"ends in 14 days, nothing rotates it": {rotation.Record{Current: ends(14)}, "expiring"},
		"ends in 15 days, nothing rotates it": {rotation.Record{Current: ends(15)}, ""},
		"has ended":                           {rotation.Record{Current: ends(0)}, "expired"},
		"has ended although it rotates": {
			rotation.Record{Policy: daily, NextSlot: in(-1), Current: ends(0), Run: &rotation.Run{}}, "expired",
		},
		"end unknown":                 {rotation.Record{Current: &rotation.Credential{}}, ""},
		"certificate ends in 30 days": {rotation.Record{Auth: &rotation.Auth{ExpiresAt: in(30)}}, "expiring"},
		"certificate ends in 31 days": {rotation.Record{Auth: &rotation.Auth{ExpiresAt: in(31)}}, ""},
		"certificate ended, and is refused": {
			rotation.Record{Auth: &rotation.Auth{ExpiresAt: in(-1), Problem: failure(serviceerror.CertificateRefused, 1)}}, "expired sign-in",
		},
		"signed out": {
			rotation.Record{Auth: &rotation.Auth{Problem: failure(serviceerror.SignInExpired, 1)}}, "sign-in",
		},
		"failed for a person to repair": {
			rotation.Record{Policy: daily, NextSlot: in(1), Current: ends(90), Error: failure(serviceerror.Permission, 1)}, "failing",
		},
		"failed, which may pass": {
			rotation.Record{Policy: daily, NextSlot: in(1), Current: ends(90), Error: failure(serviceerror.Transient, 4)}, "",
		},
		"failed often, which may pass": {
			rotation.Record{Policy: daily, NextSlot: in(1), Current: ends(90), Error: failure(serviceerror.Transient, 5)}, "failing",
		},
		"failed, and ends soon": {
			rotation.Record{Policy: daily, NextSlot: in(1), Current: ends(5), Error: failure(serviceerror.Full, 1)}, "failing expiring",
		},
		"lost": {
			rotation.Record{Policy: daily, NextSlot: in(1), Current: ends(90), Error: failure(serviceerror.CredentialLost, 1)}, "lost",
		},
		"an hour late": {rotation.Record{Policy: daily, NextSlot: noon.Add(-time.Hour), Current: ends(90)}, ""},
		"more than an hour late": {
			rotation.Record{Policy: daily, NextSlot: noon.Add(-61 * time.Minute), Current: ends(90)}, "overdue",
		},
		"more than an hour late, but at it": {
			rotation.Record{Policy: daily, NextSlot: noon.Add(-61 * time.Minute), Current: ends(90), Run: &rotation.Run{}}, "",
		},
		"late, but off":         {rotation.Record{NextSlot: in(-1), Current: ends(90)}, ""},
		"to be removed by hand": {rotation.Record{ByHand: []rotation.ByHand{{KeyID: "k"}}}, "remove-by-hand"},
		"waits for its grace period": {
			rotation.Record{Removals: []rotation.Removal{{Kind: rotation.RemoveReplaced, Published: true, KeyID: "k"}}}, "",
		},
		"removal refused": {
			rotation.Record{Removals: []rotation.Removal{removal(serviceerror.Permission, 1)}}, "not-removed",
		},
		"removal failed, which may pass": {rotation.Record{Removals: []rotation.Removal{removal(serviceerror.Throttled, 4)}}, ""},
		"removal failed often":           {rotation.Record{Removals: []rotation.Removal{removal(serviceerror.Throttled, 5)}}, "not-removed"},
		"removal of an abandoned one refused": {
			rotation.Record{Removals: []rotation.Removal{removal(serviceerror.Permission, 1)}}, "not-removed",
		},
		"disabling failed for an hour": {rotation.Record{Stale: rotation.Stale{Problem: serviceerror.VaultRefused}}, "not-disabled"},
	} {
		if got := strings.Join(connection.Attention(&tt.rec, noon), " "); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
