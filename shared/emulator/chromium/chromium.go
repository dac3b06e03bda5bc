// Package chromium starts a headless Chromium for tests of pages, as shared/emulator/azurite starts
// Azurite: where there is none the test is skipped, in words, and in CI that is a failure.
package chromium

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// names are those under which a Chromium may be on PATH.
var names = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"}

// Patience ends a wait for what never comes. How long a step takes is no matter.
const Patience = 5 * time.Minute

// ForTest starts a Chromium with an empty profile, which ends with the test. The profile is not in t.TempDir: processes
// of Chromium outlive it by a moment and write there, so that to remove it at once may fail. chromedp ends them first.
func ForTest(t *testing.T) context.Context {
	t.Helper()
	ctx, stop := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()),
		chromedp.ExecPath(program(t)), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.IgnoreCertErrors, // no browser knows the emulator's authority
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true), chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("hide-scrollbars", true), chromedp.WSURLReadTimeout(Patience)) // where the machine is busy
	t.Cleanup(stop)
	ctx, end := chromedp.NewContext(ctx)
	t.Cleanup(end)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("starting Chromium: %v", err)
	}
	return ctx
}

func program(t *testing.T) string {
	t.Helper()
	for _, name := range names {
		if found, err := exec.LookPath(name); err == nil {
			return found
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("no Chromium is on PATH; CI has to install one")
	}
	t.Skip("no Chromium is on PATH, so that the pages are not tested in a real browser: install the package chromium")
	return ""
}
