package console

import (
	"cmp"
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"rekey/shared/auth"
	"rekey/shared/page"
	"rekey/shared/session"
)

// Base is where the console is.
const Base = session.Base

// visit is one request of a person who is signed in.
type visit struct {
	w http.ResponseWriter
	*http.Request
	*session.Visit
	caller auth.Caller
	api    *api
	reader
	params  map[string]string
	console *Handler
	became  string // what the last button has done by now, where that is more than its address says
}

// to is an address of the console.
func to(segments ...string) page.Address { return page.Path(Base, segments...) }

// own is the address of a connection's or target's page.
func own(s *subject, below ...string) page.Address { return ownAt(s.ConnectionID, s.ID, below...) }

func ownAt(connectionID, id string, below ...string) page.Address {
	if connectionID != "" {
		return to(append([]string{"targets", connectionID, id}, below...)...)
	}
	return to(append([]string{"connections", id}, below...)...)
}

// document is a page with the navigation.
func (v *visit) document(id, title string, main ...g.Node) page.Document {
	return page.Document{
		ID: id, Title: title, StyleAt: asset("style.css"), ScriptAt: asset("script.js"), Header: v.header(id),
		Main: append(append([]g.Node{v.told()}, main...), v.zoneForm()),
	}
}

// place is a part of the console, and the least role that may see it.
type place struct {
	id, path, name string
	role           auth.Role
}

var places = []place{
	{"overview", "", "Overview", auth.Read}, {"connections", "connections", "Connections", auth.Read},
	{"targets", "targets", "Targets", auth.Read}, {"inventory", "inventory", "Inventory", auth.Read},
	{"trail", "audit", "Audit", auth.Admin}, {"settings", "settings", "Settings", auth.Read},
}

func (v *visit) header(id string) g.Node {
	items := g.Map(places, func(p place) g.Node {
		if !v.caller.Role.Allows(p.role) {
			return nil
		}
		at := to()
		if p.path != "" {
			at = to(p.path)
		}
		within := p.path != "" && id != "problem" && strings.HasPrefix(v.URL.Path, Base+"/"+p.path+"/")
		return h.Li(h.A(at.Href(), g.If(p.id == id, h.Aria("current", "page")), g.If(p.id != id && within, h.Aria("current", "true")),
			g.Text(p.name)))
	})
	return g.Group{
		h.A(h.Class("skip"), h.Href("#main"), g.Text("Skip to the page")),
		h.Header(h.Class("top"), h.Div(
			h.A(h.Class("brand"), to().Href(), g.Text("Rekey")),
			h.Nav(h.Aria("label", "Console"), h.Ul(items)),
			h.Div(h.Class("who"), h.Span(g.Text(v.Shown+" ("+v.caller.Role.String()+")")),
				v.form(to("sign-out"), h.Class("inline"), h.Button(h.Type("submit"), h.Class("plain small"), g.Text("Sign out")))),
		)),
	}
}

// plainHeader is that of pages for visitors who are not signed in: it says whose page it is.
func plainHeader() g.Node {
	return h.Header(h.Class("top"), h.Div(h.Span(h.Class("brand"), g.Text("Rekey"))))
}

// form is a form that changes something: it carries the session's token, and a key by which the
// API recognises it when it is sent twice.
func (v *visit) form(action page.Address, children ...g.Node) g.Node {
	return v.formOnce(rand.Text(), action, children...)
}

// formOnce is a form with the key of one that was sent before, or with a new one.
func (v *visit) formOnce(once string, action page.Address, children ...g.Node) g.Node {
	return h.Form(h.Method("post"), action.Action(), hidden(tokenField, v.Token()), hidden(onceField, once), g.Group(children))
}

func hidden(name, value string) g.Node {
	return h.Input(h.Type("hidden"), h.Name(name), h.Value(value))
}

// The hidden fields of forms.
const (
	tokenField = session.TokenField
	onceField  = "once"
)

// patience says beside a button how long the answer may take: as long as the API works on a request at once.
func patience() g.Node { return h.Span(h.Class("note"), g.Text("The answer may take half a minute.")) }

// button is a form of one button. Where the role is not enough there is none.
func (v *visit) button(need auth.Role, action page.Address, text, class string, fields ...g.Node) g.Node {
	if !v.caller.Role.Allows(need) {
		return nil
	}
	return v.form(action, h.Class("inline"), g.Group(fields), h.Button(h.Type("submit"), h.Class(class), g.Text(text)))
}

// zoneForm lets the reader choose the zone of times.
func (v *visit) zoneForm() g.Node {
	return h.Footer(v.form(to("zone"), h.Class("filters"),
		h.Input(h.Type("hidden"), h.Name("back"), h.Value(v.here())),
		h.Label(g.Text("Show times in this zone"),
			h.Input(h.Name("zone"), h.Value(v.zone.String()), g.Attr("list", "zones"), h.Required(), h.MaxLength("64"), h.AutoComplete("off"))),
		h.DataList(h.ID("zones"), g.Map(commonZones, func(z string) g.Node { return h.Option(h.Value(z)) })),
		h.Button(h.Type("submit"), h.Class("plain small"), g.Text("Use this zone")),
	))
}

