package connection_test

import (
	"strings"
	"testing"
	"time"

	"rekey/shared/schedule"
	"rekey/shared/serviceerror"

	"rekey/shared/connection"
	"rekey/shared/rotation"
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

// The API tells the caller who deletes a connection of each thing that stays.
func TestRemains(t *testing.T) {
	current := rotation.Credential{KeyID: "k1", Origin: rotation.OriginIssued, ExpiresAt: in(90)}
	given := rotation.Credential{Origin: rotation.OriginGiven}
	full := rotation.Record{
		VaultName: "v", Current: &current, Auth: &rotation.Auth{},
		Removals: []rotation.Removal{{Kind: rotation.RemoveReplaced, Published: true, KeyID: "k0"}, {Kind: rotation.RemoveOrphan}},
		ByHand:   []rotation.ByHand{{KeyID: "k9", Target: rotation.Application{ClientID: "c"}, Reason: "it refused everything"}},
	}
	for name, tt := range map[string]struct {
		rec    rotation.Record
		revoke bool
		says   []string
		not    string
	}{
		"nothing": {rotation.Record{}, false, []string{"The connection is deleted."}, "client secret"},
		"kept": {full, false, []string{
			"key id k1 stays, in Entra until it ends on 2026-09-29", `Key Vault secret "v"`, "?revoke=true",
			"2 older client secrets", "are being removed now", "its entry in Entra stays",
			"key id k9 of the application c by hand: it refused everything.",
		}, "is being removed from"},
		"revoked": {full, true, []string{"key id k1 is being removed from Entra", `"v" is being deleted`}, "?revoke=true"},
		"given, kept": {
			rotation.Record{VaultName: "v", Current: &given}, false, []string{"The published client secret stays, in Entra and in"}, "key id",
		},
		"given, revoked": {
			rotation.Record{VaultName: "v", Current: &given}, true,
			[]string{`"v" is being deleted`, "was not issued by Rekey, so it stays in Entra"}, "being removed",
		},
		"one older one": {
			rotation.Record{Removals: []rotation.Removal{{Kind: rotation.RemoveReplaced, Published: true, KeyID: "k0"}}}, true,
			[]string{"One older client secret that Rekey has to remove is being removed now."}, "",
		},
	} {
		got := connection.Remains(&tt.rec, tt.revoke)
		for _, words := range tt.says {
			if !strings.Contains(got, words) {
				t.Errorf("%s: it does not say %q: %s", name, words, got)
			}
		}
		if tt.not != "" && strings.Contains(got, tt.not) {
			t.Errorf("%s: it says %q: %s", name, tt.not, got)
		}
	}
}
