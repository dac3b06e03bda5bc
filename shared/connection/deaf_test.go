package connection_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/serviceerror"

	"rekey/shared/connection"
	"rekey/shared/rotation"
)

// deafRecords does not answer any more after some calls.
type deafRecords struct {
	connection.Records
	after int
}

func (r *deafRecords) deaf(ctx context.Context) error {
	if r.after--; r.after >= 0 {
		return nil
	}
	<-ctx.Done()
	return &serviceerror.Error{Op: "asking the table", Class: serviceerror.Transient, UnknownOutcome: true}
}

func (r *deafRecords) Load(ctx context.Context, id string) (rotation.Record, error) {
	if err := r.deaf(ctx); err != nil {
		return rotation.Record{}, err
	}
	return r.Records.Load(ctx, id)
}

func (r *deafRecords) Commit(ctx context.Context, rec rotation.Record, events ...rotation.Event) (rotation.Record, error) {
	if err := r.deaf(ctx); err != nil {
		return rec, err
	}
	return r.Records.Commit(ctx, rec, events...)
}

// A table that does not answer holds up no request for the time of a lease: Azure
// Functions cuts a waiting caller off after 230 seconds, without an answer.
func TestARequestEndsWithADeafTable(t *testing.T) {
	for name, ask := range map[string]func(c *connection.Service, s *subject, ctx context.Context) error{
		"delete": func(c *connection.Service, s *subject, ctx context.Context) error {
			_, err := c.Delete(ctx, s.id, connection.DeleteOptions{})
			return err
		},
		"abandon": func(c *connection.Service, s *subject, ctx context.Context) error {
			_, err := c.Abandon(ctx, s.id, "tester")
			return err
		},
		"rename": func(c *connection.Service, s *subject, ctx context.Context) error {
			_, err := c.Update(ctx, s.id, connection.Change{Name: new("invoices")})
			return err
		},
		"rotate": func(c *connection.Service, s *subject, ctx context.Context) error {
			_, err := c.Rotate(ctx, s.id, connection.RotateOptions{})
			return err
		},
	} {
		for after := range 3 {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newSubject(t)
					settled(t, s)
					c := service(s.w)
					c.Records = &deafRecords{c.Records, after}
					begun := time.Now()
					err := ask(c, s, t.Context())
					if took := time.Since(begun); took > 2*time.Minute {
						t.Errorf("deaf after %d calls: answered after %s: %v", after, took, err)
					}
				})
			})
		}
	}
}
