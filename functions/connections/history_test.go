package connections_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"rekey/shared/history"
	"rekey/shared/schedule"
	"rekey/shared/serviceerror"

	"rekey/shared/rotation"
)

type past struct {
	Rotations []struct {
		ID, Trigger, Outcome, KeyID, Message, RequestedBy string
		StartedAt                                         time.Time
		FinishedAt                                        *time.Time
	}
	Revocations []struct {
		KeyID             string
		RevokedAt, GoneAt *time.Time
		Reason            *string
	}
	NextCursor string
}

func ago(minutes int) time.Time { return now.Add(-time.Duration(minutes) * time.Minute) }

// Runs are put together out of events, which come newest first, also where a run's
// events are on several pages.
func TestHistory(t *testing.T) {
	events := []rotation.Event{
		{At: ago(1), Kind: history.Issued, RunID: "r3", Trigger: rotation.OnEmergency, KeyID: "k4"},
		{At: ago(2), Kind: history.Started, RunID: "r3", Trigger: rotation.OnEmergency, By: "eve"},
		{At: ago(3), Kind: history.Gone, KeyID: "k1"},
		{At: ago(4), Kind: history.Gone}, // of an attempt that had no key id
		{At: ago(5), Kind: history.Revoked, KeyID: "k1"},
		{At: ago(5), Kind: history.Revoked, KeyID: "k2", Message: "issued by an attempt that was given up"},
		{At: ago(6), Kind: history.Failed, RunID: "r2", Trigger: rotation.OnSchedule, Message: "grant it"},
		{At: ago(7), Kind: history.Started, RunID: "r2", Trigger: rotation.OnSchedule},
		{At: ago(8), Kind: history.Published, RunID: "r1", Trigger: rotation.OnRequest, KeyID: "k3"},
		{At: ago(9), Kind: history.Issued, RunID: "r1", Trigger: rotation.OnRequest, KeyID: "k3"},
		{At: ago(10), Kind: history.AttemptDropped, RunID: "r1", Trigger: rotation.OnRequest, KeyID: "k2", Message: "no proof"},
		{At: ago(11), Kind: history.Issued, RunID: "r1", Trigger: rotation.OnRequest, KeyID: "k2"},
		{At: ago(12), Kind: history.Started, RunID: "r1", Trigger: rotation.OnRequest, By: "adam"},
		{At: ago(13), Kind: history.Published, RunID: "r0", Trigger: rotation.OnEmergency, KeyID: "k1"}, // it was tried twice
		{At: ago(14), Kind: history.Started, RunID: "r0", Trigger: rotation.OnEmergency, By: "adam"},
		{At: ago(15), Kind: history.Failed, RunID: "r0", Trigger: rotation.OnEmergency, Message: "grant it"},
		{At: ago(16), Kind: history.Started, RunID: "r0", Trigger: rotation.OnEmergency, By: "adam"},
		{At: ago(17), Kind: history.Failed, RunID: "r", Trigger: rotation.OnRequest, Message: "no room"}, // before it began
		{At: ago(18), Kind: history.Requested, RunID: "r", By: "adam", Message: "rotate"},
		{At: ago(19), Kind: history.Created, By: "adam"},
	}
	for size := 1; size <= len(events); size += 3 {
		got := tell(t, events, size, "")
		var runs []string
		for _, r := range got.Rotations {
			finished := "-"
			if r.FinishedAt != nil {
				finished = strconv.Itoa(int(now.Sub(*r.FinishedAt).Minutes()))
			}
			runs = append(runs, fmt.Sprintf("%s %s %s %s %q by %q %d-%s", r.ID, r.Trigger, r.Outcome, r.KeyID, r.Message, r.RequestedBy,
				int(now.Sub(r.StartedAt).Minutes()), finished))
		}
		want := []string{
			`r3 emergency running k4 "" by "eve" 2--`,
			`r2 schedule failed  "grant it" by "" 7-6`,
			`r1 manual success k3 "an attempt was given up: no proof" by "adam" 12-8`,
			`r0 emergency success k1 "" by "adam" 14-13`,
			`r0 emergency failed  "grant it" by "adam" 16-15`,
			`r manual failed  "no room" by "adam" 18-17`,
		}
		if strings.Join(runs, "\n") != strings.Join(want, "\n") {
			t.Errorf("pages of %d:\n%s\nwant\n%s", size, strings.Join(runs, "\n"), strings.Join(want, "\n"))
		}
		if len(got.Revocations) != 2 || got.Revocations[0].KeyID != "k1" || !got.Revocations[0].RevokedAt.Equal(ago(5)) ||
			!got.Revocations[0].GoneAt.Equal(ago(3)) || got.Revocations[1].KeyID != "k2" || got.Revocations[1].GoneAt != nil {
			t.Errorf("revocations %+v", got.Revocations)
		}
		var why []string
		for _, r := range got.Revocations {
			if r.Reason != nil {
				why = append(why, *r.Reason)
			}
		}
		if want := []string{"another client secret took its place", "issued by an attempt that was given up"}; !slices.Equal(why, want) {
			t.Errorf("they were removed because %q, want %q", why, want)
		}
	}
}

