//go:build consolecheck

package consolecheck

import (
	"context"
	"strings"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// way is a way to use a page.
type way struct {
	name     string
	keyboard bool // by keyboard alone
	scripts  bool
}

var ways = []way{{"mouse", false, true}, {"keyboard", true, true}, {"plain", false, false}}

// press presses what a selector finds: a link, a button, a box.
func (b *tab) press(selector string) {
	b.Helper()
	b.do(b.pressing(selector)...)
}

// follow presses what leads to another page, and waits until that is there.
func (b *tab) follow(selector string) {
	b.Helper()
	steps := b.pressing(selector)
	b.loading(steps...)
}

// pressing comes as far as the last step.
func (b *tab) pressing(selector string) []void {
	b.Helper()
	b.there(selector)
	if !b.keyboard {
		return []void{chromedp.Click(chromedp.CSS(selector))}
	}
	switch b.focus(selector) {
	case "checkbox", "radio":
		return []void{chromedp.KeyEvent(" ")}
	}
	return []void{chromedp.KeyEvent("\r")}
}

// focus presses Tab until the focus is on what the selector finds, and on a choice of several the
// arrow down. It returns the type of an input; for other elements their name.
func (b *tab) focus(selector string) string {
	b.Helper()
	const found = `s => {
		const want = document.querySelector(s), is = document.activeElement;
		if (want.type === "radio" && is.type === "radio" && is.name === want.name && is !== want) return "arrow";
		if (is !== want) return "";
		const style = getComputedStyle(is), box = is.getBoundingClientRect();
		if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2) return "unseen: no outline";
		if (box.bottom <= 0 || box.top >= innerHeight || box.right <= 0 || box.left >= innerWidth) return "unseen: it is off the screen";
		return is.type && is.tagName === "INPUT" ? is.type : is.tagName;
	}`
	for range 600 {
		switch got := ask[string](b, found, selector); {
		case got == "arrow":
			b.do(chromedp.KeyEvent(kb.ArrowDown))
			continue
		case strings.HasPrefix(got, "unseen"):
			if strings.HasPrefix(b.at(), "/console") || strings.HasPrefix(b.at(), "/organization") { // Entra's pages are not ours
				b.Errorf("%s: the focus of %s is %s", b.at(), selector, got)
			}
			return ask[string](b, "s => document.activeElement.type || document.activeElement.tagName", selector)
		case got != "":
			return got
		}
		b.do(chromedp.KeyEvent("\t"))
	}
	b.Fatalf("%s: Tab does not lead to %s", b.at(), selector)
	return ""
}

// there fails the test if the page, which is loaded, does not have what a selector finds.
func (b *tab) there(selector string) {
	b.Helper()
	if !b.has(selector) {
		b.Fatalf("%s has no %s:\n%s", b.at(), selector, b.text("body"))
	}
}

// enter types into a field, over what stands there.
func (b *tab) enter(selector, text string) {
	b.Helper()
	b.there(selector)
	kind := ask[string](b, `s => { const e = document.querySelector(s); return !e ? "" : e.tagName === "INPUT" ? e.type : e.tagName }`,
		selector)
	switch {
	case b.keyboard:
		b.focus(selector)
	case kind == "date" || kind == "time" || kind == "SELECT": // where a click goes to one of their parts, or opens a list
		b.do(chromedp.Focus(chromedp.CSS(selector)))
	default:
		b.do(chromedp.Click(chromedp.CSS(selector)))
	}
	switch kind {
	case "date", "time": // the parts of these are typed one after the other, from the first on
		b.do(chromedp.KeyEvent(text))
		if ask[string](b, "s => document.querySelector(s).value", selector) == "" {
			b.Errorf("%s is empty, typed was %q", selector, text)
		}
	case "TEXTAREA": // of many lines: pasted
		b.do(setting(func(ctx context.Context) error {
			_, err := chromedp.Call(ctx, input.InsertText, input.InsertTextParams{Text: text})
			return err
		}))
	case "SELECT": // by the first letters of what is chosen
		b.do(chromedp.KeyEvent(text))
	default:
		b.do(selectAll, chromedp.KeyEvent(text))
		if got := ask[string](b, "s => document.querySelector(s).value", selector); got != text {
			b.Errorf("%s has %q, typed was %q", selector, got, text)
		}
	}
}

// selectAll is what Ctrl+A does.
var selectAll = setting(func(ctx context.Context) error {
	for _, kind := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeRawKeyDown, input.DispatchKeyEventTypeKeyUp} {
		p := input.DispatchKeyEventParams{Type: kind, Key: "a", Code: "KeyA", Modifiers: 2, // Ctrl
			WindowsVirtualKeyCode: 65}
		if kind == input.DispatchKeyEventTypeRawKeyDown {
			p.Commands = []string{"selectAll"}
		}
		if _, err := chromedp.Call(ctx, input.DispatchKeyEvent, p); err != nil {
			return err
		}
	}
	return nil
})
