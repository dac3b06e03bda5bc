package connections

import (
	"cmp"
	"context"
	"encoding/base64"
	"regexp"
	"slices"

	"rekey/shared/attention"
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

// maxConnections is the most that one page of a list has, and maxName the longest name.
const (
	maxConnections = 1000
	maxName        = 64
)

// list lists connections by name. Without limit it lists all of them, as Infisical's
// does.
func (h *Handler) list(r *request) (any, error) {
	records, next, err := h.page(r)
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
	records, next, err := h.page(r)
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
		views = append(views, short{app, rec.Name, rec.ID, some(rec.Project), h.orgID()})
	}
	return listing{"appConnections": views}.next(next), nil
}

// listing is an answer that may have a next page. Who does not ask for pages never
// sees the member.
type listing map[string]any

func (l listing) next(cursor string) listing {
	if cursor != "" {
		l["nextCursor"] = cursor
	}
	return l
}

// page reads the connections that a request asks for. With a limit it costs what is on the page,
// and what `attention` leaves out.
func (h *Handler) page(r *request) (records []rotation.Record, next string, err error) {
	q := rotation.ListQuery{Project: r.project(), Name: r.URL.Query().Get("name")}
	if q.Limit, err = r.whole("limit", 0, maxConnections); err != nil {
		return nil, "", err
	}
	urgent, err := r.flag("attention")
	if err != nil {
		return nil, "", err
	}
	if q.AfterName, q.AfterID, err = parseCursor(r.URL.Query().Get("cursor")); err != nil {
		return nil, "", err
	}
	var keep func(*rotation.Record) bool
	if now := h.now(); urgent {
		keep = func(rec *rotation.Record) bool { return len(attention.Of(rec, now)) > 0 }
	}
	switch {
	case len(q.Name) > maxName:
		return nil, "", nil
	case q.Limit == 0 && q.Name != "":
		q.Limit = maxConnections // of one name there are as many as there are projects
	case q.Limit == 0:
		records, err = h.everything(r.Context(), q, keep)
		return records, "", err
	}
	records, more, err := h.Service.Page(r.Context(), q, keep)
	if err == nil && more {
		next = cursor(records)
	}
	return records, next, err
}

// everything reads all connections that q asks for. That costs one read of all rows.
func (h *Handler) everything(ctx context.Context, q rotation.ListQuery, keep func(*rotation.Record) bool) ([]rotation.Record, error) {
	records, err := h.Service.List(ctx, q.Project)
	if err != nil {
		return nil, err
	}
	records = slices.DeleteFunc(records, func(rec rotation.Record) bool {
		return q.Name != "" && rec.Name != q.Name || keep != nil && !keep(&rec)
	})
	return inOrder(records, q.AfterName, q.AfterID), nil
}

// inOrder returns the records that come after a place in a list, in the list's order.
func inOrder(records []rotation.Record, name, id string) []rotation.Record {
	after := name + " " + id
	records = slices.DeleteFunc(records, func(rec rotation.Record) bool { return place(&rec) <= after })
	slices.SortFunc(records, func(a, b rotation.Record) int { return cmp.Compare(place(&a), place(&b)) })
	return records
}

// place is where a connection comes in a list. An id has no spaces; a name that the API took has
// none either, but one that was rebuilt from tags may.
func place(rec *rotation.Record) string { return rec.Name + " " + rec.ID }

// placeForm is what a cursor holds.
var placeForm = regexp.MustCompile(`^((?s:.{1,256})) ([A-Za-z0-9_-]{1,100})$`)

// cursor is where the page after this one begins.
func cursor(page []rotation.Record) string {
	return base64.RawURLEncoding.EncodeToString([]byte(place(&page[len(page)-1])))
}

func parseCursor(cursor string) (name, id string, err error) {
	if cursor == "" {
		return "", "", nil
	}
	at, err := base64.RawURLEncoding.DecodeString(cursor)
	place := placeForm.FindSubmatch(at)
	if err != nil || place == nil {
		return "", "", errCursor
	}
	return string(place[1]), string(place[2]), nil
}

var errCursor = badRequest("cursor is none that this list gave out. Begin again without it.")

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
	was, err := h.Service.Delete(r.Context(), rec.ID, connection.DeleteOptions{Revoke: revoke, By: r.caller.Name})
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
	if b.IsAutoRotationEnabled && !r.caller.Role.Allows(auth.Rotate) {
		return nil, errTurnOn
	}
	rec, err := h.subject(r)
	if err != nil {
		return nil, err
	}
	in, err := b.input(r.caller.Name, h.now())
	if err != nil {
		return nil, err
	}
	keyed, err := r.keyed("")
	if err != nil {
		return nil, err
	}
	return h.one(h.Service.Once(r.Context(), keyed, func(id string) (rotation.Record, error) {
		in.ID = id
		return h.Service.CreateTarget(r.Context(), rec.ID, in)
	}))
}
