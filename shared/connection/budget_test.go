package connection_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/rotator"
	"rekey/shared/serviceerror"
)

// A request has 25 seconds; what only reads has no reason to take longer, and one call
// has no reason to take more than any other.
func TestARequestEndsAlthoughEntraDoesNotAnswer(t *testing.T) {
	for name, ask := range map[string]func(c *connection.Service, s *subject, ctx context.Context) error{
		"create": func(c *connection.Service, s *subject, ctx context.Context) error {
			_, err := c.Create(ctx, s.input())
			return err
		},
		"inspect": func(c *connection.Service, s *subject, ctx context.Context) error {
			_, err := c.Inspect(ctx, s.input())
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				c := service(s.w)
				s.w.Slow("graph.token", time.Hour)
				begun := time.Now()
				err := ask(c, s, t.Context())
				if took := time.Since(begun); took > 40*time.Second {
					t.Errorf("answered after %s: %v", took, err)
				}
			})
		})
	}
}

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
func TestARequestEndsAlthoughTheTableDoesNotAnswer(t *testing.T) {
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

// The sweep's workers are busy; a request has its time whatever they do.
func TestARequestAnswersInItsTimeWhileAllWorkersAreBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		first, second := s.neighbour(t, "first", daily(3, 0)), s.neighbour(t, "second", daily(3, 0))
		idle := s.neighbour(t, "idle", daily(12, 0))
		s.sweep(t, 30*time.Minute)
		due := s.nextSlotOf(t, first.id)
		s.sleepUntil(t, due.Add(-time.Minute))
		for _, busy := range []neighbour{first, second} {
			for _, op := range []string{"vault.put", "vault.get", "vault.list"} {
				s.w.Slow(op+" rekey-"+busy.id+"-staged", 28*time.Second)
			}
		}
		time.Sleep(time.Until(due))
		one := service(s.w)
		one.Rotator.Parallel = 2
		over := make(chan struct{})
		go func() { defer close(over); one.Rotator.Sweep(context.WithoutCancel(t.Context())) }()
		time.Sleep(10 * time.Second)

		asked := time.Now()
		_, err := one.Rotate(t.Context(), idle.id, connection.RotateOptions{By: "tester"})
		took := time.Since(asked)
		if err != nil {
			t.Errorf("rotating: %v", err)
		}
		if took > 26*time.Second {
			t.Errorf("the request took %s", took)
		}
		<-over
		s.sweep(t, time.Hour)
		s.issuedWithin(t, idle.app.ClientID, asked, asked.Add(10*time.Minute))
		s.check(t)
	})
}

// The request tells as many targets as it has time for that the connection
// signs in again; the timer tells the rest.
func TestReconnectingManyTargetsStaysWithinTheRequestsTime(t *testing.T) {
	rotationtest.PlainOnly(t)
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		s.w.AtEnd = true
		withParent(t, s)
		targets := s.crowd(t, 120, daily(6, 0))
		s.sweep(t, 30*time.Minute)
		due := s.nextSlotOf(t, targets[0].id)
		s.w.Withdraw(s.acting.ClientID)
		s.sleepUntil(t, due.Add(10*time.Minute))
		for i, o := range targets {
			if !s.troubleOf(t, o.id) {
				t.Fatalf("target %d does not wait for new credentials", i)
			}
		}
		s.w.AddCertificate(s.acting.ClientID, stored(renewed))
		s.w.Slow("store.load", 100*time.Millisecond) // so that a hundred targets are many
		asked := time.Now()
		_, err := service(s.w).Update(t.Context(), s.parent, connection.Change{By: "tester", Credentials: &connection.Credentials{
			Method: connection.Certificate, TenantID: s.acting.TenantID, ClientID: s.acting.ClientID, Certificate: renewed,
		}})
		took := time.Since(asked)
		if err != nil {
			t.Fatalf("reconnecting: %v", err)
		}
		s.w.Slow("store.load", 0)
		if took > 26*time.Second {
			t.Errorf("the request took %s for %d targets", took.Round(time.Second), len(targets))
		}
		// However many of them the request has woken: none waits for the end of its pause.
		s.sweep(t, 10*time.Minute)
		waiting := 0
		for _, o := range targets {
			if s.issuedAfter(o.app.ClientID, asked).IsZero() {
				waiting++
			}
		}
		if waiting > 0 {
			t.Errorf("%d targets have not been rotated ten minutes after the connection signs in again", waiting)
		}
		s.w.AtEnd = false
		s.check(t)
	})
}

