package directory

import (
	"html/template"
	"net/http"
	"net/url"
	"strings"
)

// pages are what a person gets to see. They have no script, and their ids and names
// are what browser tests hold on to; the package comment lists them.
var pages = template.Must(template.New("").Parse(`
{{define "head"}}<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{{.Title}}</title>
<style>body{font:16px sans-serif;max-width:32em;margin:3em auto;padding:0 1em}` +
	`label{display:block;margin:.5em 0}button{font:inherit;padding:.4em 1.2em;margin-right:1em}.note{color:#555}</style>
</head><body id="{{.ID}}"><p class="note">Emulated Microsoft Entra</p><h1>{{.Title}}</h1>{{end}}

{{define "decision"}}{{template "head" .}}
<p><strong id="application">{{.Application}}</strong> asks for:</p>
<ul id="scopes">{{range .Scopes}}<li>{{.}}</li>{{else}}<li>nothing but to know who you are</li>{{end}}</ul>
<form method="post" action="{{.Action}}">
{{range $name, $values := .Carried}}{{range $values}}<input type="hidden" name="{{$name}}" value="{{.}}">{{end}}{{end}}
<fieldset><legend>Who are you?</legend>
{{range .Users}}<label><input type="radio" name="user" id="user-{{.ID}}" value="{{.ID}}" required{{if .Checked}} checked{{end}}>` +
	` {{.Name}} <span class="note">{{.Principal}}{{range .Roles}}, {{.}}{{end}}</span></label>
{{else}}<p>This tenant has no users.</p>{{end}}</fieldset>
{{if .OfferTenant}}<label><input type="checkbox" name="organization" id="organization" value="true">` +
	` Consent on behalf of your organization</label>{{end}}
<p><button type="submit" name="decision" id="approve" value="approve">Approve</button>` +
	`<button type="submit" name="decision" id="decline" value="decline" formnovalidate>Decline</button></p>
</form></body></html>{{end}}

{{define "need-approval"}}{{template "head" .}}
<p><strong id="application">{{.Application}}</strong> needs permission to access resources in your organization ` +
	`that only an admin can grant. Please ask an admin to grant permission to this app before you can use it.</p>
<p><a id="return" href="{{.Return}}">Return to the application without granting consent</a></p>
</body></html>{{end}}

{{define "error"}}{{template "head" .}}
<p id="error">{{.Text}}</p></body></html>{{end}}
`))

// page is what the templates show; each uses a part of it.
type page struct {
	ID, Title   string
	Application string
	Scopes      []string
	Action      string
	Carried     url.Values
	Users       []pageUser
	OfferTenant bool
	Return      string
	Text        string
}

type pageUser struct {
	ID, Name, Principal string
	Roles               []string
	Checked             bool
}

// writeSignIn shows who may sign in, and what for. The caller holds d.mu.
func (d *Directory) writeSignIn(w http.ResponseWriter, r *http.Request, q *request) {
	p := d.decisionPage(r, q)
	p.ID, p.Title, p.OfferTenant = "sign-in", "Sign in", true
	d.writePage(w, http.StatusOK, "decision", p)
}

// writeAdminConsent asks for consent for a whole tenant. The caller holds d.mu.
func (d *Directory) writeAdminConsent(w http.ResponseWriter, r *http.Request, q *request) {
	p := d.decisionPage(r, q)
	p.ID, p.Title = "admin-consent", "Permissions requested: review for your organization"
	d.writePage(w, http.StatusOK, "decision", p)
}

func (d *Directory) decisionPage(r *http.Request, q *request) page {
	p := page{Application: q.app.DisplayName, Scopes: q.scopes.permissions, Action: r.URL.Path, Carried: q.values}
	users := d.usersFor(q.tenant)
	for _, u := range users {
		hinted := strings.EqualFold(u.principal, q.values.Get("login_hint"))
		p.Users = append(p.Users, pageUser{u.objectID, u.Name, u.principal, u.Roles, hinted || len(users) == 1})
	}
	return p
}

// writeNeedApproval tells a person without the right to consent so. The link leads
// back to the application with the answer.
func (d *Directory) writeNeedApproval(w http.ResponseWriter, q *request, answer url.Values) {
	d.writePage(w, http.StatusOK, "need-approval", page{
		ID: "need-approval", Title: "Need admin approval", Application: q.app.DisplayName, Return: q.back(answer),
	})
}

// writeErrorPage tells a person what the application must not be told, since it is
// not known to be the one that asked.
func (d *Directory) writeErrorPage(w http.ResponseWriter, e *entraError) {
	d.writePage(w, http.StatusBadRequest, "error", page{
		ID: "error", Title: "Sorry, but we're having trouble signing you in.",
		Text: e.describe(d.config.now(), newGUID(), newGUID()),
	})
}

// failPage shows an error that the hook asked for.
func (d *Directory) failPage(w http.ResponseWriter, status int, code, message string) {
	e := injected(status, code, message)
	d.writePage(w, status, "error", page{
		ID: "error", Title: "Sorry, but we're having trouble signing you in.",
		Text: e.describe(d.config.now(), newGUID(), newGUID()),
	})
}

func (d *Directory) writePage(w http.ResponseWriter, status int, name string, p page) {
	var body strings.Builder
	if err := pages.ExecuteTemplate(&body, name, p); err != nil {
		panic(err) // constant templates, over strings and lists of them
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store, no-cache")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(status)
	w.Write([]byte(body.String()))
}