// commonZones are offered; any IANA name is taken.
var commonZones = []string{
	"UTC", "Europe/Berlin", "Europe/London", "Europe/Paris", "Europe/Helsinki", "America/New_York", "America/Chicago", "America/Denver",
	"America/Los_Angeles", "America/Sao_Paulo", "Asia/Kolkata", "Asia/Singapore", "Asia/Tokyo", "Asia/Shanghai", "Australia/Sydney",
}

// here is the address of this page, to come back to.
func (v *visit) here() string {
	if v.Method == http.MethodPost {
		return Base
	}
	if u := *v.URL; u.Query().Has("done") || u.Query().Has(chooseField) { // what a button has done is told once
		q := u.Query()
		q.Del("done")
		q.Del(chooseField)
		u.RawQuery = q.Encode()
		return u.RequestURI()
	}
	return strings.TrimSuffix(v.URL.RequestURI(), "?")
}

// again says as of when a part is that shows what is under way. The script loads it again by itself; without
// it the link does.
func (v *visit) again() g.Node {
	return h.P(h.Class("note"), g.Text("As of "+v.now.In(v.zone).Format("15:04:05 MST")+". "), h.Span(h.Class("js"), g.Text("This page looks "+
		"again every few seconds.")), g.Text(" "), page.Link(page.Here(session.Back(v.here())), "Look again"))
}

// told shows what the last button has done: a code in the address, whose text is here, so that no
// link can make the console say anything else.
func (v *visit) told() g.Node {
	done := cmp.Or(v.became, v.URL.Query().Get("done"))
	text, ok := tellings[done]
	if !ok {
		return nil
	}
	tone := page.Good
	if done == "tried" || done == "failed" || done == "unissued" {
		tone = page.Bad
	}
	if done == "deleted" || done == "several" {
		if more := v.toldBy(); more != "" {
			text = more + tails[done]
		}
	}
	return h.Div(h.Role("status"), page.Notice(tone, h.P(g.Text(text))))
}

// tails follow what the API, or a list, has said of a button.
var tails = map[string]string{"deleted": " What is left to do continues in the background."}

// tellings are what buttons have done.
var tellings = map[string]string{
	"rotation":  "The rotation has begun. It continues in the background, whether this page is open or not.",
	"rotated":   "The rotation is done: a new client secret is published. What becomes of the old one stands below.",
	"already":   "A rotation was under way already. It goes on, and no second one was begun.",
	"tried":     "The rotation was tried and has not succeeded. What is published is unchanged. Why, and what to do, stands below.",
	"emergency": "The emergency rotation has begun: it acts in every phase, and grace periods end.",
	"ended":     "The emergency rotation is done: a new client secret is published, and no older one has a grace period any more.",
	"paused":    "Rotation is off. What is published stays as it is, and works until its end date.",
	"resumed":   "Rotation is on.",
	"saved":     "Saved.",
	"taking":    "Saved. Rekey takes the new credentials over. With rotation on, the rotation for them follows.",
	"renewing":  "Saved. The rotation for the new credentials has begun. It continues in the background.",
	"renewed":   "Saved. The rotation for the new credentials is done.",
	"idle":      "No rotation is under way: the last one was abandoned, or has come to its end.",
	"abandoned": "It is abandoned. What was issued in it is removed; what is published is unchanged.",
	"stopped":   "It is not tried again. What is published is unchanged.",
	"deleted":   "The deletion has begun. It continues in the background.",
	"created":   "Connected. What is next stands below.",
	"target":    "The target is there. Its first client secret is being issued. What is next stands below.",
	"first":     "The target is there, and its first client secret is published. What is next stands below.",
	"unissued":  "The target is there. Its first rotation has not succeeded. Why, and what to do, stands below.",
	"resting":   "The target is there. Its rotation is off: nothing is issued before it is rotated. What is next stands below.",
	"scan":      "The scan has begun. It continues in the background.",
	"scanned":   "The scan is done.",
	"failed":    "The scan has failed. What is known of the tenant is as before.",
	"accepted":  "The finding is accepted.",
	"rejected":  "The finding counts again.",
	"several":   "Done for all that were chosen.",
}

// done leads to where a button's result shows.
func (v *visit) done(at page.Address, what string) {
	v.redirect(at.With(url.Values{"done": {what}}))
}

// redirect leads on by GET, so that a reload sends nothing again.
func (v *visit) redirect(at page.Address) {
	v.w.Header().Set("Location", at.String())
	v.w.WriteHeader(http.StatusSeeOther)
}

func asset(name string) page.Address { return to("assets", assetVersion, name) }
