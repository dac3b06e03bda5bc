package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
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

// listPages lets the real handler answer with pages of 100 among more and more connections.
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

func (r *rig) listAmong(ctx context.Context, handler string, n int) ([]result, error) {
	if err := r.connect(ctx, n); err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(listKey))
	p, err := start(ctx, handler, append(slices.Clone(r.env), "REKEY_API_KEYS=bench:read:"+hex.EncodeToString(sum[:])))
	if err != nil {
		return nil, err
	}
	defer p.stop()
	const requests = 20
	if _, err := listPage(ctx, p.port, ""); err != nil { // the connections to the table are made once
		return nil, err
	}
	r.reset(0)
	before, err := p.cpu()
	if err != nil {
		return nil, err
	}
	cursor := ""
	for range requests {
		if cursor, err = listPage(ctx, p.port, cursor); err != nil {
			return nil, err
		}
	}
	after, err := p.cpu()
	if err != nil {
		return nil, err
	}
	calls := r.counted()
	return []result{
		{fmt.Sprintf("list of 100 among %d: CPU of the handler", n), (after - before).Seconds() * 1000 / requests, "ms"},
		{fmt.Sprintf("list of 100 among %d: range queries", n), float64(calls[table.OpQuery]) / requests, ""},
		{fmt.Sprintf("list of 100 among %d: reads of one row", n), float64(calls[table.OpGet]) / requests, ""},
	}, nil
}

// connect writes n connections as they are between two rotations.
func (r *rig) connect(ctx context.Context, n int) error {
	var all errgroup.Group
	all.SetLimit(16)
	now := time.Now().UTC()
	for i := range n {
		all.Go(func() error {
			id := fmt.Sprintf("%08d-0000-4000-8000-%012d", i*7919%100_000_000, i)
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
				Version: 9, Revision: 2, CredentialChanges: 1,
			}
			if _, err := r.app.Connections.Records.Create(ctx, rec); err != nil {
				return fmt.Errorf("writing a record: %w", err)
			}
			return nil
		})
	}
	return all.Wait()
}

// listPage asks for a page and returns where the next one begins.
func listPage(ctx context.Context, port, cursor string) (next string, err error) {
	url := "http://127.0.0.1:" + port + "/api/v1/app-connections/azure-client-secrets?limit=100&cursor=" + cursor
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", fmt.Errorf("asking for a list: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+listKey)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", fmt.Errorf("asking for a list: %w", err)
	}
	defer resp.Body.Close()
	var page struct {
		AppConnections []struct{ Name string }
		NextCursor     string
	}
	if err := json.NewDecoder(resp.Body).Decode(&page); err != nil {
		return "", fmt.Errorf("reading a list: %w", err)
	}
	if resp.StatusCode != http.StatusOK || len(page.AppConnections) != 100 {
		return "", fmt.Errorf("a list of %d connections, status %s", len(page.AppConnections), resp.Status)
	}
	return page.NextCursor, nil
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
