package scan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"rekey/shared/history"
	"rekey/shared/inventory"
	"rekey/shared/rotation"
	"rekey/shared/serviceerror"
)

const (
	// manyRestarts is how often a list begins again because its cursor is taken no more.
	manyRestarts = 3
	// manyFailures is after how many failures in a row, of a kind that passes by itself, a list is
	// left unread that a scan can do without: the rest of the inventory does not wait for a report.
	manyFailures = 10
	// manyRefused is how many tokens in a row the directory refuses before a person has to act.
	manyRefused = 3
)

// failed decides what comes of a failure: to wait and try again, now or in another pass; to begin
// the list again; to go on without it; or to end the scan.
func (p *pass) failed(ctx context.Context, list inventory.List, err error) error {
	if errors.Is(err, errNoTime) {
		return err
	}
	signIn, isSignIn := errors.AsType[signInError](err)
	next := p.next()
	sc := next.Scan
	class := serviceerror.ClassOf(err)
	if sc.Problem != nil && sc.Problem.Class != class {
		sc.Failures = 0
	}
	sc.Failures++
	if unauthorized(err) && !isSignIn {
		p.token = rotation.Token{}
		signIn, isSignIn = signInError{err}, sc.Failures >= manyRefused
	}
	problem := inventory.Unread{List: list, Class: class, Message: explain(list, err)}
	if isSignIn {
		problem.Message = explainSignIn(signIn.error)
	}
	sc.Problem = &problem
	switch {
	case isSignIn && class.Refusal():
		other, err := p.another(ctx)
		if err != nil {
			return err
		}
		if other == "" {
			return p.fail(ctx, next)
		}
		p.logger.Warn("scan goes on through another connection", "scan", sc.ID, "from", sc.ConnectionID, "to", other)
		if next.ConnectionID == sc.ConnectionID {
			next.ConnectionID = other
		}
		sc.ConnectionID = other
		p.succeeded(sc)
		return p.commit(ctx, next, Write{})
	case isSignIn, unauthorized(err):
		return p.retry(ctx, next, err)
	case class == serviceerror.Invalid && sc.Cursor != "" && sc.Restarts < manyRestarts && list != inventory.Missing:
		sc.Cursor, sc.Pages = "", sc.ListFrom
		sc.Restarts++
		return p.commit(ctx, next, Write{})
	case class.Refusal() && list == inventory.Applications:
		return p.fail(ctx, next)
	case class.Refusal(), class == serviceerror.Transient && sc.Failures >= manyFailures && list != inventory.Applications:
		return p.without(ctx, next, problem)
	}
	return p.retry(ctx, next, err)
}

// retry waits as long as the service has asked for, or else for longer each time. What does not
// fit into this pass is left to another one.
func (p *pass) retry(ctx context.Context, next inventory.Tenant, err error) error {
	p.t.Scan = next.Scan // committed with whatever comes next
	class := next.Scan.Problem.Class
	if class.Refusal() { // a token that was not taken: another one may be
		class = serviceerror.Transient
	}
	d := serviceerror.RetryAfterOf(err)
	if d <= 0 {
		d = rotation.Backoff(p.id, class, next.Scan.Failures)
	}
	p.wake = p.now().Add(d)
	return p.sleep(ctx, d)
}

// without goes on without a list, or what is asked after the lists.
func (p *pass) without(ctx context.Context, next inventory.Tenant, why inventory.Unread) error {
	sc := next.Scan
	sc.Unread = append(slices.DeleteFunc(sc.Unread, func(u inventory.Unread) bool { return u.List == why.List }), why)
	if why.List == inventory.Policy {
		sc.Longest = next.Longest // what is known of it stays
	}
	p.logger.Warn("list left unread", "scan", sc.ID, "list", string(why.List), "class", string(why.Class), "reason", why.Message)
	p.succeeded(sc)
	p.advance(sc)
	return p.commit(ctx, next, Write{})
}

