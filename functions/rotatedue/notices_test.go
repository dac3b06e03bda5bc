package rotatedue_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rekey/functions/rotatedue"
	"rekey/shared/host"
	"rekey/shared/notice"
	"rekey/shared/rotator"
)

type notifier func(context.Context) (notice.Round, error)

func (n notifier) Deliver(ctx context.Context) (notice.Round, error) { return n(ctx) }

// Notices go out while a long sweep is still waiting, and once more when it has ended,
// for what it had to tell itself.
func TestNoticesBesideASweep(t *testing.T) {
	for sweep, want := range map[time.Duration][]time.Duration{
		time.Second:           {time.Second},
		210 * time.Second:     {time.Minute, 2 * time.Minute, 3 * time.Minute, 210 * time.Second},
		time.Minute - 1:       {time.Minute - 1},
		time.Minute + 1:       {time.Minute, time.Minute + 10*time.Second}, // the second waits for the first
		2*time.Minute - 1_000: {time.Minute, 2*time.Minute - 1_000},
	} {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			var rounds []time.Duration
			_, err := rotatedue.Tick(t.Context(), sweeper(func(context.Context) (rotator.Swept, error) {
				time.Sleep(sweep)
				return rotator.Swept{}, nil
			}), notifier(func(ctx context.Context) (notice.Round, error) {
				rounds = append(rounds, time.Since(begin))
				if end, ok := ctx.Deadline(); !ok || time.Until(end) > 30*time.Second {
					t.Errorf("a round may last until %v", end)
				}
				time.Sleep(10 * time.Second)
				return notice.Round{}, nil
			}), host.Timer{}, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			if len(rounds) != len(want) {
				t.Fatalf("a sweep of %s: rounds at %v, want %v", sweep, rounds, want)
			}
			for i := range want {
				if rounds[i] != want[i] {
					t.Errorf("a sweep of %s: rounds at %v, want %v", sweep, rounds, want)
				}
			}
		})
	}
}

// A slow receiver delays neither the sweep nor the next tick by more than seconds.
func TestNoticesEndWithTheirDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var swept time.Duration
		_, err := rotatedue.Tick(t.Context(), sweeper(func(context.Context) (rotator.Swept, error) {
			time.Sleep(61 * time.Second)
			swept = time.Since(begin)
			return rotator.Swept{}, nil
		}), notifier(func(ctx context.Context) (notice.Round, error) {
			<-ctx.Done()
			return notice.Round{}, nil
		}), host.Timer{}, slog.New(slog.DiscardHandler))
		if took := time.Since(begin); err != nil || swept != 61*time.Second || took > swept+50*time.Second {
			t.Errorf("swept after %s, the tick took %s (%v)", swept, took, err)
		}
	})
}

// What becomes of notices shows in the log, and is no failure of the tick; nor is the
// failure of a sweep one of the notices.
func TestNoticesFail(t *testing.T) {
	var log bytes.Buffer
	failure := errors.New("table down")
	told := false
	_, err := rotatedue.Tick(t.Context(), sweeper(func(context.Context) (rotator.Swept, error) {
		return rotator.Swept{}, failure
	}), notifier(func(context.Context) (notice.Round, error) {
		told = true
		return notice.Round{Pending: 3, Delivered: 1, Failed: 2}, errors.New("vault down")
	}), host.Timer{InvocationID: "i-1"}, slog.New(slog.NewTextHandler(&log, nil)))
	if !errors.Is(err, failure) || !told {
		t.Errorf("Tick: %v, told %v", err, told)
	}
	for _, words := range []string{"msg=notices", "invocation=i-1", "pending=3", "delivered=1", "failed=2", `reason="vault down"`} {
		if !strings.Contains(log.String(), words) {
			t.Errorf("the log does not say %s: %s", words, log.String())
		}
	}
}
