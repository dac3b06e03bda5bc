package console_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"rekey/shared/auth"
	"rekey/shared/emulator/chromium"
)

// These tests look at the pages in a headless Chromium.

var screenshots = flag.String("screenshots", "", "a folder for pictures of every page")

// tab is a tab with the console of a world.
type tab struct {
	*world
	ctx context.Context
	url string
}

func open(t *testing.T, w *world) *tab {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(w.handler.ServeHTTP))
	t.Cleanup(server.Close)
	return &tab{w, chromium.ForTest(t), server.URL}
}

func (t *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, chromium.Patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

func look[T any](t *tab, what chromedp.Action[T]) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, chromium.Patience)
	defer cancel()
	got, err := chromedp.Run(ctx, what)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// setting changes how the browser shows pages.
func setting(f func(ctx context.Context, t *chromedp.Target) error) chromedp.Action[chromedp.Void] {
	return chromedp.Func(f)
}

func scheme(name string) chromedp.Action[chromedp.Void] {
	return setting(func(ctx context.Context, t *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}})
		return err
	})
}

func scripts(on bool) chromedp.Action[chromedp.Void] {
	return setting(func(ctx context.Context, t *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
		return err
	})
}

// looks are the ways in which pages are looked at.
var looks = []struct {
	name, scheme  string
	width, height int64
}{{"light", "light", 1280, 900}, {"dark", "dark", 1280, 900}, {"narrow", "light", 360, 740}}

// unruly is a name in several scripts, without a place to break it.
const unruly = "Ünïcode-名前-اسم-🔑" + "aVeryLongNameWithoutAnyPlaceToBreakItThatGoesOnForALongWhileIndeed"