// startOver begins the scan anew, some time later, if err says that its pages are lost: a pass
// that was held up for very long may have taken them for those of its own scan, which has ended.
func (p *pass) startOver(ctx context.Context, err error) error {
	if !errors.Is(err, errPagesLost) {
		return err
	}
	next := p.next()
	sc := next.Scan
	*sc = inventory.Scan{
		ID: sc.ID, ConnectionID: sc.ConnectionID, Trigger: sc.Trigger, RequestedBy: sc.RequestedBy, StartedAt: p.now(),
		Phase: inventory.Reading, List: steps[0], Failures: sc.Failures + 1, Calls: sc.Calls, Rows: sc.Rows,
		Problem: &inventory.Unread{
			List: sc.List, Class: serviceerror.Transient, Message: "Pages of the scan were lost; it begins anew by itself.",
		},
	}
	p.seen, p.written = nil, 0
	if err := p.commit(ctx, next, Write{}); err != nil {
		return err
	}
	return p.retry(ctx, p.next(), err)
}

// fail ends the scan. The rows stay as they are.
func (p *pass) fail(ctx context.Context, next inventory.Tenant) error {
	next.Scan.Phase, next.Scan.FinishedAt = inventory.Failed, p.now()
	return p.commit(ctx, next, Write{Finished: next.Scan})
}

// failure is the notice that no scan comes to its end.
func failure(now time.Time, t *inventory.Tenant) *Notice {
	why := "It has been under way for that long."
	n := &Notice{TenantID: t.ID, ConnectionID: t.ConnectionID, At: now, Kind: history.InventoryFailed}
	if sc := t.Scan; sc != nil {
		n.ScanID = sc.ID
		if sc.Problem != nil {
			why = sc.Problem.Message
		}
	}
	n.Message = fmt.Sprintf("No scan of the tenant %s has come to its end since %s. %s",
		t.ID, latest(t.AsOf, t.Since).Format(time.RFC3339), why)
	return n
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// grant says, for each list, what is missing where the directory refuses it.
var grant = map[inventory.List]string{
	inventory.Applications: "may not read the tenant's applications. Grant what it signs in with the Microsoft Graph permission " +
		"Application.Read.All, with admin consent; then ask for a scan.",
	inventory.FederatedIDs: "may not read federated credentials. Grant what it signs in with the Microsoft Graph permission " +
		"Application.Read.All, with admin consent.",
	inventory.Principals: "may not read service principals. Grant what it signs in with the Microsoft Graph permission " +
		"Application.Read.All, with admin consent.",
	inventory.Activity: "may not read when credentials were used last. Grant what it signs in with the Microsoft Graph permission " +
		"AuditLog.Read.All, with admin consent. If the code says that the tenant is not premium, it has no such report.",
	inventory.Policy: "may not read the tenant's policy for client secrets. Grant what it signs in with the Microsoft Graph permission " +
		"Policy.Read.All, with admin consent.",
	inventory.Missing: "may not look for single applications. Grant what it signs in with the Microsoft Graph permission " +
		"Application.Read.All, with admin consent.",
}

// reading says what a list is about, where it is no permission that is missing.
var reading = map[inventory.List]string{
	inventory.Applications: "applications",
	inventory.FederatedIDs: "federated credentials",
	inventory.Principals:   "service principals",
	inventory.Activity:     "the last uses of credentials (a beta of Graph, in the global cloud only)",
	inventory.Policy:       "the tenant's policy for client secrets",
	inventory.Missing:      "what no list showed",
}

// explain says for a person why something could not be read, and what to do.
func explain(list inventory.List, err error) string {
	e, ok := errors.AsType[*serviceerror.Error](err)
	switch {
	case ok && e.Class == serviceerror.Permission:
		return "The connection " + grant[list] + " [" + e.Error() + "]"
	case ok && e.Class == serviceerror.Throttled, ok && !e.Class.Refusal(), !ok:
		return "Reading " + reading[list] + ": " + serviceerror.Explain(err)
	}
	return "Microsoft Graph refuses " + reading[list] + ". The code says why; if it stays, please report it. [" + e.Error() + "]"
}

// explainSignIn says why the scan's connection does not get a token.
func explainSignIn(err error) string {
	e, ok := errors.AsType[*serviceerror.Error](err)
	if !ok || !e.Class.Refusal() {
		return "Signing in as the connection that scans this tenant: " + serviceerror.Explain(err)
	}
	text := "The connection that scans this tenant can't sign in to it. If it is there, look at it: it says why, and takes new " +
		"credentials. Or ask for a scan through another connection of the tenant."
	if behind := e.Behind(); behind != nil {
		text += " Why: " + behind.Advice()
	}
	return text + " [" + e.Error() + "]"
}
