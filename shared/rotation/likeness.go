package rotation

import (
	"context"
	"errors"
	"strings"

	"rekey/shared/secret"
	"rekey/shared/serviceerror"
)

// likeness is how the credential that is about to be published compares with the one
// that is current.
type likeness int

const (
	another likeness = iota
	theSame          // given once more
	unclear          // current's value can't be read any more, and nothing else tells
)

// recognise compares the credential that a run is about to publish with those that the
// record knows. What was issued, and what was given with its key id, is known by that.
// One that a caller gave without it may be the one that is published already, or one that
// was and waits for its removal: only the values tell, and to remove or report the old one
// would be to remove or report what is published. What is recognised is known by its key
// id again: next is completed.
func (p *pass) recognise(ctx context.Context, rec *Record, next *Credential, value secret.Value) (likeness, error) {
	old := rec.Current
	switch {
	case old != nil && old.KeyID != "" && strings.EqualFold(old.KeyID, next.KeyID):
		return theSame, nil
	case old == nil || rec.Phase != Rebinding || old.KeyID != "" && next.KeyID != "":
		return another, nil
	}
	was := another
	if old.Target.Same(next.Target) && (old.Hint == "" || next.Hint == "" || old.Hint == next.Hint) {
		same, err := p.holds(ctx, rec, old.VaultVersion, value)
		switch {
		case errors.Is(err, serviceerror.ErrNotFound) || serviceerror.IsDisabled(err):
			was = unclear
		case err != nil:
			return was, err
		case same:
			if next.KeyID == "" {
				next.KeyID, next.Origin, next.Marker, next.ExpiresAt = old.KeyID, old.Origin, old.Marker, old.ExpiresAt
			}
			return theSame, nil
		}
	}
	for _, o := range rec.Retiring {
		if next.KeyID != "" || o.VaultVersion == "" || !o.Target.Same(next.Target) {
			continue
		}
		same, err := p.holds(ctx, rec, o.VaultVersion, value)
		if err != nil && !errors.Is(err, serviceerror.ErrNotFound) && !serviceerror.IsDisabled(err) {
			return was, err
		}
		if same { // ours, issued or named before; being current keeps it from being removed
			next.KeyID, next.Origin = o.KeyID, OriginNamed
		}
	}
	return was, nil
}

// holds reports whether a published version has that value.
func (p *pass) holds(ctx context.Context, rec *Record, version string, value secret.Value) (bool, error) {
	s, err := p.get(ctx, rec.VaultName, version)
	return err == nil && s.Value == value, err
}
