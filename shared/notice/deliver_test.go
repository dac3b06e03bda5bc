package notice_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/serviceerror"

	"rekey/shared/notice"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// One notice, as it travels.
func TestRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.connect("one")
		s.tell("one", "No right.")
		if did := s.round(); did != (notice.Round{Pending: 1, Delivered: 1}) {
			t.Errorf("the round did %+v", did)
		}
		if len(s.pending()) != 0 {
			t.Errorf("left: %+v", s.pending())
		}
		r := s.receiver.last
		if r.Header.Get("Content-Type") != "application/cloudevents+json" {
			t.Errorf("%v", r.Header)
		}
		want := `{"specversion":"1.0","id":"evt-20000101T000000Z-one-0000000000000000002-00",` +
			`"source":"rekey/test","type":"rekey.connection.attention","subject":"one",` +
			`"time":"2000-01-01T00:00:00.01Z","datacontenttype":"application/json",` +
			`"data":{"connection":{"id":"one","name":"name of one","projectId":"p"},` +
			`"application":{"tenantId":"t","clientId":"c"},"state":"attention",` +
			`"problem":{"class":"permission","message":"No right."},"advice":"` +
			serviceerror.Permission.Advice() + `"}}`
		if body := string(s.receiver.bodies[0]); body != want {
			t.Errorf("body %s\nwant %s", body, want)
		}
		for _, words := range []string{`"connection":"one"`, `"event":"evt-20000101T000000Z-one-`,
			`"outcome":"delivered"`, `"status":204`, `"duration":`, `"try":1`} {
			if strings.Count(s.log.String(), words) != 1 {
				t.Errorf("the log does not say %s once: %s", words, s.log)
			}
		}
		s.wantQuiet()
	})
}

// A connection whose notice is not taken waits with its later ones; the others do not.
func TestOrderOfAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		refusing := true
		s.receiver.answer = func(_ *http.Request, e notice.Event) (*http.Response, error) {
			if refusing && e.Data.Problem.Message == "1b" {
				return status(http.StatusBadRequest), nil
			}
			return status(http.StatusOK), nil
		}
		s.connect("one")
		s.connect("two")
		s.tell("one", "1a")
		s.tell("two", "2a")
		s.tell("one", "1b", "1c")
		time.Sleep(time.Second)
		s.tell("one", "1d")
		s.tell("two", "2b")
		s.round()
		s.wantTaken("one", "1a")
		s.wantTaken("two", "2a", "2b")
		time.Sleep(2 * time.Minute)
		s.tell("one", "1e")
		s.round() // tried again, refused again
		s.wantTaken("one", "1a")
		refusing = false
		time.Sleep(5 * time.Minute)
		s.round()
		s.wantTaken("one", "1a", "1b", "1c", "1d", "1e")
		if n := len(messages(s.receiver.tried, "one")); n != 7 {
			t.Errorf("%d requests for one, want 5 and 2 repetitions", n)
		}
	})
}

// Clocks may differ by more than two events do: the order is that of the commits.
func TestOrderIsThatOfCommits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.connect("one")
		store := s.world.StorePort()
		for i, late := range []time.Duration{time.Hour, 0} {
			rec, err := store.Load(t.Context(), "one")
			if err != nil {
				t.Fatal(err)
			}
			rec.Version++
			if _, err := store.Commit(t.Context(), rec, rotation.Event{At: time.Now().Add(late), Notice: true, Message: fmt.Sprint(i)}); err != nil {
				t.Fatal(err)
			}
		}
		s.round()
		s.wantTaken("one", "0", "1")
	})
}

// A receiver that is down for an hour gets everything once it is back, in order per
// connection, once each, and with signatures of the moment.
func TestReceiverDownForAnHour(t *testing.T) {
	for name, fail := range map[string]func() (*http.Response, error){
		"no answer": func() (*http.Response, error) { return nil, errors.New("connection refused at " + hookURL) },
		"502":       func() (*http.Response, error) { return status(http.StatusBadGateway), nil },
		"a redirect": func() (*http.Response, error) {
			return status(http.StatusFound, "Location", "https://login.example.test/"), nil
		},
		"hangs":       nil,
		"429":         func() (*http.Response, error) { return status(http.StatusTooManyRequests, "Retry-After", "600"), nil },
		"gone by 410": func() (*http.Response, error) { return status(http.StatusGone), nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t)
				begin := time.Now()
				back := begin.Add(time.Hour)
				s.receiver.answer = func(r *http.Request, _ notice.Event) (*http.Response, error) {
					if !time.Now().Before(back) {
						return status(http.StatusOK), nil
					}
					if fail == nil {
						<-r.Context().Done()
						return nil, r.Context().Err()
					}
					return fail()
				}
				const connections = 40
				want := map[string][]string{}
				for i := range connections {
					id := fmt.Sprint("c", i)
					s.connect(id)
					s.tell(id, "first")
					want[id] = []string{"first"}
				}
				requests := 0
				for minute := 0; time.Now().Before(begin.Add(3 * time.Hour)); minute++ {
					if id := fmt.Sprint("c", minute%connections); minute < 100 {
						s.tell(id, fmt.Sprint("minute ", minute))
						want[id] = append(want[id], fmt.Sprint("minute ", minute))
					}
					if time.Now().Before(back) {
						requests = len(s.receiver.tried)
					}
					ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
					if _, err := s.Deliver(ctx); err != nil {
						t.Fatalf("Deliver: %v", err)
					}
					cancel()
					time.Sleep(time.Until(begin.Add(time.Duration(minute+1) * time.Minute)))
				}
				for id, w := range want {
					s.wantTaken(id, w...)
				}
				if left := s.pending(); len(left) != 0 {
					t.Errorf("%d are left: %+v", len(left), left[0])
				}
				t.Logf("%d requests while it was down", requests)
				if requests > 60*12+1 { // a round stops after five failures, and up to seven more are under way
					t.Errorf("%d requests while it was down", requests)
				}
				s.wantQuiet()
			})
		})
	}
}

