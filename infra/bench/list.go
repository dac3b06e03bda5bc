package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"rekey/shared/emulator/table"
	"rekey/shared/rotation"
	"rekey/shared/schedule"
)

// listKey is the API key that lists.
const listKey = "rk_bench-lists-connections-and-nothing-else-mA"

// listPages lets the real handler answer with pages among more and more connections and targets.
func listPages(ctx context.Context, handler string) (results []result, err error) {
	for _, n := range []int{100, 1000, 10_000} {
		r, err := newRig(0)
		if err != nil {
			return nil, err
		}
		some, err := r.listAmong(ctx, handler, n)
		r.close()
		if err != nil {
			return nil, err
		}
		results = append(results, some...)
	}
	return results, nil
}

// looks are what is looked at among the connections and as many targets, of which one needs attention.
var looks = []struct {
	name  string
	paths []string
}{
	{"list of 100 connections", []string{connectionList + "?limit=100"}},
	{"list of 100 targets", []string{targetList + "?limit=100"}},
	{"search of 100 connections", []string{connectionList + "?limit=100&text=APP-0"}},
	{"search in vain", []string{connectionList + "?limit=100&text=none-"}},
	{"overview of the console", []string{connectionList + "?limit=1", connectionList + "?limit=10&attention=true",
		targetList + "?limit=10&attention=true", connectionList + "/upcoming?limit=10", connectionList + "/ahead",
		connectionList + "/activity?weeks=13", connectionList + "/inventory?limit=10&endsAfter=2026-01-01T00:00:00Z"}},
}

const (
	connectionList = "/api/v1/app-connections/azure-client-secrets"
	targetList     = "/api/v2/secret-rotations/azure-client-secret"
)

func (r *rig) listAmong(ctx context.Context, handler string, n int) (results []result, err error) {
	if err := r.connect(ctx, n, ""); err != nil {
		return nil, err
	}
	if err := r.connect(ctx, n, "00000000-0000-4000-8000-000000000000"); err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(listKey))
	p, err := start(ctx, handler, append(slices.Clone(r.env), "REKEY_API_KEYS=bench:read:"+hex.EncodeToString(sum[:])))
	if err != nil {
		return nil, err
	}
	defer p.stop()
	for _, look := range looks {
		some, err := r.look(ctx, p, fmt.Sprintf("%s among %d", look.name, n), look.paths)
		if err != nil {
			return nil, err
		}
		results = append(results, some...)
	}
	return results, nil
}

// look asks for paths some times, and says what that costs each time.
func (r *rig) look(ctx context.Context, p *process, name string, paths []string) ([]result, error) {
	const times = 10
	all := func() error {
		for _, path := range paths {
			if err := ask(ctx, p.port, path); err != nil {
				return err
			}
		}
		return nil
	}
	if err := all(); err != nil { // the connections to the table are made once
		return nil, err
	}
	r.reset(0)
	before, err := p.cpu()
	for range times {
		err = errors.Join(err, all())
	}
	after, failed := p.cpu()
	if err := errors.Join(err, failed); err != nil {
		return nil, err
	}
	calls := r.counted()
	return []result{
		{name + ": CPU of the handler", (after - before).Seconds() * 1000 / times, "ms"},
		{name + ": range queries", float64(calls[table.OpQuery]) / times, ""},
		{name + ": reads of one row", float64(calls[table.OpGet]) / times, ""},
	}, nil
}

// connect writes n connections, or targets of one, as they are between two rotations. One of the
// connections needs attention.
func (r *rig) connect(ctx context.Context, n int, via string) error {
	var all errgroup.Group
	all.SetLimit(16)
	now := time.Now().UTC()
	for i := range n {
		all.Go(func() error {
			id := fmt.Sprintf("%08d-0000-%d000-8000-%012d", i*7919%100_000_000, 4+len(via)/36, i)
			target := rotation.Application{TenantID: r.TenantID, ClientID: id, ObjectID: id}
			rec := rotation.Record{
				Schema: rotation.Schema, ID: id, Name: fmt.Sprintf("app-%05d", i), Description: "one of many", Method: "client-secret",
				VaultName: "rekey-" + id, CreatedAt: now, UpdatedAt: now, CreatedBy: "bench", Acknowledged: true, LastRotatedAt: now,
				Policy: rotation.Policy{Enabled: true, Schedule: schedule.Schedule{Interval: 30, Zone: "UTC"}, Grace: 48 * time.Hour},
				Actor:  target, Target: target, Phase: rotation.Idle, NextSlot: now.AddDate(0, 0, 30), WakeAt: now.AddDate(0, 0, 30),
				Current: &rotation.Credential{
					Target: target, KeyID: id, Hint: "abc", Origin: rotation.OriginIssued, Since: now, ExpiresAt: now.AddDate(0, 2, 3),
				},
				LastRun: &rotation.RunResult{ID: id, Trigger: rotation.OnSchedule, StartedAt: now, FinishedAt: now, Outcome: "success", KeyID: id},
				Version: 9, Revision: 2, CredentialChanges: 1, Via: via,
			}
			if i == n/2 && via == "" {
				rec.ByHand = []rotation.ByHand{{Target: target, KeyID: id, Since: now}}
			}
			if _, err := r.app.Connections.Records.Create(ctx, rec); err != nil {
				return fmt.Errorf("writing a record: %w", err)
			}
			return nil
		})
	}
	return all.Wait()
}

// ask sends a request, and reads the whole answer.
func ask(ctx context.Context, port, path string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:"+port+path, nil)
	if err != nil {
		return fmt.Errorf("asking for a list: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+listKey)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("asking for a list: %w", err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return fmt.Errorf("reading a list: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: status %s", path, resp.Status)
	}
	return nil
}

// ticks is how many of the kernel's units of CPU time a second has (USER_HZ).
const ticks = 100

// cpu is how much CPU time the process has used.
func (p *process) cpu() (time.Duration, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("reading the CPU time: %w", err)
	}
	// The second field is the program's name, in brackets; utime and stime are the 14th and 15th.
	_, rest, _ := strings.Cut(string(data), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0, fmt.Errorf("no CPU time in /proc")
	}
	user, err := strconv.Atoi(f[11])
	if err != nil {
		return 0, fmt.Errorf("reading the CPU time: %w", err)
	}
	system, err := strconv.Atoi(f[12])
	return time.Duration(user+system) * time.Second / ticks, err
}
