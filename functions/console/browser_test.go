package console_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	documents "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"rekey/shared/auth"
	"rekey/shared/emulator/chromium"
	"rekey/shared/session"
)

// These tests look at the pages in a headless Chromium, a few things in a few pages, since every make
// test runs them: make console-check goes through all pages and actions, in every way.

func TestInABrowser(t *testing.T) {
	browser := chromium.ForTest(t)
	for _, test := range []struct {
		name string
		run  func(w *world, b *tab)
	}{
		{"accessible", accessible},
		{"keyboard", keyboard},
		{"without JavaScript", withoutJavaScript},
		{"script", script},
		{"button at work", buttonAtWork},
		{"check", checks},
		{"refresh goes on", refreshGoesOn},
		{"plots are readable", plotsAreReadable},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, auth.Admin)
			w.everything("billing")
			test.run(w, w.tab(browser))
		})
	}
}

// tab is a tab with the console of a world.
type tab struct {
	*world
	ctx context.Context
	url string
}

func (w *world) tab(browser context.Context) *tab {
	w.Helper()
	server := httptest.NewServer(http.HandlerFunc(w.handler.ServeHTTP))
	w.Cleanup(server.Close)
	ctx, closeTab := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	w.Cleanup(closeTab)
	if err := chromedp.Do(ctx); err != nil {
		w.Fatalf("opening a tab: %v", err)
	}
	return &tab{w, ctx, server.URL}
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

func scripts(on bool) chromedp.Action[chromedp.Void] {
	return setting(func(ctx context.Context, t *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
		return err
	})
}

// hasty makes timers of pages run a hundred times as fast.
func hasty() chromedp.Action[chromedp.Void] {
	return setting(func(ctx context.Context, t *chromedp.Target) error {
		_, err := chromedp.Call(ctx, documents.AddScriptToEvaluateOnNewDocument, documents.AddScriptToEvaluateOnNewDocumentParams{
			Source: "{ const wait = window.setTimeout; window.setTimeout = (f, ms) => wait(f, ms / 100); }"})
		return err
	})
}

// unruly is a name in several scripts, without a place to break it.
const unruly = "Ünïcode-名前-اسم-🔑" + "aVeryLongNameWithoutAnyPlaceToBreakItThatGoesOnForALongWhileIndeed"

// Pages are accessible on a narrow screen by what axe-core checks of WCAG 2.2 AA, and not wider than it.
func accessible(w *world, b *tab) {
	axe, err := os.ReadFile(filepath.Join("..", "..", "infra", "local", "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		if os.Getenv("CI") == "true" {
			w.Fatal(err)
		}
		w.Skip("axe-core is not installed: make azurite installs it, where there is npm")
	}
	w.everything(unruly)
	b.do(chromedp.EmulateViewport(360, 740))
	for _, path := range []string{"/console", "/console/connections", "/console/connect", "/console/connections/" + id,
		"/console/inventory", "/console/inventory/" + tenantID + "/" + clientID, "/console/sign-in"} {
		b.do(chromedp.Navigate(b.url+path), chromedp.WaitReady(chromedp.CSS("#main")))
		if wide := look(b, chromedp.Evaluate[int64]("document.scrollingElement.scrollWidth")); wide > 360 {
			w.Errorf("%s: %d pixels wide", path, wide)
		}
		look(b, chromedp.Evaluate[bool](string(axe)+"; true"))
		found := look(b, chromedp.Evaluate[string](`axe.run(document, {runOnly:
			["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]}).then(
			r => r.violations.map(v => v.help + ": " + v.nodes.slice(0, 3).map(n => n.html.slice(0, 300))).join("\n"))`,
			chromedp.EvalAwaitPromise))
		if found != "" {
			w.Errorf("%s: %s", path, found)
		}
	}
}

// By keyboard alone: from the top of the page to a button, and back to the overview, with the focus
// always visible.
func keyboard(w *world, b *tab) {
	w.answer("POST", secrets+"/"+id+"/rotate-credentials", 200, object{"appConnection": connection("billing")})
	b.do(chromedp.Navigate(b.url + "/console/connections/" + id))
	b.focus("Skip to the page")
	b.do(chromedp.KeyEvent("\r"))
	b.focus("Rotate now")
	if outline := look(b, chromedp.Evaluate[string]("getComputedStyle(document.activeElement).outlineStyle")); outline == "none" {
		w.Error("the focus can't be seen")
	}
	b.do(chromedp.KeyEvent("\r"), chromedp.WaitVisible(chromedp.CSS("[role=status]")))
	if writes := w.writes(); len(writes) != 1 {
		w.Errorf("%d requests", len(writes))
	}
	b.focus("Overview")
	b.do(chromedp.KeyEvent("\r"), chromedp.WaitVisible(chromedp.CSS("body#overview")))
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

// Without JavaScript links lead on and buttons do the same; what needs it is not there.
func withoutJavaScript(w *world, b *tab) {
	w.answer("POST", secrets+"/"+id+"/rotate-credentials", 200, object{"appConnection": connection("billing")})
	b.do(scripts(false), chromedp.Navigate(b.url+"/console/connections"), chromedp.Click(chromedp.CSS("tbody a")),
		chromedp.WaitVisible(chromedp.CSS("a[href$='/emergency']")), chromedp.WaitNotVisible(chromedp.CSS(".js")),
		chromedp.Click(chromedp.CSS("a[href$='/emergency']")), chromedp.WaitVisible(chromedp.CSS("#confirm")),
		chromedp.SendKeys(chromedp.CSS("#confirm"), "billing"), chromedp.Click(chromedp.CSS("button.danger")),
		chromedp.WaitVisible(chromedp.CSS("[role=status]")))
	if writes := w.writes(); len(writes) != 1 {
		w.Errorf("%+v", writes)
	}
}

// With JavaScript a table is filtered while one types.
func script(w *world, b *tab) {
	w.answer("GET", secrets, 200, object{"appConnections": []object{connection("billing"), connection("reporting")}})
	b.do(chromedp.Navigate(b.url+"/console/connections"), chromedp.WaitVisible(chromedp.CSS("[data-filters]")),
		chromedp.SendKeys(chromedp.CSS("[data-filters]"), "REPORT"))
	left := chromedp.Evaluate[int64]("[...document.querySelectorAll('tbody tr')].filter(r => !r.hidden).length")
	if n := look(b, left); n != 1 {
		w.Errorf("%d rows are left", n)
	}
}

// A button that was pressed says so and can't be pressed again until there is an answer, also one in a part of
// the page that was loaded again. Back on the page it is as it was.
func buttonAtWork(w *world, browser *tab) {
	under := connection("billing")
	under["attention"] = []string{"sign-in"}
	under["method"] = "oauth"
	under["rotation"].(object)["settled"] = false
	w.answer("GET", secrets+"/"+id, 200, object{"appConnection": under})
	answered, answer := context.WithCancel(w.Context())
	defer answer()
	api := w.handler.API
	w.handler.API = http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			<-answered.Done()
		}
		api.ServeHTTP(out, r)
	})
	const button = "[data-refresh] form[action$='/reconnect'] button"
	browser.do(hasty(), chromedp.Navigate(browser.url+"/console/connections/"+id), chromedp.WaitVisible(chromedp.CSS(button)))
	look(browser, chromedp.Evaluate[bool]("document.querySelector('[data-refresh]').firstChild.id = 'before'; true"))
	browser.do(chromedp.WaitNotPresent(chromedp.CSS("#before")))
	says := look(browser, chromedp.Evaluate[string](`(async () => {
		const button = document.querySelector("`+button+`"), is = () => button.textContent + " " + button.disabled + " " + button.isConnected;
		button.click();
		await new Promise(then => setTimeout(then, 20000)); // which is hasty: the part would be loaded again some times
		const pressed = is();
		dispatchEvent(new PageTransitionEvent("pageshow"));
		return pressed + ", " + is();
	})()`, chromedp.EvalAwaitPromise))
	if says != "Working… true true, Sign in again false true" {
		w.Errorf("the button is %s", says)
	}
	answer()
	browser.do(chromedp.WaitNotPresent(chromedp.CSS(button)))
}

