package connection

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"rekey/shared/rotation"
)

// Plan is what a rotation would do, and when at the earliest.
type Plan struct {
	Running bool // a run is under way; it would be the answer, and the plan is what it does
	Steps   []PlanStep
}

// PlanStep is one step of a plan, with the calls that it makes elsewhere.
type PlanStep struct {
	At    time.Time
	What  string
	Calls []string
	KeyID string // the client secret that it is about, if that exists
}

// DryRun says what Rotate would do with the same options: it refuses what Rotate would
// refuse, as far as that can be known without signing in, and writes nothing anywhere.
func (s *Service) DryRun(ctx context.Context, id string, opts RotateOptions) (Plan, error) {
	ctx, _, _, cancel := s.bounded(ctx)
	defer cancel()
	if opts.Grace != nil && (*opts.Grace < 0 || *opts.Grace > maxGrace) {
		return Plan{}, invalid("gracePeriodHours must be 0 to %d.", int(maxGrace.Hours()))
	}
	rec, err := s.Get(ctx, id)
	if err != nil {
		return Plan{}, err
	}
	if err := roomFor(&rec, opts); err != nil {
		return Plan{}, err
	}
	wanted, err := rotatable(&rec)
	if err != nil {
		return Plan{}, err
	}
	if err := s.claims().Look(ctx, s.newClaims(&rec, wanted...)...); err != nil {
		return Plan{}, s.explainClaim(ctx, err)
	}
	return s.plan(&rec, opts), nil
}

// The calls of the steps.
const (
	callToken  = "Entra: POST /{tenant}/oauth2/v2.0/token"
	callRead   = "Graph: GET /applications/{id}"
	callAdd    = "Graph: POST /applications/{id}/addPassword"
	callRemove = "Graph: POST /applications/{id}/removePassword"
	callPut    = "Key Vault: PUT /secrets/%s"
)

// plan lists the steps for a record as it is, in their order.
func (s *Service) plan(rec *rotation.Record, opts RotateOptions) Plan {
	now, rules := s.Rotator.Clock(), s.Rotator.Rules
	grace, age := rec.Policy.Grace, rules.MinAge
	if opts.Grace != nil {
		grace = *opts.Grace
	}
	if opts.Emergency {
		grace, age = 0, rules.MinAgeFirst
	}
	p := Plan{Running: rec.Run != nil && !opts.Emergency}
	issued, fresh := now, ""
	if rec.Unidentified() && !p.Running {
		what := "Find out which client secret is published now. If that is in doubt, the rotation is refused."
		if opts.Emergency {
			what = "Find out which client secret is published now. If that is in doubt, it is left to a person."
		}
		p.add(now, "", what, callToken, callRead)
	}
	if p.Running {
		grace, fresh = rec.Run.Grace, rec.Run.KeyID
		issued = cmp.Or(rec.Run.IssuedAt, now)
	}
	if fresh == "" {
		p.issue(rec, now)
	}
	published := latest(issued.Add(max(age, time.Duration(rules.Successes-1)*rules.Spacing)), now)
	p.add(published, fresh, fmt.Sprintf("Prove it by %d fresh sign-ins in a row, and publish it in the Key Vault secret %q.", rules.Successes, rec.VaultName),
		callToken, fmt.Sprintf(callPut, rec.VaultName))
	switch c := rec.Current; {
	case c == nil:
	default:
		at := published.Add(max(grace, rules.RevokeMinAge))
		p.add(at, c.KeyID, "Remove the client secret that is published now, once what is published works and is another one.", callToken, callRemove, callRead)
	}
	for _, o := range rec.Replaced() {
		at := latest(o.After, now)
		if opts.Emergency {
			at = now
		}
		p.add(at, o.KeyID, "Remove a client secret that was replaced before.", callToken, callRemove, callRead)
	}
	slices.SortStableFunc(p.Steps, func(a, b PlanStep) int { return a.At.Compare(b.At) })
	return p
}

// issue adds the steps that make a new client secret.
func (p *Plan) issue(rec *rotation.Record, now time.Time) {
	who := "the application itself"
	if rec.Delegated() {
		who = "the connection that authenticates"
	}
	p.add(now, "", fmt.Sprintf("Sign in as %s and issue a new client secret.", who), callToken, callRead, callAdd)
	p.add(now, "", fmt.Sprintf("Store it in the Key Vault secret %q, which nobody reads.", rec.StagedName()), fmt.Sprintf(callPut, rec.StagedName()))
}

func (p *Plan) add(at time.Time, keyID, what string, calls ...string) {
	p.Steps = append(p.Steps, PlanStep{At: at, What: what, Calls: calls, KeyID: keyID})
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
