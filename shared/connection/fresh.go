package connection

import (
	"context"
	"errors"
	"time"

	"rekey/shared/serviceerror"
)

// People make a client secret, and perhaps its application, in one go with the connection. For
// some seconds replicas of Entra don't know it, and answer as they do to a wrong one. So such an
// answer is final only after these seconds. A caller who guesses gets no more answers for that:
// the tries of one request are of one value, and few.

// failure is the error of a service, not yet explained to the caller.
type failure struct {
	doing string
	err   error
}

func (f *failure) Error() string { return f.doing + ": " + f.err.Error() }

func (f *failure) Unwrap() error { return f.err }

// told is err as the caller is told it.
func (s *Service) told(ctx context.Context, err error) error {
	if failed, ok := errors.AsType[*failure](err); ok {
		return s.explain(ctx, failed.doing, failed.err)
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return err
}

// errNotListed says that the directory does not show a client secret.
var errNotListed = errors.New("the directory does not show the client secret")

// freshFor is how long a refusal may be due to that, within the time of a request, which has to
// suffice for what comes after, too.
const freshFor = 15 * time.Second

// errHungUp is for a caller who has hung up while Entra may still learn of the credential, or of its application: there
// is no verdict on it. It may be the host, which repeats the request and is given this answer.
var errHungUp = &Error{
	Kind: Unavailable, RetryAfter: 5 * time.Second,
	Message: "The request was given up while Entra may still learn of what was made just now. Nothing was stored. Send it again.",
}

// whileFresh tries again, for three times the spacing of proofs but 15 s at most, what may be
// refused only because the credential is seconds old: after a fifteenth of that, then after twice
// as long each time. It ends early, with errHungUp, if the caller hangs up.
func (s *Service) whileFresh(ctx context.Context, try func(ctx context.Context) error) error {
	patience := min(3*s.Rotator.Rules.Spacing, freshFor)
	until := s.Rotator.Clock().Add(patience)
	err := try(ctx)
	if !perhapsFresh(err) {
		return err
	}
	asked, cancel := whileAsked(ctx)
	defer cancel()
	for wait := patience / 15; perhapsFresh(err); wait *= 2 {
		left := until.Sub(s.Rotator.Clock())
		if left <= 0 || pause(asked, min(wait, left)) != nil {
			break
		}
		err = try(asked)
	}
	if asked.Err() != nil && ctx.Err() == nil && err != nil {
		return errHungUp
	}
	return err
}

// perhapsFresh reports whether err is what a replica answers that does not know a credential,
// or its application, yet.
func perhapsFresh(err error) bool {
	if errors.Is(err, errNotListed) {
		return true
	}
	failed, ok := errors.AsType[*serviceerror.Error](err)
	return ok && (failed.Class == serviceerror.CredentialRefused || failed.Class == serviceerror.ApplicationMissing)
}
