package connections

import (
	"rekey/shared/auth"
	"rekey/shared/connection"
	"rekey/shared/rotation"
)

// appOption is what GET /options has.
type appOption struct {
	Name          string   `json:"name"`
	App           string   `json:"app"`
	Methods       []string `json:"methods"`
	OAuthClientID string   `json:"oauthClientId,omitempty"`
}

func (h *Handler) options(*request) (any, error) {
	return map[string]any{"appConnectionOptions": []appOption{{
		Name: "Azure Client Secrets", App: app, OAuthClientID: h.OAuthClientID,
		Methods: []string{connection.OAuth, connection.ClientSecret, connection.Certificate},
	}}}, nil
}

// project is the project that a request names; nil if it names none.
func (r *request) project() *string {
	if !r.URL.Query().Has("projectId") {
		return nil
	}
	p := r.URL.Query().Get("projectId")
	return &p
}

// list lists connections by name. Without limit it lists all of them, as Infisical's
// does.
func (h *Handler) list(r *request) (any, error) {
	records, next, err := h.page(r, false)
	if err != nil {
		return nil, err
	}
	views := make([]view, 0, len(records))
	for _, rec := range records {
		views = append(views, h.view(&rec))
	}
	return listing{"appConnections": views}.next(next), nil
}

// available lists what the caller may connect with, by name only.
func (h *Handler) available(r *request) (any, error) {
	records, next, err := h.page(r, false)
	if err != nil {
		return nil, err
	}
	type short struct {
		App       string  `json:"app"`
		Name      string  `json:"name"`
		ID        string  `json:"id"`
		ProjectID *string `json:"projectId,omitempty"`
		OrgID     string  `json:"orgId"`
	}
	views := make([]short, 0, len(records))
	for _, rec := range records {
		if rec.Gone() { // a deletion that needs attention
			continue
		}
		views = append(views, short{app, rec.Name, rec.ID, some(rec.Project), h.orgID()})
	}
	return listing{"appConnections": views}.next(next), nil
}

func (h *Handler) create(r *request) (any, error) {
	var b createBody
	if err := r.decode(&b); err != nil {
		return nil, err
	}
	if b.IsAutoRotationEnabled && !r.caller.Role.Allows(auth.Rotate) {
		return nil, errTurnOn
	}
	in, err := h.input(&b, r.caller)
	if err != nil {
		return nil, err
	}
	if in.Method == connection.OAuth { // what can be judged without the code comes first
		if err := in.Clean(); err != nil {
			return nil, err
		}
	}
	keyed, err := r.keyed("")
	if err != nil {
		return nil, err
	}
	return h.one(h.Service.Once(r.Context(), keyed, func(id string) (rotation.Record, error) {
		if err := h.redeem(r.Context(), &in.Credentials); err != nil {
			return rotation.Record{}, err
		}
		in.ID = id
		return h.Service.Create(r.Context(), in)
	}))
}

var errTurnOn = forbidden("Turning rotation on needs the role %q.", auth.Rotate)

// one answers with one connection or target.
func (h *Handler) one(rec rotation.Record, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return h.show(&rec), nil
}

func (h *Handler) get(r *request) (any, error) { return h.one(h.subject(r)) }

func (h *Handler) byName(r *request) (any, error) {
	project := ""
	if p := r.project(); p != nil {
		project = *p
	}
	rec, err := h.Service.ByName(r.Context(), project, r.params["name"])
	if err == nil && rec.Via != "" {
		return nil, errNoConnection
	}
	return h.one(rec, err)
}

// delete answers with the connection as it was, and with what remains of it.
func (h *Handler) delete(r *request) (any, error) {
	revoke, err := r.flag("revoke")
	if err != nil {
		return nil, err
	}
	rec, err := h.subject(r)
	if err != nil {
		return nil, err
	}
	was, err := h.Service.Delete(r.Context(), rec.ID, connection.DeleteOptions{Revoke: revoke, By: r.caller.Label()})
	if err != nil {
		return nil, err
	}
	out := h.show(&was)
	out["message"] = connection.Remains(&was, revoke)
	return out, nil
}

func (h *Handler) listTargets(r *request) (any, error) {
	rec, err := h.subject(r)
	if err != nil {
		return nil, err
	}
	records, err := h.Service.Targets(r.Context(), rec.ID)
	if err != nil {
		return nil, err
	}
	views := make([]targetView, 0, len(records))
	for _, rec := range records {
		views = append(views, h.targetView(&rec))
	}
	return map[string]any{"targets": views}, nil
}

func (h *Handler) createTarget(r *request) (any, error) {
	var b targetBody
	if err := r.decode(&b); err != nil {
		return nil, err
	}
	if err := b.allowed(r.caller.Role); err != nil {
		return nil, err
	}
	rec, err := h.subject(r)
	if err != nil {
		return nil, err
	}
	return h.newTarget(r, rec.ID, &b)
}

// newTarget makes a target of a connection, once for all requests with one idempotency key.
func (h *Handler) newTarget(r *request, connectionID string, b *targetBody) (any, error) {
	in, err := b.input(r.caller.Label(), h.now())
	if err != nil {
		return nil, err
	}
	keyed, err := r.keyed("")
	if err != nil {
		return nil, err
	}
	return h.one(h.Service.Once(r.Context(), keyed, func(id string) (rotation.Record, error) {
		in.ID = id
		return h.Service.CreateTarget(r.Context(), connectionID, in)
	}))
}
