package connections

import (
	"errors"
	"net/http"
	"time"

	"rekey/shared/auth"
	"rekey/shared/secret"
)

// loginBase is where clients sign in that know Infisical's way only.
const loginBase = "/api/v1/auth"

// tokenLife is what clients are told of how long their token lasts. It is the API key
// itself, which ends when the operator takes it away.
const tokenLife = 24 * time.Hour

// errLogin does not say which of the two is wrong.
var errLogin = &problem{
	status: http.StatusUnauthorized, cause: auth.ErrUnauthenticated,
	message: "The sign-in is refused: clientId must be the name of an API key of this deployment, and clientSecret that key.",
}

// login serves a request of a caller who is not known yet: the body says who it is. What
// is refused counts as a request of an unknown caller, whatever is wrong with it.
func (h *Handler) login(w http.ResponseWriter, r *http.Request) (auth.Caller, error) {
	caller, key, err := h.loggingIn(r)
	if err != nil {
		return auth.Caller{}, h.refuse(err)
	}
	if err := h.count(caller, r.Method); err != nil {
		return caller, err
	}
	h.write(w, http.StatusOK, map[string]any{
		"accessToken": key.Reveal(), "tokenType": "Bearer",
		"expiresIn": int(tokenLife.Seconds()), "accessTokenMaxTTL": int(tokenLife.Seconds()),
	})
	return caller, nil
}

func (h *Handler) loggingIn(r *http.Request) (caller auth.Caller, key secret.Value, err error) {
	var b struct {
		ClientID     string       `json:"clientId"`
		ClientSecret secret.Value `json:"clientSecret"`
	}
	sent, err := read(r)
	if err != nil {
		return caller, key, err
	}
	req := request{Request: r}
	if req.body, err = body(r, sent); err != nil {
		return caller, key, err
	}
	if err := req.decode(&b); err != nil {
		return caller, key, err
	}
	if h.Login == nil {
		return caller, key, errLogin
	}
	caller, err = h.Login(b.ClientID, b.ClientSecret)
	if errors.Is(err, auth.ErrUnauthenticated) {
		p := *errLogin
		p.cause = err // for the log
		err = &p
	}
	return caller, b.ClientSecret, err
}
