package functions_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rekey/shared/auth"
	"rekey/shared/emulator/directory"
)

// Where the files are, and how each was made, is told beside them.
func certificateFile(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "shared", "certificate", "testdata", "files", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// A PFX file that a program writes makes a connection that signs in, or is refused with
// words that say what to do. The same holds for a change.
func TestFormsOfPFX(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	b, _ := pem.Decode(certificateFile(t, "application.crt"))
	application, err := x509.ParseCertificate(b.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, password, refused string }{
		{"openssl-without-mac.p12", "x", ""},
		{"openssl-beyond-bmp.p12", "pä😀ss", ""},
		{"openssl-legacy-beyond-bmp.p12", "pä😀ss", ""},
		{"forged-ber.p12", "x", ""},
		{"forged-three-parts.p12", "x", ""},
		{"openssl-without-mac.p12", "y", "The password of the PFX file is wrong."},
		{"openssl-beyond-bmp.p12", "pä😁ss", "The password of the PFX file is wrong."},
		{"java-two-keys.p12", "password", "There are several private keys."},
		{"java-key-of-another-password.p12", "x", "one password for all of it."},
		{"openssl-rsa-pss.p12", "x", "with a plain RSA key"},
		{"openssl-negative-serial.p12", "x", "negative serial number"},
	} {
		a := w.sample()
		if err := w.stack.Directory.AddCertificate(a.ObjectID, application); err != nil {
			t.Fatal(err)
		}
		file := base64.StdEncoding.EncodeToString(certificateFile(t, tt.name))
		given := object{"tenantId": a.TenantID, "clientId": a.ClientID, "pfx": file, "password": tt.password}
		w.accepts(tt.name, given, tt.refused)
	}
}

// accepts creates a connection by certificate, and changes it to the same credentials, or
// sees both refused in the same words.
func (w *world) accepts(name string, given object, refused string) {
	w.Helper()
	body := object{"name": "given", "method": "certificate", "credentials": given, "isAutoRotationEnabled": false}
	made := w.call(auth.Write, http.MethodPost, secrets, body)
	if refused != "" {
		if made.status != http.StatusBadRequest || !strings.Contains(string(made.body), refused) {
			w.Errorf("%s: status %d: %s; want 400 with %q", name, made.status, made.body, refused)
		}
		return
	}
	if made.status != http.StatusOK {
		w.Errorf("%s: status %d: %s", name, made.status, made.body)
		return
	}
	id := w.one(made).ID
	changed := w.call(auth.Rotate, http.MethodPatch, secrets+"/"+id, object{"method": "certificate", "credentials": given})
	if changed.status != http.StatusOK {
		w.Errorf("%s, changed: status %d: %s", name, changed.status, changed.body)
	}
	if gone := w.call(auth.Admin, http.MethodDelete, secrets+"/"+id, nil); gone.status != http.StatusOK {
		w.Errorf("%s, deleted: status %d: %s", name, gone.status, gone.body)
	}
}

// PEM arrives as forms, environment files and settings of one line have left it.
func TestPEMOnItsWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	breaks := func(with string) func(string) string {
		return func(s string) string { return strings.ReplaceAll(s, "\n", with) }
	}
	for name, change := range map[string]func(string) string{
		"spaces":                  breaks(" "),
		"tabs":                    breaks("\t"),
		"no line breaks":          breaks(""),
		"carriage returns":        breaks("\r"),
		"escaped line breaks":     breaks(`\n`),
		"escaped twice":           breaks(`\\n`),
		"escaped and real breaks": breaks("\\n\n"),
		"byte order marks":        func(s string) string { return "\ufeff" + strings.ReplaceAll(s, "-----BEGIN", "\ufeff-----BEGIN") },
		"double quotes":           func(s string) string { return `"` + s + `"` },
		"a string of JSON":        func(s string) string { return `"` + breaks(`\n`)(s) + `"` },
		"single quotes":           func(s string) string { return "'" + s + "'" },
		"quotes on each line":     func(s string) string { return `"` + breaks("\\n\"\n\"")(s) + `"` },
	} {
		a := w.sample()
		body, key := w.certificate(a, w.clock.Now().AddDate(1, 0, 0))
		w.accepts(name, asPEM(a, change(body), change(key)), "")
		w.accepts(name+", in one text", asPEM(a, change(body+key), ""), "")
	}
}

func asPEM(a directory.Application, body, key string) object {
	return object{"tenantId": a.TenantID, "clientId": a.ClientID, "certificateBody": body, "privateKey": key}
}

// renamed is a PKCS#8 key that says that it is one of another kind.
func renamed(t *testing.T, key string, id asn1.ObjectIdentifier) string {
	t.Helper()
	b, _ := pem.Decode([]byte(key))
	var k struct {
		Version   int
		Algorithm pkix.AlgorithmIdentifier
		Key       []byte
	}
	if _, err := asn1.Unmarshal(b.Bytes, &k); err != nil {
		t.Fatal(err)
	}
	k.Algorithm = pkix.AlgorithmIdentifier{Algorithm: id}
	der, err := asn1.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: b.Type, Bytes: der}))
}

// Keys and certificates that cannot be used are called by their names.
func TestCertificatesThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	a := w.sample()
	body, key := w.certificate(a, w.clock.Now().AddDate(1, 0, 0))
	pss := renamed(t, key, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10})
	negative := string(certificateFile(t, "openssl-negative-serial.crt"))
	for name, tt := range map[string]struct{ body, key, refused string }{
		"negative serial number":            {negative, key, "make a new one and upload it"},
		"negative serial number of another": {body + negative, key, "leave out an issuer's"},
		"RSA-PSS":                           {body, pss, "plain RSA key"},
	} {
		w.accepts(name, asPEM(a, tt.body, tt.key), tt.refused)
	}
}
