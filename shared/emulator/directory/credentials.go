package directory

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"
)

// dateTime is how Graph writes times: seven digits of a second.
const dateTime = "2006-01-02T15:04:05.0000000Z"

// show is the passwordCredential resource; the value is in no list.
func (p *password) show() map[string]any {
	return map[string]any{
		"customKeyIdentifier": base64OrNil(p.identifier), "displayName": nilIfEmpty(p.displayName), "hint": nilIfEmpty(p.hint()),
		"keyId": p.keyID, "secretText": nil,
		"startDateTime": timeOrNil(p.startsAt), "endDateTime": timeOrNil(p.expiresAt),
	}
}

func nilIfEmpty(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func (d *Directory) addPassword(w http.ResponseWriter, r *http.Request, c call, who caller) *graphError {
	var body struct {
		PasswordCredential struct {
			DisplayName   *string    `json:"displayName"`
			StartDateTime *time.Time `json:"startDateTime"`
			EndDateTime   *time.Time `json:"endDateTime"`
		} `json:"passwordCredential"`
	}
	if refused := readJSON(w, r, &body); refused != nil {
		return refused
	}
	app, refused := d.find(c, who)
	if refused != nil {
		return refused
	}
	if !who.mayWrite(app) {
		return denied
	}
	now := d.config.now()
	asked := body.PasswordCredential
	p := d.newPassword("", now, now.AddDate(2, 0, 0))
	if asked.DisplayName != nil {
		p.displayName = *asked.DisplayName
	}
	if asked.StartDateTime != nil {
		p.startsAt, p.expiresAt = asked.StartDateTime.UTC(), asked.StartDateTime.UTC().AddDate(2, 0, 0)
	}
	if asked.EndDateTime != nil {
		p.expiresAt = asked.EndDateTime.UTC()
	}
	if !p.expiresAt.After(p.startsAt) || !p.expiresAt.After(now) {
		return badRequest("Key credential end date is invalid.")
	}
	if refused := d.admit(app, p); refused != nil {
		return refused
	}
	p.addedAt = now
	app.passwords = append(app.passwords, p)
	shown := p.show()
	shown["secretText"] = p.value
	d.writeEntity(w, r, "microsoft.graph.passwordCredential", shown)
	return nil
}

// admit applies policy and limits, which look at what there is, not at what has
// been replicated.
func (d *Directory) admit(app *application, p *password) *graphError {
	policy := d.policyOf(app)
	if policy.ForbidPasswords {
		return &graphError{http.StatusBadRequest, "CredentialTypeNotAllowedAsPerAppPolicy",
			fmt.Sprintf("Credential type not allowed as per assigned policy '%s'.", policy.ID), nil}
	}
	if policy.MaxLifetime > 0 && p.expiresAt.Sub(p.startsAt) > policy.MaxLifetime {
		return &graphError{http.StatusBadRequest, "CredentialInvalidLifetimeAsPerAppPolicy",
			fmt.Sprintf("Credential lifetime exceeds the max value allowed as per assigned policy '%s'.", policy.ID),
			[]any{map[string]any{"code": "InvalidKeyEndDate", "target": "EndDate", "message": "Credential lifetime exceeds the max value allowed."}}}
	}
	count := 0
	for _, other := range app.passwords {
		if !other.removed() {
			count++
		}
	}
	if app.personalAccounts() && count >= 2 {
		// As seen in github.com/Azure/azure-cli/issues/12946.
		return &graphError{http.StatusBadRequest, "TooManyAppPasswords",
			fmt.Sprintf("Not allowed to add %d passwords. You can only add a maximum of 2 passwords.", count+1),
			[]any{map[string]any{"code": "TooManyAppPasswords", "target": "passwordCredentials"}}}
	}
	if count >= cmp.Or(app.MaxPasswords, d.config.maxPasswords()) {
		return &graphError{http.StatusForbidden, "Directory_ResourceSizeExceeded",
			"The size of the object has exceeded its limit. Please reduce the number of values and retry your request.", nil}
	}
	return nil
}

// personalAccounts: applications that personal accounts may use have two client
// secrets at most (learn.microsoft.com/entra/identity-platform/supported-accounts-validation).
func (a *application) personalAccounts() bool {
	return a.SignInAudience == "AzureADandPersonalMicrosoftAccount" || a.SignInAudience == "PersonalMicrosoftAccount"
}

func (d *Directory) removePassword(w http.ResponseWriter, r *http.Request, c call, who caller) *graphError {
	var body struct {
		KeyID string `json:"keyId"`
	}
	if refused := readJSON(w, r, &body); refused != nil {
		return refused
	}
	if !guid.MatchString(body.KeyID) {
		return badRequest("Invalid value specified for property 'keyId'.")
	}
	app, refused := d.find(c, who)
	if refused != nil {
		return refused
	}
	if !who.mayWrite(app) {
		return denied
	}
	v := d.viewFor(r)
	i := slices.IndexFunc(app.passwords, func(p *password) bool {
		return p.keyID == strings.ToLower(body.KeyID) && !p.removed() && v.shows(p)
	})
	if i < 0 {
		return badRequest(fmt.Sprintf("No password credential found with keyId %s.", body.KeyID))
	}
	app.passwords[i].removedAt = v.at
	d.forget(app, v.at)
	w.Header().Del("Content-Type")
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// readJSON reads a request's body, which must be one JSON object with known
// members only. Kiota's clients compress it unless told not to.
func readJSON(w http.ResponseWriter, r *http.Request, into any) *graphError {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" {
		return &graphError{http.StatusUnsupportedMediaType, "Request_BadRequest", "Write requests must be of content type application/json.", nil}
	}
	var body io.Reader = http.MaxBytesReader(w, r.Body, maxBody)
	switch r.Header.Get("Content-Encoding") {
	case "", "identity":
	case "gzip":
		unzipped, err := gzip.NewReader(body)
		if err != nil {
			return badRequest("The request's body is not compressed as its Content-Encoding says.")
		}
		body = io.LimitReader(unzipped, maxBody)
	default:
		return &graphError{http.StatusUnsupportedMediaType, "Request_BadRequest", "Unknown Content-Encoding.", nil}
	}
	data, err := io.ReadAll(body)
	if err != nil {
		return badRequest("Unable to read the request's body.")
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return badRequest("Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format.")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return badRequest("Unable to read JSON request payload: it has more than one value.")
	}
	return nil
}
