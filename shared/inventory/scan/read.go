package scan

import (
	"context"
	"errors"
	"net/http"
	"time"

	"rekey/shared/inventory"
	"rekey/shared/rotation"
	"rekey/shared/serviceerror"
)

// readPage reads the next page of a list and keeps it.
func (p *pass) readPage(ctx context.Context) error {
	sc := p.t.Scan
	list, cursor := sc.List, sc.Cursor
	if sc.Pages == 0 && cursor == "" && list == steps[0] {
		p.clean(ctx) // what another scan has left
	}
	var page inventory.Page
	err := p.ask(ctx, list, func(ctx context.Context, token rotation.Token) (err error) {
		page, err = p.Directory.Page(ctx, token, list, cursor)
		if err == nil && page.Next != "" && (page.Next == cursor || sc.Pages >= manyPages) {
			err = &serviceerror.Error{Op: "reading a list", Class: serviceerror.Invalid, Detail: "it does not come to an end"}
		}
		return err
	})
	if err != nil {
		return p.failed(ctx, list, err)
	}
	for i := range page.Applications {
		page.Applications[i].TenantID = p.id
	}
	next := p.next()
	w := Write{Page: &KeptPage{ScanID: sc.ID, Number: sc.Pages, List: list, Applications: page.Applications}}
	next.Scan.Pages++ // of empty ones, too: it bounds the list
	p.succeeded(next.Scan)
	if next.Scan.Cursor = page.Next; page.Next == "" {
		p.advance(next.Scan)
	}
	return p.commit(ctx, next, w)
}

// readPolicy reads how long a client secret may live in the tenant.
func (p *pass) readPolicy(ctx context.Context) error {
	next := p.next()
	err := p.ask(ctx, inventory.Policy, func(ctx context.Context, token rotation.Token) (err error) {
		next.Scan.Longest, err = p.Directory.LongestSecret(ctx, token)
		return err
	})
	if err != nil {
		return p.failed(ctx, inventory.Policy, err)
	}
	p.succeeded(next.Scan)
	p.advance(next.Scan)
	return p.commit(ctx, next, Write{})
}

// succeeded ends what failed before.
func (p *pass) succeeded(sc *inventory.Scan) {
	sc.Failures, sc.Problem = 0, nil
	p.wake = time.Time{}
}

// advance goes on to what comes after a list.
func (p *pass) advance(sc *inventory.Scan) {
	sc.Cursor, sc.ListFrom, sc.Restarts = "", sc.Pages, 0
	if sc.List = after(sc.List); sc.List == "" {
		sc.Phase, sc.Parts, sc.Part, sc.Result = inventory.Writing, p.parts(), 0, &inventory.Result{}
		p.written = 0
	}
}

// signInError is the failure of a sign-in, which is about the scan and not about a list.
type signInError struct{ error }

func (e signInError) Unwrap() error { return e.error }

// ask sends a request for a list as the scan's connection. It waits for its turn where the list has
// keyCredentials.
func (p *pass) ask(ctx context.Context, list inventory.List, do func(context.Context, rotation.Token) error) error {
	token, err := p.signIn(ctx)
	if err != nil {
		return err
	}
	if list == inventory.Applications || list == inventory.Principals {
		if err := p.sleep(ctx, p.reserve(p.id, p.now())); err != nil {
			return err
		}
	}
	p.calls++
	return p.send(ctx, list, func(ctx context.Context) error { return do(ctx, token) })
}

// send sends one request within its time.
func (p *pass) send(ctx context.Context, list inventory.List, do func(context.Context) error) error {
	cctx, cancel := p.within(ctx, p.stop)
	defer cancel()
	err := do(cctx)
	if p.Observer != nil {
		class := serviceerror.Class("")
		if err != nil {
			class = serviceerror.ClassOf(err)
		}
		p.Observer.Read(ctx, list, class)
	}
	return p.cut(ctx, err)
}

// cut tells the failure of a call from one that this pass has ended, for want of time.
func (p *pass) cut(ctx context.Context, err error) error {
	if err != nil && (ctx.Err() != nil || !p.now().Before(p.stop)) {
		return errNoTime
	}
	return err
}

// signIn returns the token of this pass, which it outlasts. It is another one after that was refused.
func (p *pass) signIn(ctx context.Context) (rotation.Token, error) {
	if !p.token.Value.IsZero() {
		return p.token, nil
	}
	cctx, cancel := p.within(ctx, p.stop)
	defer cancel()
	token, err := p.Actors.TokenIn(cctx, p.t.Scan.ConnectionID, p.id)
	if err != nil {
		return token, p.cut(ctx, signInError{err})
	}
	p.token = token
	return token, nil
}

// unauthorized reports whether the directory did not take a token.
func unauthorized(err error) bool {
	e, ok := errors.AsType[*serviceerror.Error](err)
	return ok && e.Status == http.StatusUnauthorized
}