// The newest runs come, each with its beginning, and no more is read than that takes.
func TestHistoryLimit(t *testing.T) {
	var events []rotation.Event
	for i := range 10 {
		run := fmt.Sprintf("r%d", i)
		events = append(events, rotation.Event{At: ago(2 * i), Kind: history.Published, RunID: run, KeyID: "k"},
			rotation.Event{At: ago(2*i + 1), Kind: history.Started, RunID: run, By: "adam"})
	}
	got := tell(t, events, 3, "?limit=2")
	if len(got.Rotations) != 2 || got.Rotations[1].ID != "r1" || got.Rotations[1].RequestedBy != "adam" {
		t.Errorf("rotations %+v", got.Rotations)
	}
	for _, limit := range []string{"0", "-1", "201", "all", "1.5"} {
		if w, _ := ask(t, service{}, http.MethodGet, "/azure-client-secrets/"+id+"/rotations?limit="+limit, ""); w.Code != http.StatusBadRequest {
			t.Errorf("limit=%s: status %d", limit, w.Code)
		}
	}
}

// Pages of runs are cut between runs, wherever the pages of events are cut.
func TestHistoryPages(t *testing.T) {
	var events []rotation.Event
	for i := range 5 {
		run := fmt.Sprintf("r%d", i)
		events = append(events, rotation.Event{At: ago(3 * i), Kind: history.Published, RunID: run, KeyID: "k"},
			rotation.Event{At: ago(3*i + 1), Kind: history.Started, RunID: run, By: "adam"},
			rotation.Event{At: ago(3*i + 2), Kind: history.Gone, KeyID: run})
	}
	for size := 1; size <= len(events); size++ {
		var runs []string
		revoked, pages := 0, 0
		for cursor := ""; ; {
			got := tell(t, events, size, "?limit=2&cursor="+cursor)
			for _, r := range got.Rotations {
				runs = append(runs, r.ID+r.RequestedBy+r.Outcome)
			}
			revoked += len(got.Revocations)
			pages++
			if cursor = got.NextCursor; cursor == "" {
				break
			}
		}
		if strings.Join(runs, " ") != "r0adamsuccess r1adamsuccess r2adamsuccess r3adamsuccess r4adamsuccess" || revoked != 5 || pages != 3 {
			t.Errorf("pages of %d events: %d pages, %d revocations, runs %q", size, pages, revoked, runs)
		}
	}
}

// tell asks for the history of events, of which the service gives size at a time.
func tell(t *testing.T, events []rotation.Event, size int, query string) past {
	t.Helper()
	return tellOf(t, rotation.Record{}, events, size, query)
}

// tellOf is the same of a connection that is as rec.
func tellOf(t *testing.T, rec rotation.Record, events []rotation.Event, size int, query string) past {
	t.Helper()
	s := service{get: func(string) (rotation.Record, error) { return rec, nil }, history: func(cursor string, limit int) ([]rotation.Event, string, error) {
		from, _ := strconv.Atoi(cursor)
		to := min(from+min(size, limit), len(events))
		next := ""
		if to < len(events) {
			next = strconv.Itoa(to)
		}
		return events[from:to], next, nil
	}}
	w, _ := ask(t, s, http.MethodGet, "/azure-client-secrets/"+id+"/rotations"+query, "")
	var got past
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return got
}

