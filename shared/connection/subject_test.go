package connection_test

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"time"

	"rekey/shared/certificate"
	"rekey/shared/connection"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/schedule"
	"rekey/shared/secret"
)

// service returns the connections of the process that is alive.
func service(w *rotationtest.World) *connection.Service {
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

// subject is one connection in its world.
type subject struct {
	w      *rotationtest.World
	app    rotation.Application
	secret secret.Value
	keyID  string
	id     string

	// Where another one authenticates.
	input0  connection.Input
	acting  rotation.Application
	account string // of a person
	parent  string // the connection that the target at id is rotated through
	other   rotation.Application

	otherSecret secret.Value
	otherKey    string
}

func newSubject(t *testing.T) *subject {
	s := &subject{w: rotationtest.NewWorld(t)}
	s.w.Vault.RequireExpiry = true
	s.w.Directory.Propagation = 7 * time.Second
	s.app, s.secret, s.keyID = s.w.AddApplication()
	s.w.AddForeign(s.app.ClientID)
	s.w.Name(s.keyID)
	return s
}

func (s *subject) input() connection.Input {
	return connection.Input{
		Name: "billing",
		Credentials: connection.Credentials{
			TenantID: s.app.TenantID, ClientID: s.app.ClientID, ClientSecret: s.secret, ClientSecretKeyID: s.keyID,
		},
		Rotate: true, Schedule: schedule.Schedule{Interval: 30, Hours: 3, Zone: "UTC"}, By: "tester",
	}
}

// create creates the connection and remembers its id, whatever came of it.
func (s *subject) create(ctx context.Context) (rotation.Record, error) {
	rec, err := service(s.w).Create(ctx, s.input())
	if ids := s.w.Records(); len(ids) == 1 {
		s.id = ids[0]
	} else if rec.ID != "" {
		s.id = rec.ID
	}
	return rec, err
}

// make creates a connection.
func (s *subject) make(t *testing.T, in connection.Input) error {
	rec, err := service(s.w).Create(t.Context(), in)
	s.made(rec.ID)
	return err
}

// made remembers the id of what was created, whatever came of it.
func (s *subject) made(id string) {
	s.id = id
	for _, there := range s.w.Records() {
		if id == "" && there != s.parent {
			s.id = there
		}
	}
}

func settled(t *testing.T, s *subject) {
	t.Helper()
	if _, err := s.create(t.Context()); err != nil {
		t.Fatalf("creating: %v", err)
	}
	s.sweep(t, 30*time.Minute)
	s.w.CheckEnd(s.id)
	s.check(t)
}

// unrotated makes a connection that publishes the subject's client secret and has never
// had a schedule.
func unrotated(t *testing.T, s *subject) {
	t.Helper()
	in := s.input()
	in.Rotate, in.Schedule = false, schedule.Schedule{}
	if err := s.make(t, in); err != nil {
		t.Fatal(err)
	}
	s.sweep(t, 5*time.Minute)
}

// withGiven makes a connection that publishes a client secret without rotating it, and
// without knowing its key id.
func withGiven(t *testing.T, s *subject) {
	t.Helper()
	in := s.input()
	in.Rotate, in.Schedule, in.ClientSecretKeyID = false, schedule.Schedule{}, ""
	if err := s.make(t, in); err != nil {
		t.Fatalf("creating: %v", err)
	}
	s.sweep(t, 5*time.Minute)
	s.other, s.otherSecret, s.otherKey = s.w.AddApplication()
}

// withParent makes a certificate connection that rotates nothing yet.
func withParent(t *testing.T, s *subject) {
	t.Helper()
	if err := s.make(t, s.actor()); err != nil {
		t.Fatalf("creating the connection: %v", err)
	}
	s.parent = s.id
}

func (s *subject) addTarget(t *testing.T) error {
	rec, err := service(s.w).CreateTarget(t.Context(), s.parent, connection.TargetInput{
		Target: connection.Target{ObjectID: s.app.ObjectID}, Rotate: true,
		Schedule: schedule.Schedule{Interval: 30, Hours: 3, Zone: "UTC"}, By: "tester",
	})
	s.made(rec.ID)
	return err
}

func withTarget(t *testing.T, s *subject) {
	t.Helper()
	withParent(t, s)
	if err := s.addTarget(t); err != nil {
		t.Fatalf("adding the target: %v", err)
	}
	s.sweep(t, 30*time.Minute)
	s.w.CheckEnd(s.id)
	s.check(t)
}

func rotating(in connection.Input, target rotation.Application) connection.Input {
	in.Target, in.Rotate = connection.Target{ClientID: target.ClientID}, true
	in.Schedule = schedule.Schedule{Interval: 30, Hours: 3, Zone: "UTC"}
	return in
}

// publishing is the input of a connection that publishes that client secret of the
// subject's application, and rotates nothing.
func (s *subject) publishing(name string, secret secret.Value, keyID string) connection.Input {
	in := s.input()
	in.Name, in.Rotate, in.Schedule = name, false, schedule.Schedule{}
	in.ClientSecret, in.ClientSecretKeyID = secret, keyID
	return in
}

// own is a client secret of the subject's application with its key id, which may be removed.
func (s *subject) own(name string) connection.Input {
	secret, keyID := s.w.AddForeign(s.app.ClientID)
	s.w.Name(keyID)
	time.Sleep(10 * time.Second)
	return s.publishing(name, secret, keyID)
}

// another is one more client secret of the subject's application.
func (s *subject) another() secret.Value {
	secret, _ := s.w.AddForeign(s.app.ClientID)
	time.Sleep(10 * time.Second) // until it authenticates
	return secret
}

// second creates a second connection that publishes a client secret and rotates nothing.
func (s *subject) second(t *testing.T, secret secret.Value) error {
	t.Helper()
	_, err := service(s.w).Create(t.Context(), s.publishing("second", secret, ""))
	return err
}

// alike gives the subject's application another client secret that begins as that one does.
func (s *subject) alike(secret secret.Value) (secret.Value, string) {
	for {
		other, keyID := s.w.AddForeign(s.app.ClientID)
		if other.Reveal()[:3] == secret.Reveal()[:3] {
			return other, keyID
		}
	}
}

// signsInWithSecret makes a connection that signs in with a client secret of one application
// to rotate another, and returns the first.
func (s *subject) signsInWithSecret(t *testing.T) rotation.Application {
	t.Helper()
	target, _, _ := s.w.AddApplication()
	s.w.Own(target.ClientID, s.app.ClientID, true)
	in := rotating(s.publishing("authenticating", s.another(), ""), target)
	if err := s.make(t, in); err != nil {
		t.Fatal(err)
	}
	return s.app
}

// actor gives the subject's application to another one, which signs in with a
// certificate.
func (s *subject) actor() connection.Input {
	app, _, _ := s.w.AddApplication()
	s.w.AddCertificate(app.ClientID, stored(given))
	s.w.AddCertificate(app.ClientID, stored(renewed))
	s.w.Own(s.app.ClientID, app.ClientID, true)
	s.acting = app
	return connection.Input{
		Name: "billing", By: "tester",
		Credentials: connection.Credentials{Method: connection.Certificate, TenantID: app.TenantID, ClientID: app.ClientID, Certificate: given},
	}
}

// person gives the subject's application to a person, who signs in.
func (s *subject) person() connection.Input {
	app, _, _ := s.w.AddApplication() // the OAuth application
	account, refresh := s.w.AddPerson()
	s.w.Own(s.app.ClientID, account, true)
	s.account = account
	return connection.Input{
		Name: "billing", By: "tester",
		Credentials: connection.Credentials{
			Method: connection.OAuth, TenantID: app.TenantID, ClientID: app.ClientID,
			SignIn: &connection.SignIn{RefreshToken: refresh, Account: account},
		},
	}
}

// signedIn makes a connection by OAuth that rotates nothing.
func (s *subject) signedIn(t *testing.T) connection.Credentials {
	t.Helper()
	in := s.person()
	if err := s.make(t, in); err != nil {
		t.Fatal(err)
	}
	return in.Credentials
}

// neighbour is a connection beside others.
type neighbour struct {
	id  string
	app rotation.Application
}

// neighbour creates a connection of a new application that rotates its own client
// secret, which is removed as soon as the next one is published.
func (s *subject) neighbour(t *testing.T, name string, schedule schedule.Schedule) neighbour {
	t.Helper()
	app, secret, keyID := s.w.AddApplication()
	s.w.Name(keyID)
	in := s.publishing(name, secret, keyID)
	in.Credentials.ClientID, in.Rotate, in.Schedule, in.Grace = app.ClientID, true, schedule, new(time.Duration)
	rec, err := service(s.w).Create(t.Context(), in)
	if err != nil {
		t.Fatalf("creating %s: %v", name, err)
	}
	return neighbour{rec.ID, app}
}

// crowd gives the parent that many targets, all on one schedule.
func (s *subject) crowd(t *testing.T, n int, schedule schedule.Schedule) (targets []neighbour) {
	t.Helper()
	for range n {
		app, _, _ := s.w.AddApplication()
		s.w.Own(app.ClientID, s.acting.ClientID, true)
		rec, err := service(s.w).CreateTarget(t.Context(), s.parent, connection.TargetInput{
			Target: connection.Target{ClientID: app.ClientID}, Rotate: true, Schedule: schedule, By: "tester",
		})
		if err != nil {
			t.Fatalf("adding a target: %v", err)
		}
		targets = append(targets, neighbour{rec.ID, app})
	}
	return targets
}

// Certificates of the years in which bubbles live; making a key takes a while.
var given, renewed certificate.Input

func TestMain(m *testing.M) {
	given, renewed = newCertificate(1), newCertificate(2)
	os.Exit(m.Run())
}

func newCertificate(serial int64) certificate.Input {
	return rotationtest.NewCertificate(serial, time.Date(2000, 6, 1, 0, 0, 0, 0, time.UTC))
}

// stored is a certificate as Rekey stores it.
func stored(in certificate.Input) secret.Value {
	c, err := certificate.Parse(context.Background(), in, time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		panic(err)
	}
	return c.PEM
}

func actors(w *rotationtest.World) *connection.Actors { return service(w).Actors }

var monthly = schedule.Schedule{Interval: 30, Hours: 3, Zone: "UTC"}

// daily is a schedule: every day at that time.
func daily(hours, minutes int) schedule.Schedule {
	return schedule.Schedule{Interval: 1, Hours: hours, Minutes: minutes, Zone: "UTC"}
}

// every is a schedule of that many days.
func every(days int) *schedule.Schedule {
	return &schedule.Schedule{Interval: days, Hours: 3, Zone: "UTC"}
}

const day = 24 * time.Hour
