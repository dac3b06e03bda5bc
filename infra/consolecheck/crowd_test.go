//go:build consolecheck

package consolecheck

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"golang.org/x/sync/errgroup"

	"rekey/shared/history"
	"rekey/shared/reservation"
	"rekey/shared/rotation"
	"rekey/shared/schedule"
	"rekey/shared/serviceerror"
	"rekey/shared/tablestore"
)

// store is the table as Rekey itself has it.
func (w *world) store() *tablestore.Store {
	w.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: w.services.TLS, MaxIdleConnsPerHost: 16}}
	w.Cleanup(client.CloseIdleConnections)
	own, err := azidentity.NewClientSecretCredential(w.services.TenantID, w.services.OwnClientID(), w.services.OwnSecret(),
		&azidentity.ClientSecretCredentialOptions{DisableInstanceDiscovery: true, ClientOptions: azcore.ClientOptions{Transport: client,
			Cloud: cloud.Configuration{ActiveDirectoryAuthorityHost: w.services.AuthorityURL}}})
	if err != nil {
		w.Fatal(err)
	}
	s, err := tablestore.New(tablestore.Config{ServiceURL: w.services.TableService, Credential: own, Transport: client})
	if err != nil {
		w.Fatal(err)
	}
	return s
}

// unruly are texts that break what was not made for them.
var unruly = []string{
	"one of many", "", "قسم المالية and \u202Egnp.exe", strings.Repeat("長", 200), "<script>alert(1)</script>", strings.Repeat("long ", 40),
	"👩‍👩‍👧‍👦 family",
	"Z\u0334\u0321\u0359a\u0336\u035Bl\u0337\u0348g\u0335o", strings.Repeat("x", 200),
}

// kinds are how connections may stand. The first ones of a crowd show each of them.
var kinds = []struct {
	name   string
	change func(r *rotation.Record, now time.Time)
}{
	{"healthy", func(*rotation.Record, time.Time) {}},
	{"failing", func(r *rotation.Record, now time.Time) {
		r.Error = &rotation.Failure{Class: serviceerror.Permission, Count: 7, At: now.Add(-time.Hour), RetryAt: now.AddDate(0, 1, 0),
			Message: "Graph refuses to add a client secret (403, Authorization_RequestDenied): grant the application " +
				"Application.ReadWrite.OwnedBy with admin consent, and make its service principal an owner of the application."}
		r.LastRun.Outcome, r.LastRun.Message = "failed", r.Error.Message
	}},
	{"verifying", func(r *rotation.Record, now time.Time) {
		r.Phase = rotation.Verifying
		r.Run = &rotation.Run{ID: "run-" + r.ID, Trigger: rotation.OnSchedule, StartedAt: now.Add(-time.Minute), Slot: now.Add(-time.Minute),
			Attempt: 1, Target: r.Target, Marker: "rekey/default/" + r.ID, FirstIssuedAt: now.Add(-time.Minute)}
	}},
	{"retiring", func(r *rotation.Record, now time.Time) {
		for i, m := range []rotation.Removal{{After: now.AddDate(0, 0, 2)},
			{After: now.Add(-time.Hour), Tries: 6, Problem: serviceerror.Permission},
			{After: now.Add(-time.Hour), RemovedAt: now.Add(-time.Minute), GoneReads: 2}} {
			m.Kind, m.Target, m.KeyID = rotation.RemoveReplaced, r.Target, fmt.Sprintf("%08d-aaaa-4000-8000-%012d", i, i)
			r.Removals = append(r.Removals, m)
		}
		r.ByHand = []rotation.ByHand{{Target: r.Target, KeyID: "00000000-bbbb-4000-8000-000000000000", Since: now.AddDate(0, 0, -3),
			Reason: "Every known client secret is refused, so that Rekey can't remove it"}}
	}},
	{"paused", func(r *rotation.Record, now time.Time) {
		r.Policy.Enabled, r.NextSlot, r.WakeAt = false, time.Time{}, now.AddDate(0, 1, 0)
		r.Current.ExpiresAt = now.AddDate(0, 0, 5)
	}},
	{"by certificate", func(r *rotation.Record, now time.Time) {
		r.Method, r.Target, r.TargetName, r.Current, r.LastRun, r.Policy = "certificate", rotation.Application{}, "", nil, nil, rotation.Policy{}
		r.NextSlot = time.Time{}
		r.Auth = &rotation.Auth{VaultVersion: "v", ExpiresAt: now.AddDate(0, 0, 20), Thumbprint: strings.Repeat("AB", 20)}
	}},
	{"signed out", func(r *rotation.Record, now time.Time) {
		r.Method, r.Target, r.TargetName, r.Current, r.LastRun, r.Policy = "oauth", rotation.Application{}, "", nil, nil, rotation.Policy{}
		r.NextSlot = time.Time{}
		r.Auth = &rotation.Auth{VaultVersion: "v", Account: "0b1e7e57-0000-4000-8000-00000000000a", SavedAt: now,
			AccountName: rotation.VisibleName(strings.Repeat("x", 200)),
			Problem: &rotation.Failure{Class: serviceerror.CredentialInvalid, Count: 3, At: now,
				Message: "Entra refuses the sign-in (AADSTS50173): the person's password has changed. Sign in again."}}
	}},
	{"end unknown", func(r *rotation.Record, now time.Time) { r.Current.ExpiresAt = time.Time{} }},
	{"ends soon", func(r *rotation.Record, now time.Time) {
		r.Current.ExpiresAt, r.NextSlot = now.AddDate(0, 0, 3), now.AddDate(0, 0, 1)
	}},
}