// show asks for a record and returns its rotation member.
func show(t *testing.T, rec rotation.Record) map[string]any {
	t.Helper()
	s := service{get: func(string) (rotation.Record, error) { return rec, nil }}
	w, _ := ask(t, s, http.MethodGet, "/azure-client-secrets/"+id, "")
	var got struct {
		AppConnection struct{ Rotation map[string]any }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return got.AppConnection.Rotation
}

// The state of a rotation as the API shows it: what runs, what failed, and when it is
// tried again.
func TestRotationView(t *testing.T) {
	rec := rotation.Record{
		ID: id, Phase: rotation.Idle, NextSlot: time.Date(2026, 12, 1, 2, 15, 0, 0, time.UTC),
		Policy: rotation.Policy{Enabled: true, Schedule: schedule.Schedule{Interval: 30, Hours: 3, Minutes: 15, Zone: "Europe/Berlin"},
			Grace: 48 * time.Hour},
		LastRun: &rotation.RunResult{ID: "r1", Trigger: rotation.OnCreation, Outcome: "success", KeyID: "k1"},
	}
	want := func(r map[string]any, member string, value any) {
		t.Helper()
		if got := r[member]; fmt.Sprint(got) != fmt.Sprint(value) {
			t.Errorf("%s is %v, want %v", member, got, value)
		}
	}
	r := show(t, rec)
	want(r, "rotationStatus", "success")
	want(r, "nextRotationAt", "2026-12-01T02:15:00Z")
	want(r, "rotateAtUtc", map[string]any{"hours": 2, "minutes": 15}) // the zone's offset on that day, not today's
	want(r, "gracePeriodHours", 48)
	want(r, "settled", true)
	want(r, "retryAt", nil)

	retiring := rotation.Removal{Kind: rotation.RemoveReplaced, KeyID: "k0", After: rec.NextSlot, NextAt: rec.NextSlot.Add(time.Hour)}
	rec.Removals = []rotation.Removal{retiring, retiring}
	rec.Removals[1].Problem = serviceerror.Permission
	list := show(t, rec)["retiring"].([]any)
	want(list[0].(map[string]any), "retryAt", nil)
	want(list[1].(map[string]any), "retryAt", "2026-12-01T03:15:00Z")
	rec.Removals = nil

	rec.LastRun.Outcome = "abandoned"
	want(show(t, rec), "rotationStatus", "failed") // Infisical's clients know two words

	rec.Error = &rotation.Failure{Class: serviceerror.Permission, Message: "grant it", RetryAt: rec.NextSlot.Add(time.Hour)}
	r = show(t, rec)
	want(r, "rotationStatus", "failed")
	want(r, "lastRotationMessage", "grant it")
	want(r, "nextRotationAt", "2026-12-01T03:15:00Z")
	want(r, "retryAt", "2026-12-01T03:15:00Z")

	// After the request for it was taken back nothing is tried before the slot.
	rec.Error.RetryAt = rec.NextSlot.Add(-time.Hour)
	want(show(t, rec), "retryAt", nil)
	rec.Request = &rotation.Request{Kind: rotation.AskRotate}
	want(show(t, rec), "retryAt", "2026-12-01T01:15:00Z")
	rec.Request = nil

	rec.Run = &rotation.Run{ID: "r2", Trigger: rotation.OnRequest, KeyID: "k2"}
	rec.Phase = rotation.Verifying
	r = show(t, rec)
	want(r, "state", "verifying")
	want(r, "settled", false)
	want(r["lastRun"].(map[string]any), "outcome", "running")

	rec.Policy.Enabled, rec.Run, rec.Error, rec.Phase = false, nil, nil, rotation.Idle
	want(show(t, rec), "nextRotationAt", nil)
	if r := show(t, rotation.Record{ID: id, Phase: rotation.Idle}); r != nil {
		t.Errorf("rotation of a connection that never had one: %v", r)
	}
}

// A run that was given up on request has no event for its end: it is over if another one has begun, or if the record says so.
func TestARunThatWasGivenUpIsOver(t *testing.T) {
	events := []rotation.Event{
		{At: ago(1), Kind: history.AttemptDropped, RunID: "r3", KeyID: "k3", Message: "on request: abandon"},
		{At: ago(2), Kind: history.Started, RunID: "r3"},
		{At: ago(3), Kind: history.AttemptDropped, RunID: "r2", KeyID: "k2", Message: "on request: emergency"},
		{At: ago(4), Kind: history.Started, RunID: "r2"},
		{At: ago(5), Kind: history.Published, RunID: "r1", KeyID: "k1"},
		{At: ago(6), Kind: history.AttemptDropped, RunID: "r1", KeyID: "k0", Message: "no proof"},
		{At: ago(7), Kind: history.Started, RunID: "r1"},
	}
	says := func(rec rotation.Record) (words string) {
		for _, r := range tellOf(t, rec, events, 100, "").Rotations {
			ended := time.Duration(0)
			if r.FinishedAt != nil {
				ended = r.FinishedAt.Sub(ago(0))
			}
			words += fmt.Sprintf("%s %s %s; ", r.ID, r.Outcome, ended)
		}
		return words
	}
	over := rotation.RunResult{ID: "r2", Outcome: "abandoned", FinishedAt: ago(3)}
	for name, c := range map[string]struct {
		rec  rotation.Record
		want string
	}{
		"it goes on with another attempt": {rotation.Record{Run: &rotation.Run{ID: "r3"}, LastRun: &over}, "r3 running 0s; "},
		"it is over": {rotation.Record{LastRun: &rotation.RunResult{ID: "r3", Outcome: "abandoned", FinishedAt: ago(1)}},
			"r3 abandoned " + ago(1).Sub(ago(0)).String() + "; "},
	} {
		want := c.want + "r2 abandoned " + ago(3).Sub(ago(0)).String() + "; r1 success " + ago(5).Sub(ago(0)).String() + "; "
		if got := says(c.rec); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
