//go:build consolecheck

package consolecheck

import (
	"context"
	"encoding/json"
	"iter"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"rekey/shared/emulator/chromium"
)

// void is an action without a result.
type void = chromedp.Action[chromedp.Void]

// tab is a tab of a browser, and how a person uses it.
type tab struct {
	*world
	way
	ctx context.Context

	seen *problems
}

// problems are what the browser has refused, or what went elsewhere.
type problems struct {
	mu   sync.Mutex
	list []string
}

// tab opens a tab in a new Chromium.
func (w *world) tab(how way) *tab {
	w.Helper()
	b := &tab{world: w, way: how, ctx: chromium.ForTest(w.T), seen: &problems{}}
	if err := chromedp.Listen(b.ctx, b.notice); err != nil {
		w.Fatal(err)
	}
	b.do(enable, chromedp.EmulateViewport(1280, 900), setting(func(ctx context.Context) error {
		_, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !how.scripts})
		return err
	}))
	return b
}

// in is the tab in the hands of another test.
func (b *tab) in(t *testing.T) *tab {
	w := *b.world
	w.T = t
	return &tab{world: &w, way: b.way, ctx: b.ctx, seen: b.seen}
}

func setting(f func(ctx context.Context) error) void {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error { return f(ctx) })
}

var enable = setting(func(ctx context.Context) error {
	if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
		return err
	}
	_, err := chromedp.Call(ctx, log.Enable, cdp.Empty{})
	return err
})

// notice keeps what must not be. A status that is no success is for the test to judge.
func (b *tab) notice(event any) {
	problem := ""
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if e.Entry.Source != log.EntrySourceNetwork {
			problem = string(e.Entry.Source) + ": " + e.Entry.Text
		}
	case *runtime.EventExceptionThrown:
		problem = "exception: " + e.ExceptionDetails.Text
	case *runtime.EventConsoleAPICalled:
		problem = "console: " + string(e.Type)
	case *network.EventRequestWillBeSent:
		at := e.Request.URL
		own := strings.HasPrefix(at, b.url+"/") || strings.HasPrefix(at, b.services.AuthorityURL+"/") && e.Type == network.ResourceTypeDocument
		if !own && !strings.HasPrefix(at, "data:") && !strings.HasPrefix(at, "about:") {
			problem = "a request to another origin: " + at
		}
	}
	if problem != "" {
		b.seen.mu.Lock()
		defer b.seen.mu.Unlock()
		b.seen.list = append(b.seen.list, problem)
	}
}

// quiet fails the test for what was noticed, once.
func (b *tab) quiet() {
	b.Helper()
	b.seen.mu.Lock()
	defer b.seen.mu.Unlock()
	for _, p := range b.seen.list {
		b.Errorf("the browser says: %s", p)
	}
	b.seen.list = nil
}

func (b *tab) do(steps ...void) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.Fatalf("%v, at %s, which shows\n%s", err, b.at(), b.text("body"))
	}
}

func look[T any](b *tab, what chromedp.Action[T]) T {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	got, err := chromedp.Run(ctx, what)
	if err != nil {
		b.Fatal(err)
	}
	return got
}

// ask calls a function in the page.
func ask[T any](b *tab, function string, args ...any) T {
	b.Helper()
	data, err := json.Marshal(append([]any{}, args...))
	if err != nil {
		b.Fatal(err)
	}
	return look(b, chromedp.Evaluate[T]("("+function+")(..."+string(data)+")", chromedp.EvalAwaitPromise))
}

func (b *tab) at() string {
	return look(b, chromedp.Evaluate[string]("location.pathname + location.search"))
}

// text is the text of what a selector finds first; empty if there is nothing.
func (b *tab) text(selector string) string {
	b.Helper()
	return ask[string](b, `s => { const e = document.querySelector(s); return e ? e.innerText : "" }`, selector)
}

// has reports whether the page has what a selector finds.
func (b *tab) has(selector string) bool {
	b.Helper()
	return ask[bool](b, `s => document.querySelector(s) !== null`, selector)
}

// loading runs steps that lead to another page, and waits until that is there.
func (b *tab) loading(steps ...void) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	next, stop := iter.Pull2(chromedp.Events(ctx, page.LoadEventFired))
	defer stop()
	b.do(steps...)
	if _, err, ok := next(); err != nil || !ok {
		b.Fatalf("no other page came: %v, at %s, which shows\n%s", err, b.at(), b.text("body"))
	}
	// The page may lead on at once, and what is asked has to be asked of one that stays.
	b.do(chromedp.WaitReady(chromedp.CSS("body")))
}

// open goes to an address of the console.
func (b *tab) open(path string) {
	b.Helper()
	b.do(chromedp.Navigate(b.url+path), chromedp.WaitReady(chromedp.CSS("body")))
}

// shows fails unless the page has the texts.
func (b *tab) shows(texts ...string) {
	b.Helper()
	all := b.text("body")
	for _, text := range texts {
		if !strings.Contains(all, text) {
			b.Errorf("%s has no %q:\n%s", b.at(), text, all)
		}
	}
}

// signIn signs in by the key of a caller, on the way to a page.
func (b *tab) signIn(caller, path string) {
	b.Helper()
	b.open(path)
	b.enter("#key", b.keys[caller])
	b.follow("#by-key")
	if at := b.at(); at != path {
		b.Fatalf("signed in, and led to %s, which shows\n%s", at, b.text("body"))
	}
}
