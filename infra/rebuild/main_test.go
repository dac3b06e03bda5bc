package main

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"rekey/shared/schedule"
	"rekey/shared/secret"

	"rekey/shared/app"
	"rekey/shared/config"
	"rekey/shared/connection"
	"rekey/shared/emulator/fault"
	"rekey/shared/emulator/stack"
	"rekey/shared/rotation"
	"rekey/shared/tablestore"
)

// brisk are gates for a machine where nothing takes long; see config for what they must
// have to do with each other.
var brisk = map[string]string{
	"REKEY_VERIFY_SPACING": "20ms", "REKEY_VERIFY_MIN_AGE": "100ms", "REKEY_VERIFY_MIN_AGE_FIRST": "50ms", "REKEY_REVOKE_MIN_AGE": "50ms",
	"REKEY_SETTLE_SPACING": "50ms", "REKEY_SETTLE_MIN_AGE": "200ms", "REKEY_LATE_WRITE": "200ms",
	"REKEY_LEASE": "2s", "REKEY_SKEW": "100ms", "REKEY_CALL_TIMEOUT": "200ms",
}

// deployment is Rekey on emulated services, without a host.
type deployment struct {
	t     *testing.T
	stack *stack.Stack
	env   map[string]string
}

func start(t *testing.T) *deployment {
	t.Helper()
	s, err := stack.Start(stack.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Stop() })
	d := &deployment{t, s, map[string]string{}}
	for _, e := range s.Env() {
		name, value, _ := strings.Cut(e, "=")
		d.env[name] = value
	}
	for name, value := range brisk {
		d.env[name] = value
	}
	return d
}

func (d *deployment) app() *app.App {
	d.t.Helper()
	c, err := config.Load(func(name string) (string, bool) { v, ok := d.env[name]; return v, ok })
	if err != nil {
		d.t.Fatal(err)
	}
	a, err := app.New(c, slog.New(slog.DiscardHandler))
	if err != nil {
		d.t.Fatal(err)
	}
	return a
}

// connect connects a sample application with rotation on.
func (d *deployment) connect(name string) rotation.Record {
	d.t.Helper()
	sample, err := d.stack.AddSample(name)
	if err != nil {
		d.t.Fatal(err)
	}
	rec, err := d.app().Connections.Create(d.t.Context(), connection.Input{
		Name: name, By: "tester", Rotate: true, Schedule: schedule.Schedule{Interval: 30, Hours: 3, Zone: "UTC"},
		Credentials: connection.Credentials{
			TenantID: sample.TenantID, ClientID: sample.ClientID, ClientSecret: secret.New(sample.Secret), ClientSecretKeyID: sample.KeyID,
		},
	})
	if err != nil || rec.Current == nil || rec.Current.Origin != rotation.OriginIssued {
		d.t.Fatalf("connecting %s: %v, current %+v", name, err, rec.Current)
	}
	return rec
}

// lose deletes every row of a connection's record, as a disaster does.
func (d *deployment) lose(id string) {
	d.t.Helper()
	store := d.app().Connections.Records.(*tablestore.Store)
	rec, err := store.Load(d.t.Context(), id)
	if err != nil {
		d.t.Fatal(err)
	}
	rec.Version++
	if err := store.Remove(d.t.Context(), rec); err != nil {
		d.t.Fatal(err)
	}
	for _, res := range rec.Reservations() {
		if err := store.Release(d.t.Context(), res); err != nil {
			d.t.Fatal(err)
		}
	}
}

// run runs the command and returns what it printed.
func (d *deployment) run(args ...string) (left bool, printed string) {
	d.t.Helper()
	var out, errs strings.Builder
	left, err := run(d.t.Context(), args, func(name string) (string, bool) { v, ok := d.env[name]; return v, ok }, &out, &errs)
	if err != nil {
		d.t.Fatalf("%v: %v\n%s", args, err, errs.String())
	}
	return left, out.String() + errs.String()
}

// Over the real clients: what was lost is shown, then written, then there.
func TestRebuild(t *testing.T) {
	d := start(t)
	lost, kept := d.connect("billing"), d.connect("mail")
	d.lose(lost.ID)

	left, printed := d.run()
	for _, want := range []string{lost.ID, "billing", lost.Target.ClientID, lost.Current.KeyID, kept.ID, "1 present 1 missing",
		"Nothing was written"} {
		if !strings.Contains(printed, want) {
			t.Errorf("not printed: %q", want)
		}
	}
	if left {
		t.Errorf("a person is needed:\n%s", printed)
	}
	a := d.app()
	if _, err := a.Connections.Get(t.Context(), lost.ID); err == nil {
		t.Error("looking has written")
	}

	if left, printed = d.run("-write", "-connection", lost.ID); left || !strings.Contains(printed, "1 rebuilt") ||
		strings.Contains(printed, kept.ID) {
		t.Errorf("left %t:\n%s", left, printed)
	}
	got, err := a.Connections.Get(t.Context(), lost.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got.Name != "billing" || got.Current.KeyID != lost.Current.KeyID || got.Policy.Schedule != lost.Policy.Schedule ||
		!got.Target.Same(lost.Target) {
		t.Errorf("rebuilt: %+v", got)
	}
	if rec, err := a.Connections.Rotate(t.Context(), lost.ID, connection.RotateOptions{Emergency: true, By: "tester"}); err != nil ||
		rec.Current.KeyID == lost.Current.KeyID {
		t.Errorf("rotating: %v, %+v", err, rec.Error)
	}
	if _, printed = d.run("-write"); !strings.Contains(printed, "2 present") {
		t.Errorf("run again:\n%s", printed)
	}
	secret, err := a.Connections.Vault.Get(t.Context(), lost.VaultName, "")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(printed, secret.Value.Reveal()) {
		t.Error("a value was printed")
	}
}

// denied is a vault that does not know Rekey.
func denied(op string, _ *http.Request) *fault.Effect {
	if op != "vault.list" {
		return nil
	}
	return &fault.Effect{Status: http.StatusForbidden, Code: "Forbidden"}
}

// What can't work is said, with what is wrong.
func TestRefuses(t *testing.T) {
	d := start(t)
	fail := func(says string, args ...string) {
		t.Helper()
		var out, errs strings.Builder
		left, err := run(t.Context(), args, func(name string) (string, bool) { v, ok := d.env[name]; return v, ok }, &out, &errs)
		if err == nil || !strings.Contains(err.Error(), says) || left {
			t.Errorf("%v: left %t, %v; want %q", args, left, err, says)
		}
	}
	fail("only the flags", "all")
	fail("nothing of that connection", "-connection", "0b8ab8a7-0000-4000-8000-000000000000")
	d.env["REKEY_API_KEYS"] = "@Microsoft.KeyVault(SecretUri=https://name.vault.azure.net/secrets/keys)"
	fail("-settings")
	delete(d.env, "REKEY_API_KEYS")
	d.stack.Break(denied)
	fail("vault-refused")
	d.stack.Break(nil)
	delete(d.env, "REKEY_KEY_VAULT_URL")
	fail("REKEY_KEY_VAULT_URL")
}
