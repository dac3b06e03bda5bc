package certificate_test

import (
	"errors"
	"testing"

	"software.sslmate.com/src/go-pkcs12"

	"rekey/shared/certificate"
)

// Whatever is given: no panic, every error is for people, and a certificate has its
// own key and is read again as the same one.
func FuzzParse(f *testing.F) {
	f.Add(text(leaf, middle, root), text(key), "", "")
	f.Add(text(key, single), "", "", "")
	f.Add(b64(single.Raw), b64(pkcs8(key)), "", "")
	f.Add("", pkcs1(key)+text(single), "", "")
	f.Add(text(expired, stranger), text(otherKey), "", "")
	f.Add("", "", pfx(pkcs12.Modern2023, key, leaf, "x", middle), "x")
	f.Add("", "", pfx(pkcs12.Modern2026, key, single, "x"), "x")
	f.Add("", "", pfx(pkcs12.LegacyRC2, key, single, "x"), "x")
	f.Add("", "", pfx(pkcs12.Passwordless, key, leaf, "", middle), "")
	for _, tt := range hostile() {
		f.Add("", "", b64(tt.file), "x")
	}
	f.Add("", "", b64(file(sealedBags(certBag(), keyBag(aesBy(1))))), "x")
	f.Add("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n", "\ufeff", "", "")
	f.Fuzz(func(t *testing.T, body, private, pfx, password string) {
		c, err := parse(body, private, pfx, password)
		if err != nil {
			if friendly, ok := errors.AsType[*certificate.Error](err); !ok || friendly.Message == "" {
				t.Errorf("error without a message for the caller: %v", err)
			}
			return
		}
		if !c.Key.PublicKey.Equal(c.Leaf.PublicKey) {
			t.Error("the key is not the certificate's")
		}
		if again, err := certificate.Read(c.PEM); err != nil || again.PEM != c.PEM || !again.Leaf.Equal(c.Leaf) {
			t.Errorf("reading it again: %v", err)
		}
	})
}

// What is read as bytes, so that the fuzzer need not find base64: a file whose bounds are
// kept is read to the end, and one that asks for too much is never accepted.
func FuzzPFX(f *testing.F) {
	for _, tt := range hostile() {
		f.Add(tt.file, "x")
	}
	f.Add(file(sealedBags(certBag(), keyBag(aesBy(1)))), "x")
	f.Add(must(pkcs12.LegacyRC2.WithIterations(1).Encode(key, single, nil, "")), "")
	f.Add(must(pkcs12.Modern2026.WithIterations(1).Encode(key, single, nil, "x")), "x")
	f.Fuzz(func(t *testing.T, file []byte, password string) {
		work, refused := certificate.Work(file, password)
		_, err := parse("", "", b64(file), password)
		if err == nil && (refused != nil || work > certificate.MaxWork) {
			t.Errorf("accepted with %d hashes, %v", work, refused)
		}
	})
}
