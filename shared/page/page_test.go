package page_test

import (
	"fmt"
	"math"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	g "maragu.dev/gomponents"

	"rekey/shared/page"
)

const evil = `"><script>alert(1)</script><a href="javascript:x">'`

// Whatever was written by a caller, by a tenant or by Entra is text.
func TestTextStaysText(t *testing.T) {
	text := string(page.Document{ID: "x", Title: evil, Main: []g.Node{
		page.Facts(page.Say(evil, evil)), page.Badge(page.Bad, evil), page.Notice(page.Warn, g.Text(evil)), page.Copyable(evil, evil),
		page.Table("t", evil, []page.Column{{Name: evil}, {Name: evil}}, [][]g.Node{{g.Text(evil), g.Text(evil)}}),
		page.Link(page.Path("/console", evil).With(url.Values{evil: {evil}}).Fragment(evil), evil),
	}}.Render())
	if strings.Contains(text, "<script") || strings.Contains(text, `javascript:x"`) {
		t.Errorf("markup of a caller is in the page: %s", text)
	}
	if n := strings.Count(text, "&lt;script&gt;"); n < 12 {
		t.Errorf("%d of the texts are shown", n)
	}
}

func TestAddresses(t *testing.T) {
	for _, link := range []string{"javascript:alert(1)", "JavaScript:alert(1)", " https://a.example", "http://a.example", "//a.example",
		"https:", "https:///x", "data:text/html,x", "https:\\\\a.example", "HTTPS://a.example", "/x", ""} {
		if a, ok := page.Elsewhere(link); ok || !a.IsZero() {
			t.Errorf("%q is a link to another site: %s", link, a)
		}
	}
	if a, ok := page.Elsewhere("https://login.example/x?y=z"); !ok || a.String() != "https://login.example/x?y=z" {
		t.Errorf("%s %t", a, ok)
	}
	for want, a := range map[string]page.Address{
		"/console/a%2Fb/c": page.Path("/console", "a/b", "c"), "/console": page.Path("/console", "..", "x"),
		"/console/x?a=b&q=c": page.Here("/console/x?a=b").With(url.Values{"q": {"c"}}),
		"/console/x?q=a+b#f": page.Path("/console", "x").With(url.Values{"q": {"a b"}}).Fragment("f"),
	} {
		if a.String() != want {
			t.Errorf("%s, want %s", a, want)
		}
	}
}

// The colours of texts differ enough from what is behind them (WCAG 2.2, 1.4.3: 4.5 to 1), in
// light and in dark; those of what is not text, 3 to 1 (1.4.11).
func TestContrast(t *testing.T) {
	light, dark, ok := strings.Cut(page.Style, "prefers-color-scheme:dark")
	if !ok {
		t.Fatal("the stylesheet has no dark colours")
	}
	dark, _, _ = strings.Cut(dark, "}}")
	light, _, _ = strings.Cut(light, "}")
	for scheme, text := range map[string]string{"light": light, "dark": dark} {
		colours := map[string]float64{}
		for _, m := range regexp.MustCompile(`--([a-z]+):(#[0-9a-f]{3,6})`).FindAllStringSubmatch(text, -1) {
			colours[m[1]] = luminance(t, m[2])
		}
		if len(colours) != 16 {
			t.Errorf("%s has %d colours", scheme, len(colours))
		}
		for _, pair := range []string{"text bg", "text card", "dim bg", "dim card", "link bg", "link card", "on accent", "on bad",
			"bad badbg", "warn warnbg", "good goodbg", "calm calmbg", "bad bg"} {
			a, b, _ := strings.Cut(pair, " ")
			if ratio := contrast(colours[a], colours[b]); ratio < 4.5 {
				t.Errorf("%s: %s: %.2f to 1", scheme, pair, ratio)
			}
		}
		for _, name := range []string{"accent", "good", "warn"} {
			if ratio := contrast(colours[name], colours["bg"]); ratio < 3 {
				t.Errorf("%s: %s: %.2f to 1", scheme, name, ratio)
			}
		}
	}
}

func contrast(a, b float64) float64 { return (max(a, b) + 0.05) / (min(a, b) + 0.05) }

// luminance is that of WCAG 2.2.
func luminance(t *testing.T, colour string) float64 {
	digits := colour[1:]
	if len(digits) == 3 {
		digits = fmt.Sprintf("%c%c%c%c%c%c", digits[0], digits[0], digits[1], digits[1], digits[2], digits[2])
	}
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(digits[2*i:2*i+2], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

// A page without a stylesheet of its own address brings it along, and names its hash.
func TestStylesheet(t *testing.T) {
	inline := string(page.Document{Title: "x"}.Render())
	linked := string(page.Document{Title: "x", StyleAt: page.Path("/console", "style.css"),
		ScriptAt: page.Path("/console", "script.js")}.Render())
	if !strings.Contains(inline, "<style>"+page.Style+"</style>") || strings.Contains(linked, "<style") ||
		!strings.Contains(linked, `<link rel="stylesheet" href="/console/style.css">`) || !strings.Contains(linked, `src="/console/script.js"`) {
		t.Errorf("%s\n%s", inline, linked)
	}
	if strings.Contains(inline, " style=") || strings.Contains(inline, " onclick=") {
		t.Error("inline styles and handlers need a weaker policy")
	}
}
