package directory

import (
	"cmp"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"time"
)

// listSignInActivity reports the last sign-in with each credential that was ever used:
// those of registrations first, in the order of Graph's lists. That the page size is that
// of those lists, and that a sign-in is reported at once, is assumed; so is what the
// report says of a certificate's usage.
// Source: learn.microsoft.com/graph/api/reportroot-list-appcredentialsigninactivities.
func (d *Directory) listSignInActivity(w http.ResponseWriter, r *http.Request, _ call, who caller) *graphError {
	if !who.has(RoleAuditLogReadAll) {
		return denied
	}
	q, refused := parseQuery(r, nil, "$top", "$skiptoken")
	if refused != nil {
		return refused
	}
	const name = "appCredentialSignInActivities"
	size, after, refused := q.page(name)
	if refused != nil {
		return refused
	}
	answer := map[string]any{}
	uses := d.usesBehind(who.tenantID, after, size+1)
	if len(uses) > size {
		uses = uses[:size]
		answer["@odata.nextLink"] = nextLink(r, name, uses[size-1].position())
	}
	shown := []any{}
	for _, u := range uses {
		shown = append(shown, u.show())
	}
	answer["value"] = shown
	d.writeEntity(w, r, "reports/"+name, answer)
	return nil
}

// The origins of credentials, in the order of the report.
const (
	originApplication = "application"
	originPrincipal   = "servicePrincipal"
)

// use is the last sign-in with a credential.
type use struct {
	origin, holder     string // where the credential is, and the object id of that
	keyID, kind, usage string
	expires, at        time.Time
	clientID           string
	application        string // object ids; empty: there is none in this tenant
	principal          string
}

// position is where the report goes on behind u.
func (u use) position() string { return strings.Join([]string{u.origin, u.holder, u.keyID}, " ") }

// usesBehind are up to limit uses behind a position; empty: from the start.
func (d *Directory) usesBehind(tenantID, position string, limit int) (found []use) {
	origin, rest, _ := strings.Cut(position, " ")
	holder, keyID, _ := strings.Cut(rest, " ")
	take := func(uses []use, id string) {
		for _, u := range uses {
			if len(found) < limit && (id != holder || u.keyID > keyID) {
				found = append(found, u)
			}
		}
	}
	t := d.tenants[tenantID]
	if origin != originPrincipal {
		for _, a := range t.applications.from(holder) {
			if len(found) == limit {
				return found
			}
			take(a.uses(), a.objectID)
		}
		holder = ""
	}
	for _, p := range t.principals.from(holder) {
		if len(found) == limit {
			return found
		}
		take(p.uses(), p.objectID)
	}
	return found
}

func (a *application) uses() []use {
	return uses(a.passwords, a.allKeys(), use{origin: originApplication, holder: a.objectID, clientID: a.clientID,
		application: a.objectID, principal: a.principalID()})
}

func (p *principal) uses() []use {
	of := use{origin: originPrincipal, holder: p.objectID, clientID: p.clientID, principal: p.objectID}
	if p.application != nil {
		of.application = p.application.objectID
	}
	return uses(p.passwords, p.keys, of)
}

// uses are those of the credentials, by key id; of has what they have in common.
func uses(passwords []*password, keys []*key, of use) (found []use) {
	for _, p := range passwords {
		if !p.usedAt.IsZero() && !p.removed() {
			of.keyID, of.kind, of.usage, of.expires, of.at = p.keyID, "clientSecret", "verify", p.expiresAt, p.usedAt
			found = append(found, of)
		}
	}
	for _, k := range keys {
		if !k.UsedAt.IsZero() {
			of.keyID, of.kind, of.usage, of.expires, of.at = k.KeyID, "certificate", strings.ToLower(k.Usage), k.EndsAt, k.UsedAt
			found = append(found, of)
		}
	}
	slices.SortFunc(found, func(a, b use) int { return cmp.Compare(a.keyID, b.keyID) })
	return found
}

// show is the appCredentialSignInActivity resource.
func (u use) show() map[string]any {
	return map[string]any{
		"id":    base64.StdEncoding.EncodeToString([]byte(u.keyID + "|" + u.origin)),
		"keyId": u.keyID, "keyType": u.kind, "keyUsage": u.usage, "credentialOrigin": u.origin, "appId": u.clientID,
		"appObjectId": nilIfEmpty(u.application), "servicePrincipalObjectId": nilIfEmpty(u.principal),
		"resourceId": nil, "expirationDateTime": timeOrNil(u.expires),
		"signInActivity": map[string]any{"lastSignInDateTime": timeOrNil(u.at), "lastSignInRequestId": nil},
	}
}
