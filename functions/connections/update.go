package connections

import (
	"errors"
	"strings"

	"rekey/shared/auth"
	"rekey/shared/connection"
	"rekey/shared/rotation"
)

// update changes a connection or a target. Members of rotation that are left out stay as
// they are, so that a change is made of what the record says at the time: if another
// caller changes it in between, it is made anew.
func (h *Handler) update(r *request) (any, error) {
	var b updateBody
	if err := r.decode(&b); err != nil {
		return nil, err
	}
	return h.one(h.merge(r, h.subject, b.Version == nil, func(rec *rotation.Record) (connection.Change, error) {
		return h.change(&b, rec, r.caller)
	}))
}

// merge makes a change of the record as it is and of what the caller says. free says that
// the caller has not said which version it is for.
func (h *Handler) merge(
	r *request, find func(*request) (rotation.Record, error), free bool, change func(*rotation.Record) (connection.Change, error),
) (rotation.Record, error) {
	for try := 1; ; try++ {
		rec, err := find(r)
		if err != nil {
			return rec, err
		}
		c, err := change(&rec)
		if err != nil {
			return rec, err
		}
		if c.Credentials != nil {
			if err := h.redeem(r.Context(), c.Credentials); err != nil {
				return rec, err
			}
		}
		merged := free && (c.Schedule != nil || c.Labels != nil) && c.Credentials == nil
		if merged {
			c.Version = &rec.Revision
		}
		got, err := h.Service.Update(r.Context(), rec.ID, c)
		if !merged || try == 3 || !overtaken(err, got.Revision, rec.Revision) {
			return got, err
		}
	}
}

// overtaken reports whether a change was refused because of one that came before it.
func overtaken(err error, now, before int64) bool {
	e, ok := errors.AsType[*connection.Error](err)
	return ok && e.Kind == connection.Conflict && now != before
}

// change turns the body into what the service takes, for rec as it is.
func (h *Handler) change(b *updateBody, rec *rotation.Record, caller auth.Caller) (connection.Change, error) {
	c := connection.Change{Version: b.Version, Name: b.Name, Description: b.Description.text, Rotate: b.IsAutoRotationEnabled,
		By: caller.Label()}
	if err := b.unchangeable(rec); err != nil {
		return c, err
	}
	on := rec.Policy.Enabled
	if b.IsAutoRotationEnabled != nil {
		on = *b.IsAutoRotationEnabled
	}
	p, err := b.Rotation.plan(on && !rec.Policy.Enabled, rec.Policy.Schedule, slot(rec, h.now()), h.now())
	if err != nil {
		return c, err
	}
	c.Schedule, c.Grace, c.OriginalGrace = p.schedule, p.grace, p.originalGrace
	if b.Credentials == nil {
		return c, nil
	}
	given := *b.Credentials
	if given.TenantID == "" {
		given.TenantID = rec.Actor.TenantID
	}
	if given.ClientID == "" {
		given.ClientID = rec.Actor.ClientID
	}
	if given.SendCertificateChain == nil && rec.Auth != nil {
		given.SendCertificateChain = &rec.Auth.Chain
	}
	if rec.Via != "" {
		return c, badRequest("A target has no credentials of its own: it is rotated through its connection. Change the credentials of that one.")
	}
	read, err := h.read(rec.Method, &given)
	c.Credentials = &read
	return c, err
}

// unchangeable refuses to change what stays as it was created. A client may send it
// all the same, as long as it is the same.
func (b *updateBody) unchangeable(rec *rotation.Record) error {
	same := func(given *string, is string) bool {
		return given == nil || strings.EqualFold(strings.TrimSpace(*given), is)
	}
	switch {
	case deref(b.GatewayID)+deref(b.GatewayPoolID) != "" || b.PlatformManaged:
		return errUnsupported
	case !same(b.Method, rec.Method):
		return badRequest("The method of a connection can't be changed. Create another connection.")
	case b.ProjectID != nil && *b.ProjectID != rec.Project:
		return badRequest("The project of a connection can't be changed. Create another connection.")
	case !same(b.VaultSecretName, rec.VaultName):
		return badRequest("The Key Vault secret of a connection can't be changed, since its consumers read it. Create another connection.")
	}
	if t := b.Rotation.target(); t != nil && (!same(&t.ClientID, rec.Target.ClientID) && t.ClientID != "" ||
		!same(&t.ObjectID, rec.Target.ObjectID) && t.ObjectID != "") {
		return badRequest("The application that is rotated can't be changed. Add another one: POST .../azure-client-secrets/{id}/targets.")
	}
	return nil
}