// number is the id of one of a crowd.
func number(i int) string { return fmt.Sprintf("%08d-0000-4000-8000-%012d", i*7919%100_000_000, i) }

// crowd writes n connections as they are between two rotations, and targets of via, straight into the
// table. The timer finds none of them: what wakes them is a month away.
func (w *world) crowd(n, targets int, via string) {
	w.Helper()
	s, now := w.store(), time.Now().UTC()
	all, ctx := errgroup.WithContext(w.Context())
	all.SetLimit(16)
	for i := range n {
		all.Go(func() error { return put(ctx, s, w.one(i, now), now, i) })
	}
	for i := n; i < n+targets; i++ {
		all.Go(func() error {
			rec := w.one(i, now)
			if rec.Current == nil {
				rec.Auth, rec.Method = nil, "client-secret"
			}
			rec.Via, rec.Name = via, fmt.Sprintf("target-%05d", i)
			row := reservation.Row{Kind: reservation.Target, Value: via, Owner: rec.ID}
			if err := s.Reserve(ctx, row, nil); err != nil {
				return err
			}
			return put(ctx, s, rec, now, i)
		})
	}
	if err := all.Wait(); err != nil {
		w.Fatal(err)
	}
}

// one is a connection as it may be; i chooses.
func (w *world) one(i int, now time.Time) rotation.Record {
	id := number(i)
	app := rotation.Application{TenantID: w.services.TenantID, ClientID: id, ObjectID: id}
	next := now.AddDate(0, 0, 30).Add(time.Duration(i%90) * 24 * time.Hour)
	rec := rotation.Record{
		Schema: rotation.Schema, ID: id, Name: fmt.Sprintf("app-%05d", i), Description: unruly[i/len(kinds)%len(unruly)],
		Method: "client-secret", VaultName: "rekey-" + id, CreatedAt: now.AddDate(0, -3, 0), UpdatedAt: now, CreatedBy: "crowd",
		Acknowledged: true, LastRotatedAt: now.AddDate(0, 0, -i%30),
		Policy: rotation.Policy{Enabled: true, Grace: 48 * time.Hour, Schedule: schedule.Schedule{Interval: 30, Zone: "Europe/Berlin"}},
		Actor:  app, Target: app, TargetName: rotation.VisibleName(unruly[i%len(unruly)]), Phase: rotation.Idle, NextSlot: next, WakeAt: next,
		Current: &rotation.Credential{Target: app, KeyID: id, Hint: "abc", Origin: rotation.OriginIssued, Since: now,
			ExpiresAt: next.AddDate(0, 1, 0)},
		LastRun: &rotation.RunResult{ID: "run-" + id, Trigger: rotation.OnSchedule, StartedAt: now, FinishedAt: now,
			Outcome: "success", KeyID: id},
		Version: 9, Revision: 2, CredentialChanges: 1,
	}
	if i%17 == 5 {
		rec.Name = strings.Repeat("name", 14) + fmt.Sprintf("%08d", i)
	}
	kind := i % len(kinds)
	if i >= len(kinds) && i%len(kinds) != i/len(kinds)%len(kinds) { // most are healthy
		kind = 0
	}
	kinds[kind].change(&rec, now)
	return rec
}

// put writes a record with a run of the last weeks.
func put(ctx context.Context, s *tablestore.Store, rec rotation.Record, now time.Time, i int) error {
	at, kind := now.AddDate(0, 0, -i%84), history.Published
	if i%23 == 1 {
		kind = history.Failed
	}
	_, err := s.Create(ctx, rec, rotation.Event{At: at, Kind: kind, RunID: fmt.Sprint("run", i), Trigger: rotation.OnSchedule, KeyID: rec.ID,
		Message: unruly[i%len(unruly)]})
	if err != nil {
		return fmt.Errorf("writing connection %d: %w", i, err)
	}
	return nil
}