// A pass that waits for a credential to age takes up at once what is asked for meanwhile.
func TestARequestWakesTheWaitingPass(t *testing.T) {
	for name, ask := range map[string]func(s *subject, c *connection.Service) error{
		"emergency": func(s *subject, c *connection.Service) error {
			_, err := c.Rotate(t.Context(), s.id, connection.RotateOptions{Emergency: true})
			return err
		},
		"other credentials": func(s *subject, c *connection.Service) error {
			_, err := c.Update(t.Context(), s.id, connection.Change{Credentials: &connection.Credentials{
				TenantID: s.other.TenantID, ClientID: s.other.ClientID, ClientSecret: s.otherSecret, ClientSecretKeyID: s.otherKey,
			}})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				settled(t, s)
				s.other, s.otherSecret, s.otherKey = s.w.AddApplication()
				s.w.Name(s.otherKey)
				c := service(s.w)
				s.request(t, rotation.Request{Kind: rotation.AskRotate, ID: "r"})
				time.Sleep(time.Second)
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					c.Rotator.Pass(t.Context(), s.id, rotator.PassOptions{Until: time.Now().Add(20 * time.Minute)})
				}()
				time.Sleep(2 * time.Minute) // issued, and three minutes too young
				if rec := s.record(t); rec.Run == nil || rec.Run.KeyID == "" || rec.Run.ID != "r" {
					t.Fatalf("no run waits: %+v", rec.Run)
				}
				c.Budget = 5 * time.Second
				if err := ask(s, c); err != nil {
					t.Fatal(err)
				}
				if rec := s.record(t); rec.Request != nil {
					t.Errorf("five seconds later it is still only a request: %s", rec.Request.Kind)
				}
				<-ended
				s.sweep(t, time.Hour)
				s.check(t)
			})
		})
	}
}

// Reading a PFX file ends with the request that brings it: one that has ended is told to
// try again, and nothing is written. Other work goes on without its caller.
func TestPFXOfAnEndedRequestIsNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		in := s.actor()
		in.Certificate = asPFX(t, given)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := service(s.w).Create(ended, in)
		e, ok := errors.AsType[*connection.Error](err)
		if !ok || e.Kind != connection.Unavailable || e.RetryAfter <= 0 {
			t.Errorf("Create: %v, want it to be unavailable for a while", err)
		}
		if list, err := service(s.w).List(t.Context(), nil); err != nil || len(list) != 0 {
			t.Errorf("there are %d connections, %v", len(list), err)
		}
		made, err := service(s.w).Create(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		change := connection.Change{By: "tester", Credentials: &connection.Credentials{
			Method: connection.Certificate, TenantID: in.TenantID, ClientID: in.ClientID, Certificate: asPFX(t, renewed),
		}}
		_, err = service(s.w).Update(ended, made.ID, change)
		if e, ok := errors.AsType[*connection.Error](err); !ok || e.Kind != connection.Unavailable || e.RetryAfter <= 0 {
			t.Errorf("Update: %v, want it to be unavailable for a while", err)
		}
		change.Credentials.Certificate = asPFX(t, renewed)
		if _, err := service(s.w).Update(t.Context(), made.ID, change); err != nil {
			t.Errorf("Update of one who waits: %v", err)
		}
	})
}
