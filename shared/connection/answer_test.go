package connection_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"rekey/shared/connection"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// deafDirectory does not answer.
type deafDirectory struct{ connection.Directory }

func (deafDirectory) Token(ctx context.Context, _ rotation.Application, _ secret.Value) (rotation.Token, error) {
	<-ctx.Done()
	return rotation.Token{}, &serviceerror.Error{Op: "asking for a token", Class: serviceerror.Transient}
}

// A request has 25 seconds; what only reads has no reason to take longer, and one call
// has no reason to take more than any other.
func TestARequestEnds(t *testing.T) {
	for name, ask := range map[string]func(c *connection.Service, s *subject, ctx context.Context) error{
		"create": func(c *connection.Service, s *subject, ctx context.Context) error {
			_, err := c.Create(ctx, s.input())
			return err
		},
		"inspect": func(c *connection.Service, s *subject, ctx context.Context) error {
			_, err := c.Inspect(ctx, s.input().Credentials)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				c := service(s.w)
				c.Directory = deafDirectory{c.Directory}
				begun := time.Now()
				err := ask(c, s, t.Context())
				if took := time.Since(begun); took > 40*time.Second {
					t.Errorf("answered after %s: %v", took, err)
				}
			})
		})
	}
}

// The answer to the write of a deletion is lost: it is deleted, and its caller is told so.
func TestDeletingWithALostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		s.w.Break(1, rotationtest.Applied)
		_, err := service(s.w).Delete(t.Context(), s.id, connection.DeleteOptions{Revoke: true, By: "tester"})
		s.w.Break(0, rotationtest.NoFault)
		if err != nil {
			t.Errorf("the deletion has begun, and the caller is told: %v", err)
		}
	})
}
