package rebuild_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/rotator"
	"rekey/shared/schedule"
	"rekey/shared/secret"

	"rekey/shared/certificate"
	"rekey/shared/connection"
	"rekey/shared/rebuild"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

const (
	hour = time.Hour
	day  = 24 * time.Hour
)

// signing are certificates of the years in which bubbles live; making a key takes a
// while. In the fake directory each is of one application.
var signing [2]certificate.Input

func TestMain(m *testing.M) {
	for i := range signing {
		signing[i] = newCertificate(int64(i) + 1)
	}
	os.Exit(m.Run())
}

func newCertificate(serial int64) certificate.Input {
	return rotationtest.NewCertificate(serial, time.Date(2001, 6, 1, 0, 0, 0, 0, time.UTC))
}

// world is Rekey with its services, and what the test does to them.
type world struct {
	*rotationtest.World
	t      *testing.T
	names  int
	acting int // applications that sign in with a certificate
}

// inBubble runs a test and checks the promises after it.
func inBubble(t *testing.T, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{World: rotationtest.NewWorld(t), t: t}
		w.Directory.Propagation = 7 * time.Second
		test(w)
		w.check()
	})
}

func (w *world) check() {
	w.t.Helper()
	w.CheckLeaks()
	w.CheckClaims()
	if v := w.Violations(); len(v) > 0 {
		w.t.Errorf("broken promises: %v", v)
	}
}

func (w *world) service() *connection.Service {
	log := slog.New(slog.NewJSONHandler(w.Log, nil))
	actors := &connection.Actors{
		Records: w.StorePort(), Vault: w.VaultPort(), Authority: w.DirectoryPort(), SignIns: w.DirectoryPort(),
		Deployment: rotationtest.Deployment, Log: log,
	}
	rotator := w.Rotator()
	rotator.Actors = actors
	return &connection.Service{
		Rotator: rotator, Actors: actors, Records: w.StorePort(), Reservations: w.StorePort(), Claims: w.StorePort(),
		Vault: w.VaultPort(), Directory: w.DirectoryPort(), Log: log,
	}
}

func (w *world) rebuilder() *rebuild.Rebuilder {
	return &rebuild.Rebuilder{
		Vault: w.WholeVault(), Records: w.StorePort(), Reservations: w.StorePort(), Claims: w.StorePort(),
		Directory: w.DirectoryPort(), SignIns: w.DirectoryPort(),
		Deployment: rotationtest.Deployment, Rules: rotation.DefaultRules(), Log: slog.New(slog.NewJSONHandler(w.Log, nil)),
	}
}

// sweep plays the timer for d.
func (w *world) sweep(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		if due, ok := w.NextDue(); !ok || due.After(time.Now()) { // it would find nothing
			if !ok || due.After(end) {
				due = end
			}
			time.Sleep(time.Until(due.Add(time.Minute - 1).Truncate(time.Minute)))
			continue
		}
		next := time.Now().Truncate(time.Minute).Add(time.Minute)
		w.service().Rotator.Sweep(w.t.Context())
		time.Sleep(time.Until(next))
	}
}

// subject is one connection.
type subject struct {
	w       *world
	app     rotation.Application
	secret  secret.Value
	keyID   string
	foreign string // a client secret that Rekey did not issue
	other   secret.Value
	otherID string // another one that the owner may give
	id      string
}

func (w *world) subject() *subject {
	s := &subject{w: w}
	s.app, s.secret, s.keyID = w.AddApplication()
	_, s.foreign = w.AddForeign(s.app.ClientID)
	s.other, s.otherID = w.AddForeign(s.app.ClientID)
	w.Name(s.keyID)
	return s
}

func (w *world) name() string {
	w.names++
	return fmt.Sprintf("connection-%d", w.names)
}

var plan = schedule.Schedule{Interval: 30, Hours: 3, Zone: "UTC"}

func (s *subject) input() connection.Input {
	return connection.Input{
		Name: s.w.name(), By: "tester", Rotate: true, Schedule: plan,
		Credentials: connection.Credentials{TenantID: s.app.TenantID, ClientID: s.app.ClientID,
			ClientSecret: s.secret, ClientSecretKeyID: s.keyID},
	}
}

// make creates a connection that must come into being.
func (s *subject) make(in connection.Input) *subject {
	s.w.t.Helper()
	rec, err := s.w.service().Create(s.w.t.Context(), in)
	if err != nil {
		s.w.t.Fatalf("creating: %v", err)
	}
	s.id = rec.ID
	return s
}

// certificate lets another application act for s.
func (s *subject) certificate() connection.Input {
	app, _, _ := s.w.AddApplication()
	in := signing[s.w.acting]
	s.w.acting++
	c, err := certificate.Parse(context.Background(), in, time.Now())
	if err != nil {
		s.w.t.Fatal(err)
	}
	s.w.AddCertificate(app.ClientID, c.PEM)
	s.w.Own(s.app.ClientID, app.ClientID, true)
	return connection.Input{
		Name: s.w.name(), By: "tester",
		Credentials: connection.Credentials{Method: connection.Certificate, TenantID: app.TenantID, ClientID: app.ClientID, Certificate: in},
	}
}