// Every page, light, dark and narrow, is accessible by what axe-core checks of WCAG 2.2 AA, and is
// not wider than the screen.
func TestPagesAreAccessible(t *testing.T) {
	axe, err := os.ReadFile(filepath.Join("..", "..", "infra", "local", "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("axe-core is not installed: make azurite installs it, where there is npm")
	}
	w := newWorld(t, auth.Admin)
	w.everything(unruly)
	browser := open(t, w)
	for _, l := range looks {
		browser.do(scheme(l.scheme), chromedp.EmulateViewport(l.width, l.height))
		for _, path := range pages {
			browser.do(chromedp.Navigate(browser.url+path), chromedp.WaitReady(chromedp.CSS("#main")))
			browser.picture(l.name, path)
			if wide := look(browser, chromedp.Evaluate[int64]("document.scrollingElement.scrollWidth")); wide > l.width {
				t.Errorf("%s, %s: %d pixels wide", path, l.name, wide)
			}
			look(browser, chromedp.Evaluate[bool](string(axe)+"; true"))
			found := look(browser, chromedp.Evaluate[string](`axe.run(document, {runOnly:
				["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]}).then(
				r => JSON.stringify(r.violations.map(v => ({id: v.id, help: v.help, at: v.nodes.slice(0, 3).map(n => n.html.slice(0, 300))}))))`,
				chromedp.EvalAwaitPromise))
			var violations []struct {
				ID, Help string
				At       []string
			}
			if err := json.Unmarshal([]byte(found), &violations); err != nil {
				t.Fatal(err)
			}
			for _, v := range violations {
				t.Errorf("%s, %s: %s (%s): %q", path, l.name, v.ID, v.Help, v.At)
			}
		}
	}
}

// picture keeps a picture of the page, where that was asked for.
func (t *tab) picture(look1, path string) {
	t.Helper()
	if *screenshots == "" {
		return
	}
	name := strings.NewReplacer("/", "_", "?", "_", "=", "-").Replace(strings.Trim(path, "/")) + "-" + look1 + ".png"
	if err := os.WriteFile(filepath.Join(*screenshots, name), look(t, chromedp.FullScreenshot(100)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// By keyboard alone: from the top of the page to a button, and back to the overview, with the focus
// always visible.
func TestKeyboard(t *testing.T) {
	w := newWorld(t, auth.Admin)
	w.everything("billing")
	w.answer("POST", secrets+"/"+id+"/rotate-credentials", 200, object{"appConnection": connection("billing")})
	browser := open(t, w)
	browser.do(chromedp.Navigate(browser.url + "/console/connections/" + id))
	browser.focus("Skip to the page")
	browser.do(chromedp.KeyEvent("\r"))
	browser.focus("Rotate now")
	if outline := look(browser, chromedp.Evaluate[string]("getComputedStyle(document.activeElement).outlineStyle")); outline == "none" {
		t.Error("the focus can't be seen")
	}
	browser.do(chromedp.KeyEvent("\r"), chromedp.WaitVisible(chromedp.CSS("[role=status]")))
	if writes := w.writes(); len(writes) != 1 {
		t.Errorf("%d requests", len(writes))
	}
	browser.focus("Overview")
	browser.do(chromedp.KeyEvent("\r"), chromedp.WaitVisible(chromedp.CSS("body#overview")))
}

// focus presses Tab until what is focused has that text.
func (t *tab) focus(text string) {
	t.Helper()
	for range 200 {
		t.do(chromedp.KeyEvent("\t"))
		if look(t, chromedp.Evaluate[string]("document.activeElement.textContent.trim()")) == text {
			return
		}
	}
	t.Fatalf("Tab does not lead to %q", text)
}

// Without JavaScript every button does the same; what needs it is not there.
func TestWithoutJavaScript(t *testing.T) {
	w := newWorld(t, auth.Admin)
	w.everything("billing")
	w.answer("POST", secrets+"/"+id+"/rotate-credentials", 200, object{"appConnection": connection("billing")})
	w.answer("PATCH", secrets+"/"+id, 200, object{"appConnection": connection("billing")})
	browser := open(t, w)
	browser.do(scripts(false), chromedp.Navigate(browser.url+"/console/connections"), chromedp.Click(chromedp.CSS("#connections-table tbody a")),
		chromedp.WaitVisible(chromedp.CSS("body#connection")))
	for _, path := range []string{"rotate", "pause"} {
		browser.do(chromedp.Navigate(browser.url+"/console/connections/"+id), // which has no status yet to wait for
			chromedp.Click(chromedp.CSS(fmt.Sprintf("form[action$='/%s'] button", path))),
			chromedp.WaitVisible(chromedp.CSS("[role=status]")))
	}
	browser.do(chromedp.Navigate(browser.url+"/console/connections/"+id),
		chromedp.Click(chromedp.CSS("a[href$='/emergency']")), chromedp.WaitVisible(chromedp.CSS("#confirm")),
		chromedp.SendKeys(chromedp.CSS("#confirm"), "billing"), chromedp.Click(chromedp.CSS("button.danger")),
		chromedp.WaitVisible(chromedp.CSS("[role=status]")))
	if writes := w.writes(); len(writes) != 3 {
		t.Errorf("%+v", writes)
	}
	browser.do(chromedp.WaitNotVisible(chromedp.CSS(".js")))
}

// With JavaScript a table is filtered while one types, and a run under way is loaded again in its
// place.
func TestScript(t *testing.T) {
	w := newWorld(t, auth.Admin)
	w.everything("billing")
	other := connection("reporting")
	w.answer("GET", secrets, 200, object{"appConnections": []object{connection("billing"), other}})
	under := connection("billing")
	under["rotation"].(object)["state"], under["rotation"].(object)["settled"] = "verifying", false
	w.answer("GET", secrets+"/"+id, 200, object{"appConnection": under})
	browser := open(t, w)
	browser.do(chromedp.Navigate(browser.url+"/console/connections"), chromedp.WaitVisible(chromedp.CSS("[data-filters]")),
		chromedp.SendKeys(chromedp.CSS("[data-filters]"), "REPORT"))
	left := chromedp.Evaluate[int64]("[...document.querySelectorAll('#connections-table tbody tr')].filter(r => !r.hidden).length")
	if n := look(browser, left); n != 1 {
		t.Errorf("%d rows are left", n)
	}
	browser.do(chromedp.Navigate(browser.url+"/console/connections/"+id), chromedp.WaitVisible(chromedp.CSS("[data-refresh] .steps")))
	w.answer("GET", secrets+"/"+id, 200, object{"appConnection": connection("billing")})
	browser.do(chromedp.WaitNotPresent(chromedp.CSS("[data-refresh]")), chromedp.WaitVisible(chromedp.CSS("#status")))
	browser.checks()
}

// checks: a check shows its result in the form as it is, so that what is secret stays, and connects nothing.
func (t *tab) checks() {
	t.Helper()
	t.answer("POST", secrets+"/inspect", 200, object{"test": object{"authenticates": true, "canRotate": true},
		"inspection": object{"candidates": []object{{"keyId": "candidate-1", "of": "application"}}}})
	t.do(chromedp.Navigate(t.url+"/console/connect"), chromedp.SendKeys(chromedp.CSS("#clientSecret"), "entered"),
		chromedp.Click(chromedp.CSS("button[data-check]")), chromedp.WaitVisible(chromedp.CSS("#checked table")),
		chromedp.WaitVisible(chromedp.CSS("select#clientSecretKeyId")), chromedp.WaitNotPresent(chromedp.CSS(".again")))
	if kept := look(t, chromedp.Evaluate[string]("document.getElementById('clientSecret').value")); kept != "entered" {
		t.Errorf("the secret is lost: %q", kept)
	}
	if writes := t.writes(); len(writes) != 1 || writes[0].path != secrets+"/inspect" {
		t.Errorf("%+v", writes)
	}
}
