package console

import (
	"net/http"
	"net/url"

	"rekey/shared/page"
)

// reconnect begins a sign-in for a connection that acts for a person.
func reconnect(v *visit) error {
	s, err := v.load()
	if err != nil {
		return err
	}
	return v.authorize(object{"connectionId": s.ID, "tenantId": s.Credentials.TenantID, "name": s.Name})
}

// authorize leads to the page that leads to Entra.
func (v *visit) authorize(body object) error {
	var begun struct{ AuthorizationURL string }
	if err := v.api.send(http.MethodPost, secrets+"/oauth/authorize", body, "", &begun); err != nil {
		return err
	}
	to, ok := page.Elsewhere(begun.AuthorizationURL)
	if !ok { // of a local deployment without TLS: its path is ours
		u, err := url.Parse(begun.AuthorizationURL)
		if err != nil {
			return &refusal{status: http.StatusInternalServerError, message: "The link for signing in can't be read."}
		}
		to = page.Here(u.RequestURI())
	}
	v.redirect(to)
	return nil
}
