package connection_test

import (
	"strings"
	"testing"

	"rekey/shared/connection"
	"rekey/shared/rotation"
)

// The API tells the caller who deletes a connection of each thing that stays.
func TestADeletionSaysWhatStays(t *testing.T) {
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
		"nothing":  {rotation.Record{Name: "payments"}, false, []string{`The connection "payments" is deleted.`}, "client secret"},
		"a target": {rotation.Record{Via: "v", Name: "payroll"}, false, []string{`The target "payroll" is deleted.`}, "connection"},
		"a target without a name": {rotation.Record{ID: "t", Via: "v", Name: "target-t", VaultName: "rekey-t"}, false,
			[]string{`The target "rekey-t" is deleted.`}, "connection"},
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