// Two deliverers keep off each other: in a quiet world nothing is sent twice.
func TestTwoDeliverers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.receiver.answer = func(*http.Request, notice.Event) (*http.Response, error) {
			time.Sleep(3 * time.Second)
			return status(http.StatusOK), nil
		}
		want := map[string][]string{}
		for i := range 30 {
			id := fmt.Sprint("c", i)
			s.connect(id)
			s.tell(id, "a", "b")
			s.tell(id, "c")
			want[id] = []string{"a", "b", "c"}
		}
		for range 40 {
			var all sync.WaitGroup
			for range 2 {
				all.Go(func() {
					if _, err := s.deliverer().Deliver(t.Context()); err != nil {
						t.Errorf("Deliver: %v", err)
					}
				})
			}
			all.Wait()
		}
		for id, w := range want {
			s.wantTaken(id, w...)
		}
	})
}

// A pass dies, or loses an answer of the table, around a delivery: the notice arrives,
// if more than once then as the same, and before what comes after it.
func TestFaultsAroundADelivery(t *testing.T) {
	for write, op := range []string{"claiming the first", "deleting the first", "claiming the second", "deleting the second"} {
		for _, fault := range rotationtest.Faults {
			t.Run(op+", "+string(fault), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newScene(t)
					s.connect("one")
					s.tell("one", "a", "b")
					s.world.Break(write+1, fault)
					if _, err := s.Deliver(t.Context()); err == nil {
						t.Error("the fault does not show")
					}
					s.Deliverer = s.deliverer() // a new process, if the old one is dead
					for range 5 {
						s.round()
						time.Sleep(time.Minute)
					}
					if left := s.pending(); len(left) != 0 {
						t.Errorf("left: %+v", left)
					}
					got := messages(s.receiver.taken, "")
					if unique := slices.Compact(slices.Clone(got)); !slices.Equal(unique, []string{"a", "b"}) || len(got) > 3 {
						t.Errorf("the receiver took %q", got)
					}
					sent := len(got) == 3 // a delete that was not applied, or died too soon
					if lost := write%2 == 1 && fault == rotationtest.NotApplied; sent != lost {
						t.Errorf("the receiver took %q", got)
					}
					for i := 1; i < len(s.receiver.taken); i++ {
						a, b := s.receiver.taken[i-1], s.receiver.taken[i]
						if (a.ID == b.ID) != (a.Data.Problem.Message == b.Data.Problem.Message) || a.ID == b.ID && a.Time != b.Time {
							t.Errorf("two deliveries: %+v, %+v", a, b)
						}
					}
				})
			})
		}
	}
}

// A slow receiver takes what it takes, and a round ends before its deadline.
func TestSlowReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.receiver.answer = func(r *http.Request, _ notice.Event) (*http.Response, error) {
			time.Sleep(9 * time.Second)
			return status(http.StatusOK), nil
		}
		const n = 100
		for i := range n {
			s.connect(fmt.Sprint("c", i))
			s.tell(fmt.Sprint("c", i), "a")
		}
		rounds := 0
		for ; len(s.pending()) > 0 && rounds < n; rounds++ {
			ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
			if _, err := s.Deliver(ctx); err != nil {
				t.Fatalf("Deliver: %v", err)
			}
			if ctx.Err() != nil {
				t.Fatal("the round outlived its deadline")
			}
			cancel()
		}
		if taken := len(s.receiver.taken); taken != n || len(s.receiver.tried) != n || rounds > 4 {
			t.Errorf("%d taken of %d sent in %d rounds, want each once in at most 4", taken, len(s.receiver.tried), rounds)
		}
	})
}

