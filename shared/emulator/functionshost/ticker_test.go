package functionshost

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

// newTicker is the ticker of a schedule whose invocations take as long as took
// says, and note when they began. It starts at midnight UTC, 2000-01-01, which is
// when a synctest bubble does.
func newTicker(t *testing.T, text string, took ...time.Duration) (*ticker, *[]string) {
	t.Helper()
	schedule, err := ParseSchedule(text)
	if err != nil {
		t.Fatal(err)
	}
	statuses, err := openStatusFile("")
	if err != nil {
		t.Fatal(err)
	}
	var ticks []string
	return &ticker{
		name: "tick", trigger: &timerTrigger{schedule: schedule, monitored: true},
		statuses: statuses, now: time.Now, log: slog.New(slog.DiscardHandler),
		invoke: func(_ context.Context, status *scheduleStatus, pastDue bool) {
			ticks = append(ticks, time.Now().UTC().Format(time.TimeOnly))
			if len(ticks) <= len(took) {
				time.Sleep(took[len(ticks)-1])
			}
		},
	}, &ticks
}

func TestTickerSkipsWhatItMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ticker, ticks := newTicker(t, "0 * * * * *", time.Second, 150*time.Second, time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), 7*time.Minute+time.Second)
		defer cancel()
		ticker.run(ctx)
		// The second runs until 00:04:30, the third (00:05) until exactly 00:06.
		want := []string{"00:01:00", "00:02:00", "00:05:00", "00:07:00"}
		if len(*ticks) != len(want) {
			t.Fatalf("ticks at %v, want %v", *ticks, want)
		}
		for i := range want {
			if (*ticks)[i] != want[i] {
				t.Errorf("ticks at %v, want %v", *ticks, want)
			}
		}
		status, _ := ticker.statuses.get("tick")
		if got := status.Next.Sub(status.Last.Time); got != time.Minute {
			t.Errorf("Next is %v after Last", got)
		}
	})
}

func TestTickerWithASlowClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ticker, ticks := newTicker(t, "0 * * * * *")
		// A clock that is set back while a tick is handled must not repeat it.
		var back time.Duration
		ticker.now = func() time.Time { return time.Now().Add(-back) }
		invoke := ticker.invoke
		ticker.invoke = func(ctx context.Context, status *scheduleStatus, pastDue bool) {
			invoke(ctx, status, pastDue)
			back = 5 * time.Second
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute+30*time.Second)
		defer cancel()
		ticker.run(ctx)
		if len(*ticks) != 2 || (*ticks)[0] != "00:01:00" || (*ticks)[1] != "00:02:05" {
			t.Errorf("ticks at %v", *ticks)
		}
	})
}
