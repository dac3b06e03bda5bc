//go:build consolecheck

package consolecheck

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"

	"rekey/shared/emulator/directory"
)

// certificate is that of an application that signs in with it.
type certificate struct{ clientID, body, key string }

func (w *world) certificate() certificate {
	w.Helper()
	must := func(err error) {
		if err != nil {
			w.Fatal(err)
		}
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	now := time.Now()
	template := &x509.Certificate{SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "console check"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(err)
	parsed, err := x509.ParseCertificate(der)
	must(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(err)
	app := w.add(directory.Settings{DisplayName: "caretaker", Roles: []string{directory.RoleReadWriteOwnedBy},
		Certificates: []*x509.Certificate{parsed}})
	return certificate{app.ClientID, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))}
}

// download presses what leads to a file, and returns it.
func (b *tab) download(selector string) string {
	b.Helper()
	dir := b.TempDir()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	events := true
	_, err := chromedp.CallBrowser(ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllowAndName, DownloadPath: dir, EventsEnabled: &events})
	if err != nil {
		b.Fatal(err)
	}
	done := chromedp.BrowserEvents(ctx, browser.DownloadProgress)
	b.press(selector)
	for e, err := range done {
		if err != nil || e.State == browser.DownloadProgressStateCanceled {
			b.Fatalf("downloading: %v", err)
		}
		if e.State == browser.DownloadProgressStateCompleted {
			data, err := os.ReadFile(filepath.Join(dir, e.GUID))
			if err != nil {
				b.Fatal(err)
			}
			return string(data)
		}
	}
	b.Fatal("no file came")
	return ""
}