// After three days of trying a notice is given up, loudly; what came after it goes on.
func TestGivingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		begin := time.Now()
		s.receiver.answer = func(_ *http.Request, e notice.Event) (*http.Response, error) {
			if e.Data.Problem.Message == "a" {
				return status(http.StatusInternalServerError), nil
			}
			return status(http.StatusOK), nil
		}
		s.connect("one")
		s.tell("one", "a", "b")
		for len(s.pending()) > 0 && time.Since(begin) < 100*time.Hour {
			s.round()
			time.Sleep(time.Minute)
		}
		if took := time.Since(begin); took < 72*time.Hour || took > 74*time.Hour {
			t.Errorf("it took %s, want three days", took)
		}
		s.wantTaken("one", "b")
		if n := strings.Count(s.log.String(), `"outcome":"given up"`); n != 1 || strings.Count(s.log.String(), `"level":"ERROR"`) != 1 {
			t.Errorf("given up %d times: %s", n, s.log)
		}
		if tries := len(messages(s.receiver.tried, "one")); tries < 60 || tries > 90 {
			t.Errorf("%d requests in three days, want about one an hour", tries)
		}
	})
}

// A notice is never given up unsent, however long it could not be sent.
func TestOldNotice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.connect("one")
		s.tell("one", "a")
		time.Sleep(30 * 24 * time.Hour)
		s.round()
		s.wantTaken("one", "a")
	})
}

// What the receiver asks for is done: for one notice, and for itself.
func TestRetryAfter(t *testing.T) {
	for name, test := range map[string]struct {
		answer *http.Response
		next   time.Duration // when "one" may be sent again, at the earliest
		others bool          // whether others may be sent before
	}{
		"429":                    {status(429, "Retry-After", "1800"), 30 * time.Minute, false},
		"503 with a date":        {status(503, "Retry-After", "Sat, 01 Jan 2000 00:20:00 GMT"), 19 * time.Minute, false},
		"410":                    {status(410), time.Minute, false},
		"500 without":            {status(500), time.Minute, true},
		"404, for this one only": {status(404, "Retry-After", "1800"), 30 * time.Minute, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t)
				s.connect("one")
				s.tell("one", "a")
				s.receiver.answer = func(*http.Request, notice.Event) (*http.Response, error) { return test.answer, nil }
				if did := s.round(); did != (notice.Round{Pending: 1, Failed: 1}) {
					t.Errorf("the round did %+v", did)
				}
				s.receiver.answer = nil
				failed := time.Now()
				s.connect("two")
				s.tell("two", "b")
				s.round()
				if got := len(messages(s.receiver.taken, "two")) == 1; got != test.others {
					t.Errorf("another one was sent: %v", got)
				}
				for len(s.pending()) > 0 {
					time.Sleep(time.Second)
					s.round()
				}
				if waited := time.Since(failed); waited < test.next || waited > 75*time.Minute {
					t.Errorf("waited %s, want at least %s", waited, test.next)
				}
			})
		})
	}
}

// A receiver that is down is not asked for each of many notices.
func TestDownReceiverIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.receiver.answer = refuseAll
		const n = 100
		for i := range n {
			s.connect(fmt.Sprint("c", i))
			s.tell(fmt.Sprint("c", i), "a")
		}
		if did := s.round(); did.Pending != n || did.Failed < 5 || did.Failed > 12 || did.Failed != len(s.receiver.tried) {
			t.Errorf("%+v, and %d requests", did, len(s.receiver.tried))
		}
	})
}

// What fails for ever is in the way of no other notice.
func TestPoisonIsInNoNoticesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.receiver.answer = func(_ *http.Request, e notice.Event) (*http.Response, error) {
			if e.Data.Problem.Message == "poison" {
				return status(http.StatusInternalServerError), nil
			}
			return status(http.StatusOK), nil
		}
		const bad = 30
		for i := range bad {
			s.connect(fmt.Sprint("bad", i))
			s.tell(fmt.Sprint("bad", i), "poison")
		}
		for range bad {
			s.round()
			time.Sleep(10 * time.Second)
		}
		if tried := len(s.receiver.tried); tried < bad {
			t.Fatalf("only %d of %d were tried", tried, bad)
		}
		time.Sleep(2 * time.Hour) // all may be tried again
		s.connect("good")
		s.tell("good", "a")
		s.round()
		s.wantTaken("good", "a")
	})
}

// Without a secret to sign with nothing is sent, and nothing is lost.
func TestNoKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		v := &vault{err: &serviceerror.Error{Op: "reading a secret", Class: serviceerror.VaultRefused}}
		s.Keyring = &notice.VaultKeys{Vault: v, Name: "webhook"}
		s.connect("one")
		s.round() // nothing to send: the vault is not asked
		if v.reads != 0 {
			t.Errorf("the vault was read %d times", v.reads)
		}
		s.tell("one", "a")
		if _, err := s.Deliver(t.Context()); serviceerror.ClassOf(err) != serviceerror.VaultRefused {
			t.Errorf("Deliver: %v", err)
		}
		if len(s.receiver.tried) != 0 || len(s.pending()) != 1 {
			t.Errorf("sent %d, left %d", len(s.receiver.tried), len(s.pending()))
		}
		v.err, v.value = nil, referenceSecret
		s.round()
		s.wantTaken("one", "a")
	})
}

// Without a webhook there is nothing to do.
func TestNoReceiver(t *testing.T) {
	var d *notice.Deliverer
	if did, err := d.Deliver(t.Context()); err != nil || did != (notice.Round{}) {
		t.Errorf("Deliver: %+v, %v", did, err)
	}
}
