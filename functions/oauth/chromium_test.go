package oauth_test

import (
	"context"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"rekey/shared/emulator/chromium"
	"rekey/shared/oauth"
)

// These tests go through the flow in a headless Chromium: our pages, the emulated
// Entra's, cookies, policies and history as a real browser has them.

// tab is a tab of a browser.
type tab struct {
	w   *world
	ctx context.Context

	mu        sync.Mutex
	callbacks []string // the addresses that Entra has led back to
}

// tab opens a tab in the browser of ctx, or with separate in one of its own, which
// shares no cookies with any other.
func (w *world) tab(ctx context.Context, separate bool) *tab {
	w.Helper()
	var options []chromedp.ContextOption
	if separate {
		options = append(options, chromedp.WithNewBrowserContext())
	}
	ctx, closeTab := chromedp.NewContext(ctx, options...)
	w.Cleanup(closeTab)
	t := &tab{w: w, ctx: ctx}
	err := chromedp.Listen(ctx, func(event any) {
		if sent, ok := event.(*network.EventRequestWillBeSent); ok && strings.HasPrefix(sent.Request.URL, w.url+oauth.CallbackPath+"?") {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.callbacks = append(t.callbacks, sent.Request.URL)
		}
	})
	if err == nil {
		_, err = chromedp.Call(ctx, network.Enable, network.EnableParams{})
	}
	if err != nil {
		w.Fatalf("opening a tab: %v", err)
	}
	return t
}

// step is something that a person does, or waits for.
type step = chromedp.Action[chromedp.Void]

// run takes steps.
func (t *tab) run(steps ...step) {
	t.w.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, chromium.Patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		address, _, _ := strings.Cut(read(t, chromedp.Location()), "?")
		t.w.Fatalf("%v, at %s, which shows\n%s", err, address, read(t, chromedp.Text(chromedp.CSS("body"))))
	}
}

// clickTwice presses a button, and once more when the first request of that is under
// way.
func (t *tab) clickTwice(selector string, requests *pair) {
	t.w.Helper()
	at := read(t, chromedp.Dimensions(chromedp.CSS(selector))).Content
	press := chromedp.MouseClickXY((at[0]+at[4])/2, (at[1]+at[5])/2)
	t.run(press)
	for _, arrived := range []chan struct{}{requests.first, requests.second} {
		select {
		case <-arrived:
		case <-time.After(chromium.Patience):
			t.w.Fatalf("pressing %s sent too little", selector)
		}
		if arrived == requests.first {
			t.run(press)
		}
	}
}

// read looks at something.
func read[T any](t *tab, what chromedp.Action[T]) T {
	t.w.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, chromium.Patience)
	defer cancel()
	got, err := chromedp.Run(ctx, what)
	if err != nil {
		t.w.Fatal(err)
	}
	return got
}

// wait waits for an element.
func wait(selector string) step { return chromedp.WaitVisible(chromedp.CSS(selector)) }

func click(selector string) step { return chromedp.Click(chromedp.CSS(selector)) }

// depart opens a link and presses its button, until Entra's page is there.
func (t *tab) depart(link string) {
	t.w.Helper()
	t.run(chromedp.Navigate(link), wait("#continue"), click("#continue"), wait("#sign-in #approve"))
}

// choose chooses who to be on Entra's page, and presses a button.
func (t *tab) choose(user, button string) {
	t.w.Helper()
	t.run(click("#user-"+user), click(button))
}

// ends waits for the result page and checks what it is about, and what the browser
// remembers of the way there.
func (t *tab) ends(want string) {
	t.w.Helper()
	t.run(wait("body#result:not(.still-working), body#problem"))
	got, message := read(t, chromedp.AttributeValue(chromedp.CSS("body"), "class")).Value, read(t, chromedp.Text(chromedp.CSS("#message")))
	history := read(t, chromedp.NavigationEntries())
	if got != want || message == "" {
		t.w.Errorf("it ended with %q (%s), want %q", got, message, want)
	}
	entries := history.Entries
	if int(history.CurrentIndex) != len(entries)-1 || !strings.HasPrefix(entries[history.CurrentIndex].URL, t.w.url+oauth.ResultPath+"?") {
		t.w.Errorf("the last page in the history is not the result")
	}
	for _, entry := range entries {
		if strings.Contains(entry.URL, "code=") || strings.Contains(entry.URL, oauth.CallbackPath+"?") {
			t.w.Errorf("the history has an address with a code")
		}
		for _, secret := range t.w.issued() {
			if strings.Contains(entry.URL, secret) {
				t.w.Errorf("the history has a secret of %d characters", len(secret))
			}
		}
	}
}

func (w *world) issued() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.secrets...)
}

// callback is the last address that Entra has led back to.
func (t *tab) callback() string {
	t.w.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.callbacks) == 0 {
		t.w.Fatal("Entra has not led back")
	}
	return t.callbacks[len(t.callbacks)-1]
}

// pair holds the first request of a kind until the second is there.
type pair struct {
	mu            sync.Mutex
	arrived       int
	first, second chan struct{}
}

func (p *pair) wait(r *http.Request) {
	p.mu.Lock()
	p.arrived++
	n := p.arrived
	p.mu.Unlock()
	switch n {
	case 1:
		close(p.first)
		select {
		case <-p.second:
		case <-r.Context().Done(): // the browser has given it up
		}
	case 2:
		close(p.second)
	}
}

// inPairs makes the server so slow that a person presses both buttons a second time.
func (w *world) inPairs() map[string]*pair {
	pairs := map[string]*pair{}
	for _, kind := range []string{"POST start", "GET callback"} {
		pairs[kind] = &pair{first: make(chan struct{}), second: make(chan struct{})}
	}
	w.before.Store(new(func(r *http.Request) {
		if p := pairs[r.Method+" "+path.Base(r.URL.Path)]; p != nil {
			p.wait(r)
		}
	}))
	return pairs
}
