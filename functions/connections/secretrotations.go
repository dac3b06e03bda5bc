package connections

import (
	"errors"
	"strings"

	"rekey/shared/auth"
	"rekey/shared/connection"
	"rekey/shared/rotation"
)

// Targets, as Infisical's API has them: a secret rotation is a target, with names of its
// own for some of it. So clients of that API, its Terraform provider among them, manage
// targets; what is made here is seen at the connection's targets, and the reverse.

// secretRotationsBase is where they are.
const secretRotationsBase = "/api/v2/secret-rotations"

const (
	secretRotations = "azure-client-secret" // the kind of rotations that there is
	secretRotation  = secretRotations + "/{id}"
)

var secretRotationRoutes = []route{
	{"GET", secretRotations, auth.Read, (*Handler).listSecretRotations},
	{"POST", secretRotations, auth.Write, (*Handler).createSecretRotation},
	{"GET", secretRotation, auth.Read, (*Handler).getSecretRotation},
	{"PATCH", secretRotation, auth.Write, (*Handler).updateSecretRotation},
	{"DELETE", secretRotation, auth.Write, (*Handler).deleteSecretRotation},
}

var errNoSecretRotation = &connection.Error{Kind: connection.NotFound, Message: "There is no such secret rotation."}

// secretRotation is the target that the path names.
func (h *Handler) secretRotation(r *request) (rotation.Record, error) {
	id, err := r.id("id")
	if err != nil {
		return rotation.Record{}, errNoSecretRotation
	}
	rec, err := h.Service.Get(r.Context(), id)
	if e, ok := errors.AsType[*connection.Error](err); ok && e.Kind == connection.NotFound || err == nil && rec.Via == "" {
		return rotation.Record{}, errNoSecretRotation
	}
	return rec, err
}

// oneSecretRotation answers with a target.
func (h *Handler) oneSecretRotation(rec rotation.Record, err error) (map[string]any, error) {
	if e, ok := errors.AsType[*connection.Error](err); ok && e.Kind == connection.Taken {
		err = &connection.Error{
			Kind: connection.Conflict, Message: strings.ReplaceAll(e.Message, "vaultSecretName", "secretsMapping.clientSecret"),
		}
	}
	if err != nil {
		return nil, err
	}
	return map[string]any{"secretRotation": h.secretRotationView(&rec)}, nil
}

func (h *Handler) getSecretRotation(r *request) (any, error) {
	return h.oneSecretRotation(h.secretRotation(r))
}

// listSecretRotations lists the targets of all connections by name.
func (h *Handler) listSecretRotations(r *request) (any, error) {
	records, next, err := h.page(r, true)
	if err != nil {
		return nil, err
	}
	views := make([]secretRotationView, 0, len(records))
	for _, rec := range records {
		views = append(views, h.secretRotationView(&rec))
	}
	return listing{"secretRotations": views}.next(next), nil
}

func (h *Handler) createSecretRotation(r *request) (any, error) {
	var b secretRotationBody
	if err := r.decode(&b); err != nil {
		return nil, err
	}
	via, in, err := b.input(r.caller, h.now())
	if err != nil {
		return nil, err
	}
	keyed, err := r.keyed("")
	if err != nil {
		return nil, err
	}
	return h.oneSecretRotation(h.Service.Once(r.Context(), keyed, func(id string) (rotation.Record, error) {
		in.ID = id
		return h.Service.CreateTarget(r.Context(), via, in)
	}))
}

func (h *Handler) updateSecretRotation(r *request) (any, error) {
	var b secretRotationBody
	if err := r.decode(&b); err != nil {
		return nil, err
	}
	return h.oneSecretRotation(h.merge(r, h.secretRotation, true, func(rec *rotation.Record) (connection.Change, error) {
		if err := b.unchangeable(rec); err != nil {
			return connection.Change{}, err
		}
		c, err := h.change(b.update(rec), rec, r.caller)
		c.Labels = b.labels(rec)
		return c, err
	}))
}

// deleteSecretRotation answers with the target as it was. Its body means nothing; some
// clients send one.
func (h *Handler) deleteSecretRotation(r *request) (any, error) {
	revoke, err := r.flag("revoke")
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"deleteSecrets", "revokeGeneratedCredentials"} {
		switch set, err := r.flag(name); {
		case err != nil:
			return nil, err
		case set:
			return nil, badRequest("%s is not supported by itself. revoke=true removes both the client secret and what is published.", name)
		}
	}
	rec, err := h.secretRotation(r)
	if err != nil {
		return nil, err
	}
	was, err := h.Service.Delete(r.Context(), rec.ID, connection.DeleteOptions{Revoke: revoke, By: r.caller.Label()})
	out, err := h.oneSecretRotation(was, err)
	if err == nil {
		out["message"] = connection.Remains(&was, revoke)
	}
	return out, err
}
