package functions_test

import (
	"cmp"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/shared/auth"
	"rekey/shared/emulator/directory"
)

// certified is a key with its certificate; making one takes a while.
var certified = sync.OnceValues(func() (key *rsa.PrivateKey, err error) { return rsa.GenerateKey(rand.Reader, 2048) })

// certificate makes a certificate of an application and returns it and its key as PEM.
func (w *world) certificate(a directory.Application, ends time.Time) (body, key string) {
	w.Helper()
	private, err := certified()
	if err != nil {
		w.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(ends.UnixNano()), Subject: pkix.Name{CommonName: "rekey test"},
		NotBefore: w.clock.Now().Add(-time.Hour), NotAfter: ends}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		w.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		w.Fatal(err)
	}
	if err := w.stack.Directory.AddCertificate(a.ObjectID, parsed); err != nil {
		w.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		w.Fatal(err)
	}
	text := func(kind string, data []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}))
	}
	w.watch.Issued(text("PRIVATE KEY", pkcs8))
	return text("CERTIFICATE", der), text("PRIVATE KEY", pkcs8)
}

// authenticator connects an application by client secret and without rotation: it owns
// what others are then added as its targets.
func (w *world) authenticator() (directory.Application, view) {
	w.Helper()
	a := w.sample()
	return a, w.create(a, append([]any{"name", "operator"}, off...)...)
}

// withCertificate connects it by certificate. Nothing here may put the clock forward
// before the last sign-in: what a certificate signs is of the real time.
func (w *world) withCertificate(a directory.Application, edits ...any) view {
	w.Helper()
	body, key := w.certificate(a, w.clock.Now().AddDate(1, 0, 0))
	return w.create(a, append([]any{"method", "certificate",
		"credentials", object{"tenantId": a.TenantID, "clientId": a.ClientID, "certificateBody": body, "privateKey": key}}, edits...)...)
}

// owned registers an application that owner may change.
func (w *world) owned(owner directory.Application) directory.Application {
	w.Helper()
	return w.add(directory.Registration{Settings: directory.Settings{Owners: []string{owner.ServicePrincipalID}}})
}

// targetView is what the tests read of a target.
type targetView struct {
	ID, ConnectionID, Name, Description, VaultSecretName string
	ApplicationName                                      string
	Application                                          struct{ TenantID, ClientID, ObjectID string }
	Version                                              int64
	Rotation, RotationState                              *rotationView
}

func (w *world) target(r reply) targetView {
	w.Helper()
	v := decode[struct{ Target targetView }](w.T, r).Target
	v.Rotation = cmp.Or(v.Rotation, v.RotationState)
	return v
}

// One connection rotates others: each target has its own secret, schedule and history,
// and ends without the connection; the connection does not end before them.
func TestTargets(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	operator, made := w.authenticator()
	first, second := w.owned(operator), w.owned(operator)
	path := secrets + "/" + made.ID + "/targets"
	daily := object{"rotationInterval": 1, "rotateAtUtc": object{"hours": 3, "minutes": 0}, "gracePeriodHours": 0}
	w.change(first, func(s *directory.Settings) { s.DisplayName = "Pay\u202eroll" })
	one := w.target(w.call(auth.Rotate, http.MethodPost, path,
		object{"clientId": first.ClientID, "name": "payroll", "description": "the first", "isAutoRotationEnabled": true, "rotation": daily}))
	w.call(auth.Write, http.MethodPost, path, object{"clientId": second.ClientID, "isAutoRotationEnabled": true, "rotation": daily}).refuses(t,
		http.StatusForbidden, "rotate")
	two := w.target(w.call(auth.Write, http.MethodPost, path, object{"objectId": second.ObjectID, "vaultSecretName": "second"}))
	w.settle()
	if one.ConnectionID != made.ID || one.Application.ObjectID != first.ObjectID || one.Description != "the first" ||
		one.Name != "payroll" || one.ApplicationName != "Payroll" || two.Name != "target-"+two.ID ||
		two.VaultSecretName != "second" {
		t.Errorf("targets %+v and %+v", one, two)
	}
	alone := w.add(directory.Registration{WithoutPrincipal: true,
		Settings: directory.Settings{Owners: []string{operator.ServicePrincipalID}}})
	w.call(auth.Write, http.MethodPost, path, object{"clientId": alone.ClientID}).refuses(t, http.StatusBadRequest,
		"az ad sp create --id "+alone.ClientID)
	w.call(auth.Write, http.MethodPost, path, object{"clientId": first.ClientID}).refuses(t, http.StatusConflict,
		"already a target of this connection", one.ID)
	if list := decode[struct{ Targets []targetView }](t, w.call(auth.Read, http.MethodGet, path, nil)).Targets; len(list) != 2 ||
		list[0].ID != one.ID || list[1].ID != two.ID {
		t.Errorf("list %+v", list)
	}

	one = w.target(w.call(auth.Read, http.MethodGet, path+"/"+one.ID, nil))
	w.managed(first, one.VaultSecretName, one.Rotation.Current.KeyID, first.KeyID)
	w.target(w.call(auth.Rotate, http.MethodPost, path+"/"+two.ID+"/rotate-credentials", nil)) // by hand, without a schedule
	changed := w.target(w.call(auth.Rotate, http.MethodPatch, path+"/"+one.ID,
		object{"rotation": object{"rotationInterval": 9}, "version": one.Version, "name": "wages"}))
	if changed.Name != "wages" || changed.Rotation.RotationInterval != 9 || changed.Version != one.Version+1 {
		t.Errorf("changed %+v", changed)
	}
	w.call(auth.Write, http.MethodPatch, path+"/"+one.ID, object{"credentials": object{"clientSecret": "x"}}).refuses(t, http.StatusBadRequest,
		"target has no credentials")
	w.settle()
	two = w.target(w.call(auth.Read, http.MethodGet, path+"/"+two.ID, nil))
	w.managed(second, "second", two.Rotation.Current.KeyID, second.KeyID)

	// Nothing is at the other's address, and targets are no connections.
	for _, p := range []string{secrets + "/" + one.ID, secrets + "/" + one.ID + "/targets", path + "/" + made.ID,
		secrets + "/connection-name/target-" + one.ID} {
		w.call(auth.Read, http.MethodGet, p, nil).refuses(t, http.StatusNotFound, "There is no such")
	}
	if list := decode[struct{ AppConnections []view }](t, w.call(auth.Read, http.MethodGet, secrets, nil)).AppConnections; len(list) != 1 {
		t.Errorf("connections %+v", list)
	}
	runs := decode[struct {
		Rotations []struct{ Trigger, Outcome string }
	}](t, w.call(auth.Read, http.MethodGet, path+"/"+two.ID+"/rotations", nil)).Rotations
	if len(runs) != 1 || runs[0].Trigger != "manual" || runs[0].Outcome != "success" {
		t.Errorf("runs %+v", runs)
	}
	w.endOfTargets(made.ID, path, []targetView{one, two}, first, second)
}