// A check shows its result in the form as it is, so that what is secret stays, and connects nothing. The commands
// above know then what was entered, and their buttons copy.
func checks(w *world, b *tab) {
	w.answer("POST", secrets+"/inspect", 200, object{"test": object{"authenticates": true, "canRotate": true},
		"inspection": object{"candidates": []object{{"keyId": "candidate-1", "of": "application"}}}})
	b.do(chromedp.Navigate(b.url+"/console/connect"), chromedp.Click(chromedp.CSS("#first > summary")),
		chromedp.SendKeys(chromedp.CSS("#clientId"), clientID), chromedp.SendKeys(chromedp.CSS("#clientSecret"), "entered"),
		chromedp.Click(chromedp.CSS("button[data-check]")), chromedp.WaitVisible(chromedp.CSS("#checked table")),
		chromedp.WaitVisible(chromedp.CSS("select#clientSecretKeyId")), chromedp.WaitNotPresent(chromedp.CSS(".again")))
	if kept := look(b, chromedp.Evaluate[string]("document.getElementById('clientSecret').value")); kept != "entered" {
		w.Errorf("the secret is lost: %q", kept)
	}
	copied := look(b, chromedp.Evaluate[string](`new Promise(copied => {
		navigator.clipboard.writeText = copied;
		document.querySelector("#first[open] [data-copy]").click();
	})`, chromedp.EvalAwaitPromise))
	if !strings.Contains(copied, "az ad sp create --id "+clientID) || strings.Contains(copied, "CLIENT_ID=") {
		w.Errorf("it copies %q", copied)
	}
	if writes := w.writes(); len(writes) != 1 || writes[0].path != secrets+"/inspect" {
		w.Errorf("%+v", writes)
	}
	// What is not let through is told there, and takes nothing away of what was entered.
	w.problem = session.Unsent
	b.do(chromedp.Click(chromedp.CSS("button[data-check]")), chromedp.WaitVisible(chromedp.CSS("#checked .field-error")))
	kept := look(b, chromedp.Evaluate[string](
		"document.getElementById('clientSecret').value + document.getElementById('checked').textContent"))
	if kept != "entered"+w.problem.Message() {
		w.Errorf("it shows %q", kept)
	}
}

