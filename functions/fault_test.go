package functions_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"rekey/shared/auth"
	"rekey/shared/emulator/directory"
	"rekey/shared/emulator/fault"
)

// The writes at which things go wrong, in the emulators' words.
var writes = []string{"vault.set", "vault.update", "graph.addPassword", "graph.removePassword", "table.insert", "table.batch",
	"table.merge", "table.delete"}

// Faults whose answer does not tell whether the write was carried out.
var faults = map[string]fault.Effect{
	"503 and not applied":         {Status: http.StatusServiceUnavailable},
	"applied, connection dropped": {Apply: true},
	"applied, 504":                {Apply: true, Status: http.StatusGatewayTimeout},
}

// occurrences is at how many calls of each write the faults are put. The simulation
// of package connection breaks every one; here it is the real adapters that are
// tried, and these do the same thing every time.
const occurrences = 3

// act is something that writes.
type act struct {
	name  string
	setup func(s *subject)
	do    func(s *subject)
	check func(s *subject)
}

// subject is one application under faults.
type subject struct {
	*world
	a       directory.Application
	foreign string
	made    view

	mu     sync.Mutex
	counts map[string]int
	hit    bool
	broken []string // promises
}

var acts = []act{
	{name: "creation", do: (*subject).tryToCreate, check: (*subject).createdOrUndone},
	{name: "manual rotation", setup: (*subject).connect, do: (*subject).rotate, check: (*subject).rotated},
}

// Each write of a creation and of a rotation fails in each way. After normal passes
// there is exactly one managed client secret, published and working, and the original
// gone; or, of a creation, nothing but what was there before. At every call meanwhile
// what is published works, and what is foreign is untouched.
func TestEachWriteFails(t *testing.T) {
	t.Parallel()
	cases := 0
	for _, a := range acts {
		counts := play(t, a, "", 0, fault.Effect{})
		for _, op := range writes {
			for n := 1; n <= min(counts[op], occurrences); n++ {
				for name, effect := range faults {
					cases++
					t.Run(fmt.Sprintf("%s/%s %d/%s", a.name, op, n, name), func(t *testing.T) {
						t.Parallel()
						play(t, a, op, n, effect)
					})
				}
			}
		}
		t.Logf("%s: writes %v", a.name, counts)
	}
	t.Logf("%d cases over the real adapters", cases)
	if cases < 40 {
		t.Error("too few: the writes have other names by now")
	}
}

// play does a with a fault at the n-th call of op, lets it settle and checks. It
// returns how often each write was made until it was settled.
func play(t *testing.T, a act, op string, n int, effect fault.Effect) map[string]int {
	w := newWorld(t, options{propagation: 30 * time.Millisecond, budget: 10 * time.Second}) // the passes of the timer do what is left
	s := &subject{world: w, a: w.sample(), counts: map[string]int{}}
	s.foreign, _ = w.foreign(s.a, w.clock.Now().AddDate(1, 0, 0))
	if a.setup != nil {
		a.setup(s)
	}
	w.stack.Break(func(called string, _ *http.Request) *fault.Effect {
		s.promises()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.counts[called]++
		if called == op && s.counts[called] == n {
			s.hit = true
			return &effect
		}
		return nil
	})
	a.do(s)
	w.settle()
	w.stack.Break(nil)
	s.promises()
	if n > 0 && !s.hit {
		t.Errorf("%s was not called %d times", op, n)
	}
	for _, b := range slices.Compact(s.broken) {
		t.Error("broken promise: " + b)
	}
	a.check(s)
	if t.Failed() {
		t.Log(w.watch.Log())
	}
	return s.counts
}

// promises checks what must hold at every instant (promises P1 and P2).
func (s *subject) promises() {
	name := s.made.VaultSecretName
	if name == "" {
		name = "billing-secret"
	}
	value, _, ok := s.published(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if ok && !s.stack.Directory.Authenticates(s.a.ClientID, value) {
		s.broken = append(s.broken, "what is published does not authenticate")
	}
	if !slices.Contains(s.live(s.a), s.foreign) {
		s.broken = append(s.broken, "a foreign client secret was removed")
	}
}

func (s *subject) body() object { return creation(s.a, "vaultSecretName", "billing-secret") }

func (s *subject) tryToCreate() {
	got := s.call(auth.Rotate, http.MethodPost, secrets, s.body())
	if got.status != http.StatusOK && got.status < 500 {
		s.Errorf("a fault of a service is answered as the caller's: %s", got.body)
	}
}

// createdOrUndone checks a creation; one that was undone is done again, which shows
// that nothing is in its way.
func (s *subject) createdOrUndone() {
	if len(s.records()) == 0 {
		if live := s.live(s.a); len(live) != 2 || !slices.Contains(live, s.a.KeyID) {
			s.Fatalf("undone, but the application has %v", live)
		}
		if _, _, ok := s.client.published("billing-secret"); ok {
			s.Fatal("undone, but the vault has the secret")
		}
		s.clock.forward(11 * time.Minute) // reservations of a row that was never written are void by then
		s.one(s.call(auth.Rotate, http.MethodPost, secrets, s.body()))
		s.settle()
	}
	records := s.records()
	if len(records) != 1 {
		s.Fatalf("%d connections", len(records))
	}
	s.managed(s.a, "billing-secret", records[0].Current.KeyID, s.foreign)
}

func (s *subject) connect() {
	s.made = s.create(s.a, "vaultSecretName", "billing-secret")
	s.settle()
}

func (s *subject) rotate() {
	got := s.call(auth.Rotate, http.MethodPost, secrets+"/"+s.made.ID+"/rotate-credentials", object{"gracePeriodHours": 0})
	if got.status == http.StatusOK {
		return
	}
	if got.status < 500 {
		s.Errorf("a fault of a service is answered as the caller's: %s", got.body)
	}
	// As the answer says: try again.
	s.one(s.call(auth.Rotate, http.MethodPost, secrets+"/"+s.made.ID+"/rotate-credentials", object{"gracePeriodHours": 0}))
}

func (s *subject) rotated() {
	rec := s.record(s.made.ID)
	if rec.LastRun.Trigger != "manual" || rec.LastRun.Outcome != "success" {
		s.Errorf("last run %+v", rec.LastRun)
	}
	s.managed(s.a, "billing-secret", rec.Current.KeyID, s.foreign)
}
