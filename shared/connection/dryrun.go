package connection

import (
	"context"
	"fmt"
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
	p := planner{Plan: Plan{Running: rec.Run != nil && !opts.Emergency}, confirmed: map[string]bool{},
		disabled: map[string]bool{}}
	if !answered(&rec, opts) {
		rec.Ask(s.request(opts))
	}
	for _, ahead := range s.Rotator.Rules.Forecast(s.Rotator.Clock(), rec) {
		p.describe(&ahead, s.Rotator.Rules.Successes)
	}
	return p.Plan, nil
}

// The calls of the steps.
const (
	callToken   = "Entra: POST /{tenant}/oauth2/v2.0/token"
	callRead    = "Graph: GET /applications/{id}"
	callAdd     = "Graph: POST /applications/{id}/addPassword"
	callRemove  = "Graph: POST /applications/{id}/removePassword"
	callPut     = "Key Vault: PUT /secrets/%s"
	callDisable = "Key Vault: PATCH /secrets/%s/{version}"
	callList    = "Key Vault: GET /secrets/%s/versions"
)

// planner describes a forecast.
type planner struct {
	Plan
	confirmed map[string]bool // the removals of which a read is described already
	disabled  map[string]bool // the secrets of which old versions are
}

// describe adds what a step does, if it asks a service.
func (p *planner) describe(f *rotation.Foreseen, successes int) {
	rec := &f.Before
	switch f.Step.(type) {
	case rotation.AdoptGiven:
		name := rec.VaultName
		if rec.Auth != nil {
			name = rec.AuthName()
		}
		p.add(f.At, "", "Look whether what was given has reached Key Vault.", fmt.Sprintf(callList, name))
	case rotation.IdentifyCurrent:
		what := "Find out which client secret is published now. If that is in doubt, the rotation is refused."
		if rec.Request != nil && rec.Request.Kind == rotation.AskEmergency {
			what = "Find out which client secret is published now. If that is in doubt, it is left to a person."
		}
		p.add(f.At, "", what, callToken, callRead)
	case rotation.RefuseRequest:
		p.add(f.At, "", "Refuse the request. "+rec.Unable(rec.Request))
	case rotation.IssueCredential:
		who := "the application itself"
		if rec.Delegated() {
			who = "the connection that authenticates"
		}
		staged := rec.StagedName()
		p.add(f.At, "", fmt.Sprintf("Sign in as %s and issue a new client secret.", who), callToken, callRead, callAdd)
		p.add(f.At, "", fmt.Sprintf("Store it in the Key Vault secret %q, which no consumer reads.", staged), fmt.Sprintf(callPut, staged))
	case rotation.Reconcile:
		p.add(f.At, "", "Look whether an attempt of unknown outcome has issued a client secret. What follows depends on what is found.",
			fmt.Sprintf(callList, rec.StagedName()))
	case rotation.Publish: // the tokens are those of the steps before
		what := fmt.Sprintf("Prove it by %d fresh sign-ins in a row, and publish it in the Key Vault secret %q.", successes, rec.VaultName)
		p.add(f.At, rec.Run.KeyID, what, callToken, fmt.Sprintf(callPut, rec.VaultName))
	case rotation.Republish:
		what := fmt.Sprintf("Prove the current client secret, and publish it again in the Key Vault secret %q.", rec.VaultName)
		p.add(f.At, rec.Current.KeyID, what, callToken, fmt.Sprintf(callPut, rec.VaultName))
	case rotation.Withdraw:
		p.add(f.At, rec.Run.KeyID, "Give the new client secret up; what is current stays published.")
	case rotation.DisableStale:
		for _, name := range rec.StaleNames() {
			if !p.disabled[name] { // it may come to more versions later: once says it
				p.disabled[name] = true
				p.add(f.At, "", fmt.Sprintf("Disable what is not needed any more in the Key Vault secret %q.", name), fmt.Sprintf(callDisable, name))
			}
		}
	case rotation.Remove, rotation.ConfirmRemoved, rotation.ConfirmRefused:
		p.describeRemoval(f)
	case rotation.RenewSignIn:
		p.add(f.At, "", "Renew the sign-in.", callToken)
	}
	if f.Open {
		return
	}
	for _, left := range f.After.ByHand[min(len(rec.ByHand), len(f.After.ByHand)):] {
		p.add(f.At, left.KeyID, fmt.Sprintf("Leave a client secret in Entra, to be removed manually: %s.", left.Reason))
	}
}

// describeRemoval adds a step of a removal. Many reads confirm one, and all ask the same: it
// adds the first.
func (p *planner) describeRemoval(f *rotation.Foreseen) {
	rec, m := &f.Before, f.Before.RemovalOf(f.Step)
	switch f.Step.(type) {
	case rotation.Remove:
		what := "Remove a client secret that was replaced, once what is published works and is another one."
		switch {
		case rec.MustStay(m):
			return
		case m.Kind == rotation.RemoveOrphan:
			what = "Remove a client secret that was issued by an attempt that was given up."
		}
		p.add(f.At, m.KeyID, what, callToken, callRemove)
	case rotation.ConfirmRefused:
		p.confirm(f.At, m, "Confirm by several refused sign-ins that it is gone.", callToken)
	case rotation.ConfirmRemoved: // one read judges all of the application that wait for one
		for i := range rec.Removals {
			switch o := &rec.Removals[i]; {
			case o.Kind == rotation.RemoveLast || !o.Target.Same(m.Target) || o.NextAt.After(f.At):
			case o.KeyID == "":
				p.confirm(f.At, o, "Look for what an attempt that was given up may have issued, and remove what is found.", callToken, callRead)
			case !o.RemovedAt.IsZero():
				p.confirm(f.At, o, "Confirm by several reads that it is gone.", callToken, callRead)
			}
		}
	}
}

// confirm adds a removal's first read.
func (p *planner) confirm(at time.Time, m *rotation.Removal, what string, calls ...string) {
	if !p.confirmed[m.ID()] {
		p.confirmed[m.ID()] = true
		p.add(at, m.KeyID, what, calls...)
	}
}

func (p *planner) add(at time.Time, keyID, what string, calls ...string) {
	p.Steps = append(p.Steps, PlanStep{At: at, What: what, Calls: calls, KeyID: keyID})
}
