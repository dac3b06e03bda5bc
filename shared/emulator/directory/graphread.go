package directory

import (
	"net/http"
	"strings"
)

func (d *Directory) getApplication(w http.ResponseWriter, r *http.Request, c call, who caller) *graphError {
	if !who.mayRead() {
		return denied
	}
	q, refused := parseQuery(r, applicationProperties)
	if refused != nil {
		return refused
	}
	app, refused := d.find(c, who)
	if refused != nil {
		return refused
	}
	if refused := d.spendKeyRead(w, q, who); refused != nil {
		return refused
	}
	d.writeEntity(w, r, "applications/$entity", q.pick(app.show(d.viewFor(r), true)))
	return nil
}

func (d *Directory) getServicePrincipal(w http.ResponseWriter, r *http.Request, c call, who caller) *graphError {
	if !who.mayRead() {
		return denied
	}
	q, refused := parseQuery(r, principalProperties)
	if refused != nil {
		return refused
	}
	p := d.tenants[who.tenantID].byClient[strings.ToLower(c.clientID)]
	if p == nil {
		return c.notFound()
	}
	if refused := d.spendKeyRead(w, q, who); refused != nil {
		return refused
	}
	d.writeEntity(w, r, "servicePrincipals/$entity", q.pick(p.show(d.viewFor(r), true)))
	return nil
}

func (d *Directory) listOwners(w http.ResponseWriter, r *http.Request, c call, who caller) *graphError {
	if !who.mayRead() {
		return denied
	}
	q, refused := parseQuery(r, ownerProperties)
	if refused != nil {
		return refused
	}
	app, refused := d.find(c, who)
	if refused != nil {
		return refused
	}
	d.writeEntity(w, r, "directoryObjects", map[string]any{"value": d.showOwners(app.Owners, len(app.Owners), q.selected, who)})
	return nil
}

// show is the application resource; alone says that it is the only one of the answer.
func (a *application) show(v view, alone bool) map[string]any {
	return map[string]any{
		"id": a.objectID, "appId": a.clientID, "displayName": a.DisplayName,
		"signInAudience": a.SignInAudience, "createdDateTime": timeOrNil(a.createdAt),
		"passwordCredentials": showPasswords(a.passwords, v), keyCredentials: showKeys(a.allKeys(), alone),
	}
}

// show is the servicePrincipal resource. That of an application of the same tenant has
// no certificates of its own unless they were given to it.
func (p *principal) show(v view, alone bool) map[string]any {
	return map[string]any{
		"id": p.objectID, "appId": p.clientID, "displayName": p.displayName(), "servicePrincipalType": p.kind,
		"accountEnabled": !p.Disabled, "appOwnerOrganizationId": nilIfEmpty(p.home),
		"passwordCredentials": showPasswords(p.passwords, v), keyCredentials: showKeys(p.keys, alone),
	}
}

func showPasswords(list []*password, v view) []any {
	shown := []any{}
	for _, p := range list {
		if v.shows(p) {
			shown = append(shown, p.show())
		}
	}
	return shown
}

// showOwners are up to limit of the users and service principals with those ids. Who was
// deleted owns nothing any more.
func (d *Directory) showOwners(ids []string, limit int, selected []string, who caller) []any {
	owners := []any{}
	for _, id := range ids {
		if len(owners) < limit && (d.users[id] != nil || d.principals[id] != nil) {
			owners = append(owners, d.showOwner(id, selected, who))
		}
	}
	return owners
}

// showOwner is the directory object with that id.
func (d *Directory) showOwner(id string, selected []string, who caller) map[string]any {
	if p := d.principals[id]; p != nil {
		shown := query{selected: selected}.pick(map[string]any{"id": id, "displayName": p.displayName()})
		shown["@odata.type"] = "#microsoft.graph.servicePrincipal"
		return shown
	}
	all := map[string]any{"id": id, "displayName": nil, "userPrincipalName": nil}
	if u := d.users[id]; who.mayReadUsers() {
		all["displayName"], all["userPrincipalName"] = nilIfEmpty(u.Name), u.principal
	}
	shown := query{selected: selected}.pick(all)
	shown["@odata.type"] = "#microsoft.graph.user"
	return shown
}