// person lets a person who signs in act for s.
func (s *subject) person() connection.Input {
	app, _, _ := s.w.AddApplication()
	account, refresh := s.w.AddPerson()
	s.w.Own(s.app.ClientID, account, true)
	return connection.Input{
		Name: s.w.name(), By: "tester", Rotate: true, Schedule: plan, Target: connection.Target{ClientID: s.app.ClientID},
		Credentials: connection.Credentials{Method: connection.OAuth, TenantID: app.TenantID, ClientID: app.ClientID,
			SignIn: &connection.SignIn{RefreshToken: refresh, Account: account}},
	}
}

// target makes s a target of a connection by certificate.
func (s *subject) target(via, acting string) *subject {
	s.w.t.Helper()
	s.w.Own(s.app.ClientID, acting, true)
	rec, err := s.w.service().CreateTarget(s.w.t.Context(), via,
		connection.TargetInput{
			Target: connection.Target{ObjectID: s.app.ObjectID}, Name: "payroll", Project: "finance", Rotate: true, Schedule: plan, By: "tester",
			Labels: &rotation.Labels{Environment: "prod", ClientSecretName: "PAYROLL_SECRET"},
		})
	if err != nil {
		s.w.t.Fatalf("adding a target: %v", err)
	}
	s.id = rec.ID
	return s
}

func (s *subject) record() rotation.Record {
	s.w.t.Helper()
	rec, ok := s.w.Record(s.id)
	if !ok {
		s.w.t.Fatalf("the connection %s is not there", s.id)
	}
	return rec
}

// emergency rotates at once, and has the time to do all of it.
func (s *subject) emergency() { s.rotate(s.w.service()) }

func (s *subject) rotate(via *connection.Service) {
	via.Budget = 2 * time.Minute
	via.Rotate(s.w.t.Context(), s.id, connection.RotateOptions{Emergency: true, By: "tester"})
}

// slow is a directory that takes its time to show an application.
type slow struct {
	rotator.Directory
	by time.Duration
}

func (d slow) Application(ctx context.Context, token rotation.Token, app rotation.Application) (rotation.ApplicationState, error) {
	time.Sleep(d.by)
	return d.Directory.Application(ctx, token, app)
}

func (s *subject) rebind() {
	s.w.Name(s.otherID)
	via := s.w.service()
	via.Budget = 2 * time.Minute
	via.Update(s.w.t.Context(), s.id, connection.Change{By: "tester", Credentials: &connection.Credentials{
		Method: connection.ClientSecret, TenantID: s.app.TenantID, ClientID: s.app.ClientID, ClientSecret: s.other, ClientSecretKeyID: s.otherID,
	}})
}

func (s *subject) delete() {
	s.w.service().Delete(s.w.t.Context(), s.id, connection.DeleteOptions{By: "tester"})
}

// writes counts what act writes.
func (w *world) writes(act func()) int {
	w.Break(0, rotationtest.NoFault)
	act()
	return len(w.Writes())
}

// dies lets the process die after the n-th write of act.
func (w *world) dies(n int, act func()) {
	w.Break(n, rotationtest.CrashAfter)
	act()
	w.Break(0, rotationtest.NoFault)
	w.Restart()
}

// rebuild rebuilds, as an operator does.
func (w *world) rebuild(only string) *rebuild.Plan {
	w.t.Helper()
	plan, err := w.rebuilder().Rebuild(w.t.Context(), only)
	if err != nil {
		w.t.Fatalf("rebuilding: %v", err)
	}
	return plan
}

func (w *world) scan() *rebuild.Plan {
	w.t.Helper()
	plan, err := w.rebuilder().Scan(w.t.Context(), "")
	if err != nil {
		w.t.Fatalf("looking: %v", err)
	}
	return plan
}

// of is what a plan says of a connection.
func of(t *testing.T, plan *rebuild.Plan, id string) rebuild.Connection {
	t.Helper()
	i := slices.IndexFunc(plan.Connections, func(c rebuild.Connection) bool { return c.ID == id })
	if i < 0 {
		t.Fatalf("the plan does not know %s", id)
	}
	return plan.Connections[i]
}

func want(t *testing.T, plan *rebuild.Plan, id string, outcome rebuild.Outcome) rebuild.Connection {
	t.Helper()
	c := of(t, plan, id)
	if c.Outcome != outcome {
		t.Errorf("%s is %s, want %s; notes %q, by person %q", id, c.Outcome, outcome, c.Notes, c.ByPerson)
	}
	return c
}

// settled lets everything settle and checks what must hold then.
func (w *world) settled(subjects ...*subject) {
	w.t.Helper()
	w.sweep(4 * hour)
	for _, s := range subjects {
		w.CheckEnd(s.id)
	}
	w.check()
}

// works fails unless what is published under a name gets a token.
func (s *subject) works() {
	s.w.t.Helper()
	v, ok := s.w.Published(s.record().VaultName)
	if !ok {
		s.w.t.Fatalf("nothing is published for %s", s.id)
	}
	if _, err := s.w.DirectoryPort().Token(s.w.t.Context(), s.record().Target, v.Value); err != nil {
		s.w.t.Errorf("what is published for %s: %v", s.id, err)
	}
}