// What is under way is loaded again until it has ended, also after the API did not answer once; and what
// the button has done is not told again by that.
func refreshGoesOn(w *world, browser *tab) {
	under := connection("billing")
	under["rotation"].(object)["state"], under["rotation"].(object)["settled"] = "verifying", false
	w.answer("GET", secrets+"/"+id, 200, object{"appConnection": under})
	browser.do(hasty(), chromedp.Navigate(browser.url+"/console/connections/"+id+"?done=rotation"),
		chromedp.WaitVisible(chromedp.CSS("[data-refresh] .steps")),
		chromedp.WaitVisible(chromedp.CSS("[role=status]")))
	if at := look(browser, chromedp.Evaluate[string]("location.search")); at != "" {
		w.Errorf("a reload tells it again: %s", at)
	}
	// Also where the focus is in that part, which stays where it is.
	look(browser, chromedp.Evaluate[bool]("const part = document.querySelector('[data-refresh]'); "+
		"part.firstChild.id = 'before'; [...part.querySelectorAll('a')].at(-1).focus(); true"))
	browser.do(chromedp.WaitNotPresent(chromedp.CSS("#before")))
	if at := look(browser, chromedp.Evaluate[string]("document.activeElement.textContent")); at != "Look again" {
		w.Errorf("the focus is at %q", at)
	}
	refused := make(chan bool, 1)
	api := w.handler.API
	w.handler.API = http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		select {
		case refused <- true:
			w.answer("GET", secrets+"/"+id, 200, object{"appConnection": connection("billing")})
			out.WriteHeader(http.StatusServiceUnavailable)
		default:
			api.ServeHTTP(out, r)
		}
	})
	browser.do(chromedp.WaitNotPresent(chromedp.CSS("[data-refresh]")), chromedp.WaitVisible(chromedp.CSS("#status")),
		chromedp.WaitNotPresent(chromedp.CSS("[role=status]")))
}

// On a narrow screen a plot's texts are as large as one can read, and none is cut off.
func plotsAreReadable(w *world, browser *tab) {
	browser.do(chromedp.EmulateViewport(360, 740), chromedp.Navigate(browser.url+"/console"), chromedp.WaitVisible(chromedp.CSS(".plot text")))
	smallest := look(browser, chromedp.Evaluate[float64](
		"Math.min(...[...document.querySelectorAll('.plot text')].map(e => e.getBoundingClientRect().height))"))
	if smallest < 10 {
		w.Errorf("a text is %.1f pixels high", smallest)
	}
	if cut := look(browser, chromedp.Evaluate[int64](`[...document.querySelectorAll(".plot text")].filter(e => {
		const text = e.getBoundingClientRect(), plot = e.closest("figure").getBoundingClientRect();
		return text.left < 0 || text.right > innerWidth || text.top < plot.top - 8 || text.bottom > plot.bottom;
	}).length`)); cut > 0 {
		w.Errorf("%d texts are cut off", cut)
	}
}
