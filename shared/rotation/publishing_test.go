package rotation_test

import (
	"testing"

	"rekey/shared/rotation"
)

// A caller gives current again, because it was lost or refused: it becomes current once
// more and is not listed for its own removal (rule R13).
func TestCurrentGivenAgainIsNotRemovedAsTheOldOne(t *testing.T) {
	for name, tt := range map[string]struct {
		next  rotation.Credential
		keyID string
	}{
		"by its value alone": {rotation.Credential{Target: billing, Digest: "d", Origin: rotation.OriginGiven}, "current"},
		"with its key id":    {rotation.Credential{Target: billing, KeyID: "CURRENT", Origin: rotation.OriginNamed}, "CURRENT"},
	} {
		t.Run(name, func(t *testing.T) {
			rec := with(rebinding(), func(r *rotation.Record) { r.Current.Digest = "d" })
			out := rotation.Outcome{Proven: true, PublishedVersion: "v2", Next: &tt.next}
			rec, _ = rotation.DefaultRules().Apply(now, rec, rotation.Publish{}, out)
			if len(rec.Removals)+len(rec.ByHand) != 0 {
				t.Errorf("to be removed: %+v; by hand: %+v", rec.Removals, rec.ByHand)
			}
			if c := rec.Current; c.KeyID != tt.keyID || c.VaultVersion != "v2" {
				t.Errorf("current is %+v", c)
			}
		})
	}
}
