package connection

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"rekey/shared/serviceerror"
)

func (s *Service) explainStore(ctx context.Context, doing string, err error) *Error {
	return ExplainStore(ctx, s.log(), doing, err)
}

// ExplainStore turns an error of the table into one for the caller, and logs it. One that refuses
// has nothing to do with the request: it is the operator of Rekey who has to act.
func ExplainStore(ctx context.Context, log *slog.Logger, doing string, err error) *Error {
	e := explain(ctx, log, doing, err)
	if re, ok := errors.AsType[*serviceerror.Error](err); ok && re.Class.Refusal() && !errors.Is(err, errUnknown) {
		return &Error{Kind: Unavailable, Message: "Table storage refuses Rekey. Give Rekey's identity the role " +
			"Storage Table Data Contributor on the storage account, and check its network rules. [" + re.Error() + "]"}
	}
	return e
}

func (s *Service) explain(ctx context.Context, doing string, err error) *Error {
	return explain(ctx, s.log(), doing, err)
}

// explain turns an error of an outside service into one for the caller, and logs
// it: the caller is told what to do, the log what happened.
func explain(ctx context.Context, log *slog.Logger, doing string, err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	re, known := errors.AsType[*serviceerror.Error](err)
	switch {
	case errors.Is(err, serviceerror.ErrNotFound) && !known:
		return errNoConnection
	case errors.Is(err, serviceerror.ErrNewerSchema):
		return &Error{Kind: Conflict, Message: "This was written by a newer version of Rekey. Upgrade this deployment."}
	}
	log.WarnContext(ctx, "request failed", "doing", doing, "reason", err.Error())
	class := serviceerror.ClassOf(err)
	if !class.Refusal() {
		e := &Error{
			Kind: Unavailable, RetryAfter: 10 * time.Second,
			Message: "An outside service did not answer properly while " + doing + ". Nothing was changed; try again.",
		}
		if known && re.RetryAfter > e.RetryAfter {
			e.RetryAfter = re.RetryAfter
		}
		if known && re.Cause() != "" {
			e.Message = serviceerror.Explain(err) + " Nothing was changed."
		}
		return e
	}
	kind := Invalid
	if known && re.Behind() != nil {
		class = re.Behind().Class
	}
	switch class {
	case serviceerror.VaultRefused, serviceerror.VaultMissing, serviceerror.VaultDisabled:
		kind = Unavailable // nothing that the caller could change in the request
	}
	return &Error{Kind: kind, Message: serviceerror.Explain(err)}
}
