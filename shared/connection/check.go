package connection

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"rekey/shared/serviceerror"

	"rekey/shared/rotation"
)

// Check is what a look at a connection has shown. What nil stands for is not known.
type Check struct {
	Authenticates bool
	Problem       serviceerror.Class // why it does not, or why the application can't be read; empty: neither
	Message       string             // what Problem means here and what to do about it
	Permissions   []Permission
	Owns          *bool // the application or person that authenticates owns what is rotated, which may be itself
	// TwoSecretLimit says that the application may have two client secrets at most;
	// ClientSecrets is how many it has.
	TwoSecretLimit *bool
	ClientSecrets  *int
	Policy         *PasswordPolicy
	Why            []string // why it can't rotate; empty: it can
}

// PasswordPolicy is what the tenant's app management policies say about new client
// secrets of an application.
type PasswordPolicy struct {
	Forbidden bool
	Longest   time.Duration // that one may live; 0: without limit
}

// Policies reads app management policies. Few may: reading them needs a permission of
// its own, which nothing else here needs.
type Policies interface {
	PasswordPolicy(ctx context.Context, token rotation.Token, app rotation.Application) (forbidden bool, longest time.Duration, err error)
}

// Permission is a Graph permission that matters to Rekey, or that is there and does
// not.
type Permission struct {
	Name      string
	Type      string // "application", or "delegated": of a person
	Has       *bool  // nil: the token can't be read
	NeededFor string
}

// Check signs in as a connection, or as the one of a target, and reads what it needs for
// rotating: permissions, the application, its owners. It changes nothing in Entra.
func (s *Service) Check(ctx context.Context, id string) (Check, error) {
	ctx, _, _, cancel := s.bounded(ctx)
	defer cancel()
	rec, err := s.Get(ctx, id)
	if err != nil {
		return Check{}, err
	}
	if rec.Phase == rotation.Creating {
		return Check{}, &Error{Kind: Conflict, Message: "The connection is being created. Try again in a minute.", RetryAfter: time.Minute}
	}
	actor, person := rec.ID, rec.Method == OAuth
	if rec.Via != "" {
		actor = rec.Via
	}
	token, err := s.Actors.Token(ctx, actor)
	if class := serviceerror.ClassOf(err); err != nil && class.Refusal() {
		err = cause(err)
		why := serviceerror.Explain(err)
		return Check{
			Problem: serviceerror.ClassOf(err), Message: why, Permissions: permissions(rotation.Token{Opaque: true}, person), Why: []string{why},
		}, nil
	}
	if err != nil {
		return Check{}, s.explain(ctx, "signing in as the connection", err)
	}
	c := Check{Authenticates: true, Permissions: permissions(token, person)}
	state, err := s.look(ctx, token, &rec, &c)
	if err != nil || state == nil || !rec.Unidentified() || rec.Delegated() {
		return c, err
	}
	return c, s.lookForCurrent(ctx, token, &rec, state, &c)
}

// cause is what is behind a refusal that was made to look like the actor's.
func cause(err error) error {
	if e, ok := errors.AsType[*serviceerror.Error](err); ok && e.Behind() != nil {
		return e.Behind()
	}
	return err
}

// forInventory is what permissions are for that no rotation needs. They are listed where they are there.
var forInventory = map[string]string{
	"Application.Read.All": "scanning what expires in the tenant, for which one of those above is enough as well",
	"Directory.Read.All":   "scanning what expires in the tenant; Application.Read.All and User.Read.All are enough for that",
	"User.Read.All":        "the names of owners in the inventory",
	"AuditLog.Read.All":    "when a credential was used last, in the inventory",
	"Policy.Read.All":      "how long the tenant's policy lets a client secret live, here and in the inventory",
}

// permissions lists what a token may do. An application has roles, a person scopes.
func permissions(token rotation.Token, person bool) []Permission {
	kind, have := "application", token.Roles
	needed := []Permission{
		{Name: readWriteOwned, NeededFor: "rotating the client secrets of applications that it owns, and listing applications"},
		{Name: readWriteAll, NeededFor: "rotating applications that it does not own; without these it is more than is needed"},
	}
	if person {
		kind, have = "delegated", token.Scopes
		needed = []Permission{
			{
				Name:      readWriteAll,
				NeededFor: "rotating the client secrets of applications that the person owns or administers, and listing applications",
			},
			{Name: "User.Read", NeededFor: "signing in"},
		}
	}
	for i := range needed {
		needed[i].Type = kind
		if !token.Opaque {
			needed[i].Has = new(slices.Contains(have, needed[i].Name))
		}
	}
	for _, name := range have {
		known := slices.ContainsFunc(needed, func(p Permission) bool { return p.Name == name })
		if !known && strings.Contains(name, ".") { // openid, profile and email are no permissions of Graph's
			needed = append(needed, Permission{Name: name, Type: kind, Has: new(true),
				NeededFor: cmp.Or(forInventory[name], "nothing that Rekey does")})
		}
	}
	return needed
}

