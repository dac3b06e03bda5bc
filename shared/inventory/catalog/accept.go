package catalog

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"rekey/shared/connection"
	"rekey/shared/inventory"
	"rekey/shared/serviceerror"
)

// MaxAcceptances is how many acceptances are kept of one application, those that have ended
// included: they are the trail of what was accepted by whom. The one that ended first makes room.
const MaxAcceptances = 32

// longest is how far ahead an acceptance may end: a year, whichever.
const longest = 366 * day

// Acceptance is what a caller says of a finding.
type Acceptance struct {
	Kind   inventory.FindingKind
	KeyID  string // empty: of whatever credential
	Reason string
	Until  time.Time
	By     string // the caller's name
	Caller string // the same for the log: without what the directory calls a person
	From   string // where the request came from, for the log
}

// Accept says that a finding of an application is as it should be. It replaces what was accepted of
// the same finding and credential.
func (c *Catalog) Accept(ctx context.Context, key inventory.Key, in Acceptance) (Item, inventory.Tenant, error) {
	now := c.now().UTC()
	if err := in.clean(now); err != nil {
		return Item{}, inventory.Tenant{}, err
	}
	item, t, err := c.Get(ctx, key)
	if err != nil {
		return item, t, err
	}
	if !slices.ContainsFunc(item.Findings, func(f inventory.Finding) bool {
		return f.Kind == in.Kind && (in.KeyID == "" || strings.EqualFold(f.KeyID, in.KeyID))
	}) {
		return item, t, &connection.Error{Kind: connection.Conflict,
			Message: "The application has no such finding now. GET .../inventory/{tenantId}/{clientId} lists what it has."}
	}
	fresh := inventory.Acceptance{Kind: in.Kind, KeyID: in.KeyID, Reason: in.Reason, By: in.By, At: now, Until: in.Until}
	return c.change(ctx, key, "finding accepted", in, func(all []inventory.Acceptance) ([]inventory.Acceptance, error) {
		if i := inForce(all, in.Kind, in.KeyID, now); i >= 0 {
			if was := all[i]; was.Reason == in.Reason && was.By == in.By && was.Until.Equal(in.Until) {
				return all, nil // the same request again
			}
			all[i].Until, all[i].EndedBy = now, in.By
		}
		all = append(all, fresh)
		if len(all) <= MaxAcceptances {
			return all, nil
		}
		first := firstEnded(all, now)
		if first < 0 {
			return nil, &connection.Error{Kind: connection.Conflict,
				Message: "This application has too many acceptances. Take some back, or accept a finding without its keyId."}
		}
		return slices.Delete(all, first, first+1), nil
	})
}

// TakeBack ends an acceptance. It stays as the trail of what was accepted.
func (c *Catalog) TakeBack(ctx context.Context, key inventory.Key, in Acceptance) (Item, inventory.Tenant, error) {
	now := c.now().UTC()
	return c.change(ctx, key, "acceptance taken back", in, func(all []inventory.Acceptance) ([]inventory.Acceptance, error) {
		i := inForce(all, in.Kind, in.KeyID, now)
		if i < 0 {
			return nil, &connection.Error{Kind: connection.NotFound, Message: "There is no such acceptance, or it has ended."}
		}
		all[i].Until, all[i].EndedBy = now, in.By
		return all, nil
	})
}

// change changes what is accepted about an application, and returns the application.
func (c *Catalog) change(
	ctx context.Context, key inventory.Key, what string, in Acceptance, change func([]inventory.Acceptance) ([]inventory.Acceptance, error),
) (Item, inventory.Tenant, error) {
	err := c.Store.Accept(ctx, key, func(all []inventory.Acceptance) ([]inventory.Acceptance, error) {
		return change(slices.Clone(all))
	})
	switch {
	case errors.Is(err, serviceerror.ErrNotFound):
		return Item{}, inventory.Tenant{}, errNoApplication
	case errors.Is(err, serviceerror.ErrConflict):
		return Item{}, inventory.Tenant{}, &connection.Error{Kind: connection.Conflict, RetryAfter: time.Second,
			Message: "Another caller changed what is accepted about this application at the same time. Try again."}
	case err != nil:
		return Item{}, inventory.Tenant{}, c.explain(ctx, "writing the acceptance", err)
	}
	c.log().InfoContext(ctx, what, "caller", in.Caller, "from", in.From, "tenant", key.TenantID, "application", key.ClientID,
		"finding", in.Kind, "keyId", in.KeyID, "until", in.Until)
	return c.Get(ctx, key)
}

// inForce finds the acceptance of a finding that holds now; -1: there is none.
func inForce(all []inventory.Acceptance, kind inventory.FindingKind, keyID string, now time.Time) int {
	return slices.IndexFunc(all, func(a inventory.Acceptance) bool {
		return a.Kind == kind && strings.EqualFold(a.KeyID, keyID) && now.Before(a.Until)
	})
}

// firstEnded finds the acceptance that ended first; -1: none has.
func firstEnded(all []inventory.Acceptance, now time.Time) int {
	first := -1
	for i, a := range all {
		if !now.Before(a.Until) && (first < 0 || a.Until.Before(all[first].Until)) {
			first = i
		}
	}
	return first
}

func (in *Acceptance) clean(now time.Time) error {
	in.Reason, in.KeyID, in.Until = strings.TrimSpace(in.Reason), strings.ToLower(strings.TrimSpace(in.KeyID)), in.Until.UTC()
	switch {
	case !in.Kind.Acceptable():
		return invalid("finding must be one of %s.", kinds(acceptable))
	case in.KeyID != "" && !connection.ValidID(in.KeyID):
		return invalid("keyId must be a UUID, or left out for whatever credential has the finding.")
	case in.Reason == "":
		return invalid("reason is missing: say why the finding is as it should be.")
	case utf8.RuneCountInString(in.Reason) > maxText:
		return invalid("reason must be at most %d characters.", maxText)
	case connection.Unprintable(in.Reason):
		return invalid("reason must be one line without control characters and without characters that change the direction of writing.")
	case !in.Until.After(now) || in.Until.After(now.Add(longest)):
		return invalid("until must be a moment in the future, at most a year ahead.")
	}
	return nil
}

// acceptable are the findings that can be accepted.
var acceptable = slices.DeleteFunc(slices.Clone(inventory.Kinds), func(k inventory.FindingKind) bool { return !k.Acceptable() })
