package lifecycle_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"rekey/shared/emulator/directory"
)

// private is a key for certificates; making one takes a while.
var private = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// certificate makes a certificate, which [directory.Directory.AddCertificate] makes known, and
// what the API takes for it.
func (w *world) certificate() (*x509.Certificate, object) {
	w.Helper()
	key, err := private()
	if err != nil {
		w.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "caretaker"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: inAYear()}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		w.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		w.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		w.Fatal(err)
	}
	text := func(kind string, data []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}))
	}
	w.watch.Issued(text("PRIVATE KEY", pkcs8)[len("-----BEGIN PRIVATE KEY-----\n"):200])
	return made, object{"certificateBody": text("CERTIFICATE", der), "privateKey": text("PRIVATE KEY", pkcs8)}
}

// known makes a certificate known to the directory as a's.
func (w *world) known(a directory.Application, c *x509.Certificate) {
	w.Helper()
	if err := w.services.Directory.AddCertificate(a.ObjectID, c); err != nil {
		w.Fatal(err)
	}
}

// caretaker connects an application by certificate.
func (w *world) caretaker(a directory.Application) (path string, made view, certificate *x509.Certificate) {
	w.Helper()
	certificate, given := w.certificate()
	w.known(a, certificate)
	given["tenantId"], given["clientId"] = a.TenantID, a.ClientID
	path, made = w.connect(a, object{"name": "caretaker", "method": "certificate", "credentials": given,
		"isAutoRotationEnabled": false, "rotation": nil})
	return path, made, certificate
}

// owned registers an application that owner may change.
func (w *world) owned(owner directory.Application) directory.Application {
	w.Helper()
	return w.sample(func(r *directory.Registration) {
		r.OwnsItself, r.Roles, r.Owners = false, nil, []string{owner.ServicePrincipalID}
	})
}

// The whole life of a connection by certificate and of what is rotated through it.
func TestCertificate(t *testing.T) {
	each(t, everywhere, options{propagation: 100 * time.Millisecond}, func(w *world) {
		a := w.sample()
		path, made, old := w.caretaker(a)
		if made.Method != "certificate" || made.Authentication == nil || made.Authentication.Thumbprint == nil ||
			made.Credentials["clientId"] != a.ClientID {
			w.Errorf("created: %+v", made)
		}
		w.exactly(a, a.KeyID)
		b := w.owned(a)
		targets := w.targetsOf(path, a, b)

		// Another certificate, while a target rotates: what the directory does not know is refused.
		fresh, given := w.certificate()
		w.refused(http.StatusBadRequest, "write", http.MethodPatch, path, object{"credentials": given})
		if now := w.get(path); now.CredentialsHash != made.CredentialsHash || *now.Authentication.Thumbprint != *made.Authentication.Thumbprint {
			w.Errorf("a refused certificate has changed %+v to %+v", made, now)
		}
		w.known(a, fresh)
		w.rotate(targets[0], object{"gracePeriodHours": 4.0 / 3600})
		now := w.patch("write", path, object{"credentials": given})
		if now.CredentialsHash == made.CredentialsHash || *now.Authentication.Thumbprint == *made.Authentication.Thumbprint {
			w.Errorf("after the change: %+v", now)
		}
		if err := w.services.Directory.RemoveCertificate(a.ObjectID, old); err != nil {
			w.Fatal(err)
		}
		w.through(targets[0], b)
		w.endOfTargets(path, targets[0], targets[1], b)
		w.exactly(a, a.KeyID)
	})
}

// A connection by certificate ends, and its name is free at once. What it authenticated with
// stays in the vault for ten minutes, for requests that still use it.
func TestEndOfCertificateConnection(t *testing.T) {
	each(t, []string{builtIn}, options{}, func(w *world) {
		a := w.sample()
		for range 2 {
			path, made, _ := w.caretaker(a)
			if names := w.names(); !slices.Equal(names, []string{made.Name}) {
				t.Errorf("there are %v", names)
			}
			w.deleted(path, "")
		}
		w.exactly(a, a.KeyID)
		if names := w.names(); len(names) != 0 {
			t.Errorf("the list has %v", names)
		}
	})
}

