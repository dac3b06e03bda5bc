package page

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"strconv"
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"
)

// Style is the stylesheet of every page.
//
//go:embed style.css
var Style string

// Script is what pages do where there is JavaScript.
//
//go:embed script.js
var Script string

// StyleHash is the source of [Style] where it stands in a page, for a Content-Security-Policy.
var StyleHash = hashOf(Style)

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// Document is a whole page.
type Document struct {
	ID    string // of the body, which tests and styles hold on to
	Class string
	Title string
	// Narrow is for a page that is read, and has no tables.
	Narrow bool
	// StyleAt and ScriptAt are where the stylesheet and the script are; without StyleAt the
	// stylesheet stands in the page.
	StyleAt, ScriptAt Address
	// Refresh loads the page again after so many seconds; 0: never.
	Refresh int
	// Header stands before the main part: the name, the navigation.
	Header g.Node
	Main   []g.Node
}

// Render writes the page.
func (d Document) Render() []byte {
	var b strings.Builder
	// A strings.Builder returns no error, and no node of ours fails.
	_ = h.Doctype(h.HTML(h.Lang("en"), d.head(), d.body())).Render(&b)
	return []byte(b.String())
}

func (d Document) head() g.Node {
	return h.Head(
		h.Meta(h.Charset("utf-8")),
		h.Meta(h.Name("viewport"), h.Content("width=device-width, initial-scale=1")),
		h.Meta(h.Name("color-scheme"), h.Content("light dark")),
		g.If(d.Refresh > 0, h.Meta(g.Attr("http-equiv", "refresh"), h.Content(strconv.Itoa(d.Refresh)))),
		h.TitleEl(g.Text(d.Title+" - Rekey")),
		g.Iff(d.StyleAt.IsZero(), func() g.Node { return h.StyleEl(g.Raw(Style)) }),
		g.Iff(!d.StyleAt.IsZero(), func() g.Node { return h.Link(h.Rel("stylesheet"), d.StyleAt.Href()) }),
		g.Iff(!d.ScriptAt.IsZero(), func() g.Node { return h.Script(d.ScriptAt.src(), h.Defer()) }),
	)
}

func (d Document) body() g.Node {
	return h.Body(
		g.If(d.ID != "", h.ID(d.ID)), g.If(d.Class != "", h.Class(d.Class)),
		g.Iff(d.Header != nil, func() g.Node { return d.Header }),
		h.Main(h.ID("main"), g.If(d.Narrow, h.Class("narrow")), g.Attr("tabindex", "-1"), h.H1(g.Text(d.Title)), g.Group(d.Main)),
	)
}
