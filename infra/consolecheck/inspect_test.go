//go:build consolecheck

package consolecheck

import (
	"bytes"
	"compress/gzip"
	"context"
	_ "embed"
	"os"
	"sync"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// looks are the ways in which pages are looked at. The last is how a tab stays.
var looks = []struct {
	name, scheme  string
	width, height int64
}{{"dark", "dark", 1280, 900}, {"narrow", "light", 360, 740}, {"narrow-dark", "dark", 360, 740}, {"light", "light", 1280, 900}}

func scheme(name string) void {
	return setting(func(ctx context.Context) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}})
		return err
	})
}

//go:embed layout.js
var layout string

var axe = sync.OnceValues(func() ([]byte, error) { return os.ReadFile("../local/node_modules/axe-core/axe.min.js") })

// maxPage is how much of a page may be sent, in bytes, as gzip packs it.
const maxPage = 50_000

// inspect fails the test for what is wrong with the page, in each look. each, if not nil, is called in each.
func (b *tab) inspect(each func(look string)) {
	b.Helper()
	library, err := axe()
	if err != nil {
		b.Fatalf("axe-core is missing: make azurite installs it, where there is npm: %v", err)
	}
	const check = `; axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
		resultTypes: ["violations"]}).then(r => r.violations.map(v => v.help + ": " +
		v.nodes.slice(0, 3).map(n => n.html.slice(0, 200)).join(" ")))`
	for _, l := range looks {
		b.do(scheme(l.scheme), chromedp.EmulateViewport(l.width, l.height))
		for _, wrong := range append(b.steady("("+layout+")()"), b.steady("window.axe || "+string(library)+check)...) {
			b.Errorf("%s, %s: %s", b.at(), l.name, wrong)
		}
		if each != nil {
			each(l.name)
		}
	}
	if n := b.size(); n > maxPage {
		b.Errorf("%s: %d bytes are sent", b.at(), n)
	}
	b.quiet()
}

// steady evaluates an expression, and does so again where the page was loaded anew meanwhile: one with
// something under way does that by itself when it has ended.
func (b *tab) steady(expression string) (list []string) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	var err error
	for range 5 {
		if list, err = chromedp.Run(ctx, chromedp.Evaluate[[]string](expression, chromedp.EvalAwaitPromise)); err == nil {
			return list
		}
		b.do(chromedp.WaitReady(chromedp.CSS("#main, body")))
	}
	b.Fatalf("%s: %v", b.at(), err)
	return nil
}

// size is how much of the page is sent.
func (b *tab) size() int {
	b.Helper()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write([]byte(b.steady("[document.documentElement.outerHTML]")[0])); err != nil {
		b.Fatal(err)
	}
	if err := z.Close(); err != nil {
		b.Fatal(err)
	}
	return packed.Len()
}