// targetsOf adds targets to the connection at path: b and one more, and rotates them. The
// connection's own application is a.
func (w *world) targetsOf(path string, a, b directory.Application) []string {
	w.Helper()
	c := w.owned(a)
	foreign, _ := w.password(b, inAYear())
	all := path + "/targets"
	turnOn := object{"clientId": b.ClientID, "isAutoRotationEnabled": true, "rotation": daily()}
	w.refused(http.StatusForbidden, "write", http.MethodPost, all, turnOn)
	stranger := w.sample(func(r *directory.Registration) { r.OwnsItself = false })
	first := w.one(w.call("rotate", http.MethodPost, all, object{"clientId": b.ClientID, "description": "payroll",
		"vaultSecretName": "payroll-secret", "isAutoRotationEnabled": true, "rotation": daily()}))
	one := all + "/" + first.ID
	first = w.settled(one)
	if first.Application.ObjectID != b.ObjectID || first.description() != "payroll" || first.VaultSecretName != "payroll-secret" ||
		first.Rotation.NextRotationAt == nil {
		w.Errorf("target %+v", first)
	}
	w.guard(b, "payroll-secret", foreign)
	w.exactly(b, b.KeyID, foreign, first.key())
	if w.works(b, "payroll-secret") == b.Secret {
		w.Error("of a target what is published is the client secret that it had")
	}
	w.refused(http.StatusConflict, "write", http.MethodPost, all, object{"clientId": b.ClientID})
	second := w.one(w.call("write", http.MethodPost, all, object{"objectId": c.ObjectID, "vaultSecretName": "second"}))
	two := all + "/" + second.ID
	w.rotate(two, nil)
	second = w.settled(two)
	w.exactly(c, c.KeyID, second.key())
	w.works(c, "second")
	if second.Rotation.NextRotationAt != nil {
		w.Errorf("a target without a schedule: %+v", second.Rotation)
	}
	got := w.call("rotate", http.MethodPost, all, object{"clientId": stranger.ClientID, "isAutoRotationEnabled": true, "rotation": daily()})
	w.strange(got, all, stranger)
	list := decode[struct{ Targets []view }](w, w.call("read", http.MethodGet, all, nil)).Targets
	if ids := idsOf(list); !slices.Contains(ids, first.ID) || !slices.Contains(ids, second.ID) {
		w.Errorf("targets %v, want %s and %s", ids, first.ID, second.ID)
	}
	w.refused(http.StatusBadRequest, "write", http.MethodDelete, path, nil, "targets")
	w.refused(http.StatusNotFound, "read", http.MethodGet, secrets+"/"+first.ID, nil)

	now := w.patch("write", one, object{"description": "salaries", "rotation": object{"rotationInterval": 9}})
	if now.description() != "salaries" || now.Rotation.RotationInterval != 9 || now.key() != first.key() {
		w.Errorf("changed target: %+v", now)
	}
	w.refused(http.StatusBadRequest, "write", http.MethodPatch, one, object{"credentials": credentials(b)})
	w.through(one, b)
	w.audited(one, "connection.created by rotate", "connection.changed by write", "rotation.requested by rotate")
	return []string{one, two}
}

func idsOf(list []view) (ids []string) {
	for _, v := range list {
		ids = append(ids, v.ID)
	}
	return ids
}

// strange takes the answer for a target that the connection may not change: it is refused, or
// it is there and says what is wrong; either way nothing is issued.
func (w *world) strange(got reply, all string, stranger directory.Application) {
	w.Helper()
	w.exactly(stranger, stranger.KeyID)
	if got.status == http.StatusOK {
		path := all + "/" + w.one(got).ID
		if v := w.get(path); len(v.Attention) == 0 && v.Rotation.RotationStatus == nil {
			w.Errorf("a target that can't be rotated does not say so: %+v", v)
		}
		w.deleted(path, "")
		return
	}
	w.refusal(got, "a target that the connection may not change", http.StatusBadRequest)
}

// through rotates a target by hand and by emergency.
func (w *world) through(path string, b directory.Application) {
	w.Helper()
	before := w.settled(path)
	others := slices.DeleteFunc(w.live(b), func(key string) bool { return key == before.key() })
	value := w.works(b, before.VaultSecretName)
	w.rotate(path, object{"gracePeriodHours": 2})
	second := w.settled(path)
	w.exactly(b, append([]string{before.key(), second.key()}, others...)...)
	if w.works(b, before.VaultSecretName) == value || !w.signsIn(b, value) {
		w.Error("in the grace period the new client secret is published and the old one works")
	}
	w.rotate(path, object{"emergency": true})
	third := w.settled(path)
	w.exactly(b, append([]string{third.key()}, others...)...)
	w.dead(b, value)
	w.works(b, before.VaultSecretName)
	runs, gone := w.history(path)
	want := []run{{"manual", "success", second.key(), "rotate"}, {"emergency", "success", third.key(), "rotate"}}
	if n := len(runs); n < 2 || !slices.Equal(runs[n-2:], want) {
		w.Errorf("history %+v", runs)
	}
	if !slices.Contains(gone, before.key()) || !slices.Contains(gone, second.key()) {
		w.Errorf("the history does not tell that %s and %s are gone: %v", before.key(), second.key(), gone)
	}
}

// endOfTargets deletes both targets, the first with what was issued for it, and their connection.
func (w *world) endOfTargets(path, first, second string, b directory.Application) {
	w.Helper()
	one, two := w.get(first), w.get(second)
	value := w.published(two.VaultSecretName)
	w.unguard()
	others := slices.DeleteFunc(w.live(b), func(key string) bool { return key == one.key() })
	w.deleted(first, "?revoke=true")
	w.until("the first target removed", func() bool {
		return w.published(one.VaultSecretName) == "" && slices.Equal(w.live(b), others)
	})
	w.deleted(second, "")
	w.until("the connection deleted", func() bool {
		got := w.call("write", http.MethodDelete, path, nil)
		return got.status == http.StatusOK
	})
	w.refused(http.StatusNotFound, "read", http.MethodGet, path, nil)
	if w.published(two.VaultSecretName) != value || value == "" {
		w.Error("what the second target has published does not stay")
	}
	w.audited(first, "connection.deleted")
}
