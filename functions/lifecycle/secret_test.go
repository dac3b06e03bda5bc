package lifecycle_test

import (
	"net/http"
	"testing"
	"time"
)

var everywhere = []string{builtIn, forwarding, proxying, onLambda}

// The whole life of a connection by client secret with rotation on.
func TestClientSecret(t *testing.T) {
	each(t, everywhere, options{propagation: 100 * time.Millisecond}, func(w *world) {
		a := w.sample()
		foreign, foreignValue := w.password(a, inAYear())
		path, made := w.connect(a, object{"description": "invoices", "vaultSecretName": "billing-secret"})
		w.guard(a, "billing-secret", foreign)
		if made.Name != "billing" || made.description() != "invoices" || made.Method != "client-secret" || made.App != "azure-client-secrets" ||
			made.VaultSecretName != "billing-secret" || !made.IsAutoRotationEnabled || len(made.Credentials) != 2 ||
			made.Credentials["clientId"] != a.ClientID {
			w.Errorf("created: %+v", made)
		}
		r := made.Rotation
		if r.RotationStatus == nil || *r.RotationStatus != "success" || r.TimeZone != "Europe/Berlin" || r.RotationInterval != 30 {
			w.Errorf("rotation: %+v", r)
		}
		w.slot(made, 30)
		w.exactly(a, made.key(), foreign)
		w.dead(a, a.Secret)
		first := w.works(a, "billing-secret")
		if first == foreignValue || made.key() == a.KeyID {
			w.Error("the published client secret is none that Rekey has issued")
		}
		w.handRotations(path, first, made.key(), foreign, a)
		w.changes(path)
		w.looks(path, a)
		w.endings(path, foreign, a)
	})
}

// slot requires that the next rotation is announced for the time of day that creation asks
// for, a whole interval from now.
func (w *world) slot(v view, days int) {
	w.Helper()
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		w.Fatal(err)
	}
	next := v.Rotation.NextRotationAt
	if next == nil {
		w.Fatal("no next rotation")
	}
	local, ahead := next.In(zone), time.Until(*next).Hours()/24
	if local.Hour() != 3 || local.Minute() != 15 || ahead < float64(days)-0.5 || ahead > float64(days)+1.5 {
		w.Errorf("the next rotation is at %s, want %d days from now", local, days)
	}
}

// changes changes what can be changed of a connection that rotates.
func (w *world) changes(path string) {
	w.Helper()
	before := w.get(path)
	now := w.patch("rotate", path, object{"name": "accounts", "description": "ledgers", "rotation": object{"rotationInterval": 7}})
	if now.Name != "accounts" || now.description() != "ledgers" || now.Rotation.RotationInterval != 7 ||
		now.Version <= before.Version || now.key() != before.key() {
		w.Errorf("changed: %+v", now)
	}
	w.slot(now, 7)
	w.refused(http.StatusConflict, "write", http.MethodPatch, path, object{"version": before.Version, "name": "late"})
	w.refused(http.StatusNotFound, "read", http.MethodGet, secrets+"/connection-name/billing", nil)
	if v := w.get(secrets + "/connection-name/accounts"); v.ID != now.ID || v.description() != "ledgers" || v.Rotation.RotationInterval != 7 {
		w.Errorf("by its new name: %+v", v)
	}
	if now = w.patch("write", path, object{"description": nil}); now.Description != nil || now.Name != "accounts" {
		w.Errorf("without a description: %+v", now)
	}
	if now = w.patch("write", path, object{"isAutoRotationEnabled": false}); now.IsAutoRotationEnabled || now.Rotation.NextRotationAt != nil {
		w.Errorf("rotation off: %+v", now)
	}
	w.refused(http.StatusForbidden, "write", http.MethodPatch, path, object{"isAutoRotationEnabled": true})
	w.patch("rotate", path, object{"isAutoRotationEnabled": true})
	now = w.settled(path)
	if !now.IsAutoRotationEnabled || now.key() != before.key() || now.CredentialsHash != before.CredentialsHash {
		w.Errorf("rotation on again: %+v, before %+v", now, before)
	}
	w.slot(now, 7)
}