// look reads what is to be rotated; it returns nil where that can't be read. Refusals are findings;
// only what an outside service failed to answer is an error.
func (s *Service) look(ctx context.Context, token rotation.Token, rec *rotation.Record, c *Check) (*rotation.ApplicationState, error) {
	if rec.Target.ClientID == "" && rec.Target.ObjectID == "" {
		c.Why = append(c.Why, "It has no application of its own to rotate. "+
			"Whether it may rotate a target is tested there: POST .../targets/{targetId}/test.")
		return nil, nil
	}
	if err := s.lookAtVault(ctx, rec, c); err != nil {
		return nil, err
	}
	if err := c.find(permitted(token)); err != nil {
		return nil, err
	}
	state, err := s.Directory.Application(ctx, token, rec.Target)
	if err != nil {
		c.Problem, c.Message = serviceerror.ClassOf(err), serviceerror.Explain(err)
		return nil, c.find(s.explain(ctx, "reading the application", err))
	}
	c.TwoSecretLimit, c.ClientSecrets = new(state.PersonalAccounts()), new(len(state.Passwords))
	if *c.TwoSecretLimit && *c.ClientSecrets >= 2 {
		c.Why = append(c.Why, "The application may have two client secrets at most, because personal Microsoft accounts "+
			"may sign in to it, and it has two. Wait until Rekey has removed an old one, or remove one that nothing uses.")
	}
	app := rotation.Application{TenantID: rec.Target.TenantID, ClientID: rec.Target.ClientID, ObjectID: state.ObjectID}
	if err := s.lookForOwners(ctx, token, app, c); err != nil {
		return nil, err
	}
	if rec.Delegated() {
		app.ClientID = state.ClientID
		_, enabled, err := s.Directory.ServicePrincipal(ctx, token, app)
		if err := c.find(signsInNever(enabled, err, app)); err != nil {
			return nil, err
		}
	}
	s.lookForPolicy(ctx, token, app, rec.Policy, c)
	return &state, nil
}

// lookForCurrent looks whether it can be told which client secret the given one is.
func (s *Service) lookForCurrent(
	ctx context.Context, token rotation.Token, rec *rotation.Record, state *rotation.ApplicationState, c *Check,
) error {
	app := rotation.Application{TenantID: rec.Target.TenantID, ClientID: rec.Target.ClientID, ObjectID: state.ObjectID}
	published, err := s.Vault.Get(ctx, rec.VaultName, rec.Current.VaultVersion)
	if serviceerror.Unreadable(err) {
		c.Problem, c.Message = serviceerror.ClassOf(err), serviceerror.Explain(err)
		c.Why = append(c.Why, c.Message)
		return nil
	}
	if err != nil {
		return c.find(s.explain(ctx, "reading the client secret", err))
	}
	_, err = s.identify(ctx, token, app, *state, published.Value, "")
	return c.find(s.told(ctx, err))
}

// lookAtVault looks whether the names under which a rotation has to write are blocked.
func (s *Service) lookAtVault(ctx context.Context, rec *rotation.Record, c *Check) error {
	for _, name := range []string{rec.VaultName, rec.StagedName()} {
		state, err := s.Vault.State(ctx, name)
		switch {
		case err != nil && serviceerror.ClassOf(err).Refusal():
			c.Why = append(c.Why, serviceerror.Explain(err))
		case err != nil:
			return s.explain(ctx, "looking at the Key Vault secret", err)
		case state.Deleted:
			c.Why = append(c.Why, serviceerror.Explain(&serviceerror.Error{
				Op: "looking at the Key Vault secret", Class: serviceerror.VaultConflict, Detail: serviceerror.DetailSoftDeleted, Place: state.Place,
			}))
		}
	}
	return nil
}

func (s *Service) lookForOwners(ctx context.Context, token rotation.Token, app rotation.Application, c *Check) error {
	owners, err := s.Directory.Owners(ctx, token, app)
	switch {
	case err != nil && !serviceerror.ClassOf(err).Refusal():
		return s.explain(ctx, "reading the application's owners", err)
	case err == nil && token.ObjectID != "":
		c.Owns = new(slices.ContainsFunc(owners, func(id string) bool { return strings.EqualFold(id, token.ObjectID) }))
	}
	if c.Owns != nil && *c.Owns {
		return nil
	}
	return c.find(s.owned(ctx, token, app))
}

// lookForPolicy looks whether a policy forbids what rotating with p needs: a client
// secret that lives for the interval and the grace period, with three days to spare
// (rule R10). A policy that can't be read is found out by issuing.
func (s *Service) lookForPolicy(ctx context.Context, token rotation.Token, app rotation.Application, p rotation.Policy, c *Check) {
	if s.Policies == nil {
		return
	}
	forbidden, longest, err := s.Policies.PasswordPolicy(ctx, token, app)
	if err != nil {
		return
	}
	const day = 24 * time.Hour
	c.Policy = &PasswordPolicy{forbidden, longest}
	needed := time.Duration(p.Schedule.Interval)*day + p.Grace + 3*day
	switch {
	case forbidden:
		c.Why = append(c.Why, serviceerror.PolicyForbidden.Advice())
	case longest > 0 && longest < needed:
		c.Why = append(c.Why, serviceerror.PolicyLifetime.Advice())
	}
}

// find notes a refusal as a finding, once, and returns any other error.
func (c *Check) find(err error) error {
	e, ok := errors.AsType[*Error](err)
	if err == nil || !ok || e.Kind == Unavailable {
		return err
	}
	if !slices.Contains(c.Why, e.Message) {
		c.Why = append(c.Why, e.Message)
	}
	return nil
}
