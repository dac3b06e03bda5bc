package rotator

import (
	"context"

	"rekey/shared/rotation"
	"rekey/shared/serviceerror"
)

// identify compares the published value with what the directory lists (rule R14).
func (p *pass) identify(ctx context.Context, rec *rotation.Record) (out rotation.Outcome) {
	c := rec.Current
	published, err := p.get(ctx, rec.VaultName, c.VaultVersion)
	if err != nil {
		return rotation.Outcome{Err: err}
	}
	token, err := p.token(ctx, c.Target, published.Value)
	if err != nil {
		return rotation.Outcome{Err: err}
	}
	app, err := p.application(ctx, token, c.Target)
	if err != nil {
		return rotation.Outcome{Err: err}
	}
	out.Application = &app
	cctx, cancel, err := p.call(ctx, p.Rules.CallTimeout)
	if err != nil {
		return rotation.Outcome{Err: err}
	}
	defer cancel()
	principal, _, err := p.Directory.ServicePrincipal(cctx, token, c.Target)
	if err != nil && !serviceerror.ClassOf(err).Refusal() {
		return rotation.Outcome{Err: err}
	}
	out.Identified, out.Doubt = rotation.Identify(p.now(), published.Value.Hint(), app.Passwords, principal, err != nil)
	return out
}