// endOfTargets deletes targets, one with everything that Rekey issued, then their
// connection.
func (w *world) endOfTargets(id, path string, targets []targetView, first, second directory.Application) {
	w.Helper()
	w.call(auth.Write, http.MethodDelete, secrets+"/"+id, nil).refuses(w.T, http.StatusBadRequest, "authenticates for 2 targets")
	w.target(w.call(auth.Write, http.MethodDelete, path+"/"+targets[0].ID, nil))
	w.target(w.call(auth.Rotate, http.MethodDelete, path+"/"+targets[1].ID+"?revoke=true", nil))
	w.call(auth.Read, http.MethodGet, path+"/"+targets[0].ID, nil).refuses(w.T, http.StatusNotFound, "no such target")
	w.settle()
	if keys := w.live(first); len(keys) != 2 {
		w.Errorf("of the one that was deleted: %v", keys)
	}
	if keys := w.live(second); len(keys) != 1 || keys[0] != second.KeyID {
		w.Errorf("of the one that was revoked: %v, want %s", keys, second.KeyID)
	}
	if events := w.audit(id, "/targets/"+targets[1].ID); events[0].Kind != "connection.deleted" {
		w.Errorf("audit %+v", events)
	}
	if message := decode[struct{ Message string }](w.T,
		w.call(auth.Write, http.MethodDelete, secrets+"/"+id, nil)).Message; !strings.Contains(message, "The published client secret stays") {
		w.Errorf("message %q", message)
	}
	w.settle()
	if n := len(w.records()); n != 0 {
		w.Errorf("%d records are left", n)
	}
}

// What authenticates is shown as far as it may be known, and can be replaced.
func TestCertificateConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	a := w.sample()
	made := w.withCertificate(a, "isAutoRotationEnabled", false, "rotation", absent)
	if made.Authentication == nil || len(made.Authentication.Thumbprint) != 40 ||
		made.Authentication.ExpiresAt.Before(w.clock.Now().AddDate(0, 11, 0)) || made.Rotation != nil {
		t.Errorf("connection %+v", made)
	}
	body, key := w.certificate(a, w.clock.Now().AddDate(0, 0, 20))
	got := w.one(w.patch(auth.Write, made.ID, object{"credentials": object{"certificateBody": body, "privateKey": key}}))
	if got.CredentialsHash == made.CredentialsHash || got.Authentication.Thumbprint == made.Authentication.Thumbprint ||
		strings.Join(got.Attention, " ") != "expiring" {
		t.Errorf("after the change: %+v", got)
	}
	if list := decode[struct{ AppConnections []view }](t,
		w.call(auth.Read, http.MethodGet, secrets+"?attention=true", nil)).AppConnections; len(list) != 1 {
		t.Errorf("%d connections ask for attention", len(list))
	}
	_, other := w.certificate(a, w.clock.Now().AddDate(1, 0, 0))
	w.patch(auth.Write, made.ID, object{"credentials": object{"certificateBody": "no certificate", "privateKey": other}}).refuses(t,
		http.StatusBadRequest, "certificate")
	message := decode[struct{ Message string }](t, w.call(auth.Write, http.MethodDelete, secrets+"/"+made.ID, nil)).Message
	if !strings.Contains(message, "its entry in Entra stays") {
		t.Errorf("message %q", message)
	}
}

// A connection by certificate may rotate an application of its own accord.
func TestCertificateConnectionRotates(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	operator := w.sample()
	app := w.owned(operator)
	made := w.withCertificate(operator, "rotation.target", object{"clientId": app.ClientID}, "rotation.gracePeriodHours", 0)
	w.settle()
	made = w.one(w.call(auth.Read, http.MethodGet, secrets+"/"+made.ID, nil))
	if made.Credentials.ClientID != operator.ClientID || made.Rotation.Target == nil || made.Rotation.Target.ClientID != app.ClientID ||
		made.Rotation.Target.ObjectID != app.ObjectID {
		t.Errorf("connection %+v", made)
	}
	w.managed(app, made.VaultSecretName, made.Rotation.Current.KeyID, app.KeyID)
	w.patch(auth.Write, made.ID, object{"rotation": object{"target": object{"clientId": operator.ClientID}}}).refuses(t, http.StatusBadRequest,
		"Add another one")
}
