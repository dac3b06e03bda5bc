package oauth

import (
	"html"
	"strings"

	"rekey/shared/oauth"
)

// markup is a constant of this package. Its own type keeps values out of it: a string
// can't be passed where markup is wanted.
type markup string

// document is HTML in the making. Values are put into text, and between the quotes of
// attributes, nowhere else; there escaping makes text of whatever they are.
//
// It is not html/template, which finds methods by name: one use of it makes the linker
// keep every method of the Graph SDK, 7 MB that each cold start would load.
type document struct{ b strings.Builder }

// add appends m, each % in it replaced by a value.
func (d *document) add(m markup, values ...string) {
	rest := string(m)
	for _, v := range values {
		before, after, _ := strings.Cut(rest, "%")
		d.b.WriteString(before)
		d.b.WriteString(html.EscapeString(v))
		rest = after
	}
	d.b.WriteString(rest)
}

// addIf appends m with value in it, unless value is empty.
func (d *document) addIf(m markup, value string) {
	if value != "" {
		d.add(m, value)
	}
}

// html renders p. The ids are what tests hold on to.
func (p page) html() []byte {
	var d document
	d.add(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">`)
	if p.Again {
		d.add(`<meta http-equiv="refresh" content="2">`)
	}
	d.add(`<title>% - Rekey</title><style>`+style+`</style></head>
<body id="%"`, p.Title, p.ID)
	if p.Result != nil {
		d.add(` class="%"`, string(p.Result.Kind))
	}
	d.addIf(` class="%"`, string(p.Problem))
	d.add(`>
<h1>%</h1>
`, p.Title)
	if p.Invitation != nil {
		d.invitation(p.Invitation, p.Until)
	}
	if p.Result != nil {
		d.result(p.Result)
	}
	d.addIf(`<p id="message">%</p>
`, p.Text)
	d.add(`</body></html>
`)
	return []byte(d.b.String())
}

// invitation asks people to go on. The form has no action, so that it goes to the
// page's own address, and no state stands in the page.
func (d *document) invitation(i *oauth.Invitation, until string) {
	can := "can manage"
	if i.Again {
		can = "can go on managing"
	}
	d.add(`<p><strong id="requester">%</strong> asks you to sign in to Microsoft Entra, so that `+
		`Rekey % client secrets of applications in your tenant on your behalf.</p>
<dl>
<dt>Connection</dt><dd id="name">%`, i.RequestedBy, can, i.Name)
	if i.Again {
		d.add(` (signing in again)`)
	}
	d.add(`</dd>
`)
	d.addIf(`<dt>Description</dt><dd id="description">%</dd>
`, i.Description)
	d.add(`<dt>Tenant</dt><dd id="tenant">%</dd>
`, i.TenantID)
	d.addIf(`<dt>Application whose client secret is rotated</dt><dd id="rotates">%</dd>
`, i.Rotates)
	d.add(`</dl>
<form method="post"><button id="continue" type="submit">Continue to Microsoft Entra</button></form>
<p class="note">If you did not expect this, close the page. Nothing happens then. The link is good until %.</p>
`, until)
}

// result tells how a sign-in ended.
func (d *document) result(r *oauth.Result) {
	d.add(`<p id="message">%</p>
`, r.Text())
	// Escaping does not make a link harmless: javascript: would run.
	if strings.HasPrefix(r.AdminConsentURL, "https://") {
		d.add(`<p><a id="admin-consent" rel="noreferrer" href="%">Consent as an administrator</a></p>
`, r.AdminConsentURL)
	}
	if r.OtherAccount {
		d.add(`<p id="other-account">Another account than before has signed in. The connection acts as that one from now on.</p>
`)
	}
	d.add(`<dl><dt>Connection</dt><dd id="name">%</dd><dt>Tenant</dt><dd id="tenant">%</dd>
`, r.Name, r.TenantID)
	d.addIf(`<dt>Id</dt><dd id="connection">%</dd>`, r.ConnectionID)
	d.add(`</dl>
`)
	d.addIf(`<p class="note">Microsoft Entra said:</p><p class="entra" id="entra">%</p>
`, r.Entra)
}
