package simulation

import (
	"cmp"
	"hash"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/secret"
)

// Result is what playing a history showed.
type Result struct {
	Violations []Violation   // one of each kind, the first
	Trace      uint64        // a hash of all calls and their results
	Calls      int           // of services
	Span       time.Duration // virtual
	Cut        bool          // it made too many calls, and was ended early
}

// mostCalls ends a history early. Those that need more retry something every minute for
// weeks, which shows nothing new and takes as long as all others.
const mostCalls = 8000

// Violation is a broken promise.
type Violation struct {
	Kind   string // short and stable
	Detail string
	At     time.Duration // since the beginning
}

// Broke returns the violation of a kind.
func (r Result) Broke(kind string) (Violation, bool) {
	i := slices.IndexFunc(r.Violations, func(v Violation) bool { return v.Kind == kind })
	if i < 0 {
		return Violation{}, false
	}
	return r.Violations[i], true
}

// Options of [PlayWith].
type Options struct {
	Lines func(line string)     // is given every line of the trace
	Rules func(*rotation.Rules) // breaks Rekey on purpose, to test the checks
}

// Play plays a history in a bubble of its own. It must not be called in one.
func Play(t *testing.T, h History) Result { return PlayWith(t, h, Options{}) }

// PlayWith is Play with options.
func PlayWith(t *testing.T, h History, o Options) (r Result) {
	certificates() // not in a bubble, where making a key would hold its clock
	storedCertificate()
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t, h, o)
		w.play()
		slices.SortStableFunc(w.found, func(a, b Violation) int { return cmp.Compare(a.Kind, b.Kind) })
		r = Result{w.found, w.sum.Sum64(), w.calls, time.Since(w.began), w.calls > mostCalls}
	})
	return r
}

// scene is one history as it is played.
type scene struct {
	h     History
	world *rotationtest.World
	spoil func(*rotation.Rules) // nil: the rules are the real ones
	began time.Time
	group sync.WaitGroup // requests, late writes and instances
	end   chan struct{}
	cut   chan struct{} // closed when there were too many calls
	log   *slog.Logger

	mu       sync.Mutex
	sum      hash.Hash64
	lines    func(string)
	calls    int
	found    []Violation
	armed    []Action // faults that wait for their call
	passed   []int    // calls that each of them has let pass
	weathers []weather
	calmFrom time.Time // nothing disturbs Rekey from then on

	running []*process // by instance; nil: it is down
	pokes   []chan struct{}
	started int

	slots     []*slot
	order     []string                   // ids of connections, in the order of their creation
	records   map[string]rotation.Record // as they are stored
	proven    map[secret.Value][]proof   // sign-ins that worked
	removed   map[string]time.Time       // key ids that Rekey removed
	removedBy map[string]string          // and for which connection
	adds      map[string][]time.Time     // issued credentials, by connection
	since     map[string]time.Time       // since when a check has had a reason to complain
	expects   []expectation
	wrote     map[string]bool // vault secrets that an operator has changed

	toldByHand    map[string]bool // key ids that a record has listed for a person to remove
	everPublished map[string]bool // key ids

	retirements map[string]*retirement // by connection
	policies    map[string]policy      // in force, by connection
	tenures     map[string]*tenure     // of credentials that are or were current, by key id
}

// proof is a sign-in that worked.
type proof struct {
	by *process
	at time.Time
}

func newScene(t *testing.T, h History, o Options) *scene {
	w := &scene{
		h: h, world: rotationtest.NewWorld(t), began: time.Now(), end: make(chan struct{}), cut: make(chan struct{}), sum: newSum(),
		lines: o.Lines, spoil: o.Rules, calmFrom: time.Now(),
		records: map[string]rotation.Record{}, proven: map[secret.Value][]proof{}, removed: map[string]time.Time{},
		removedBy: map[string]string{}, adds: map[string][]time.Time{},
		since: map[string]time.Time{}, wrote: map[string]bool{}, toldByHand: map[string]bool{}, everPublished: map[string]bool{},
		retirements: map[string]*retirement{}, policies: map[string]policy{}, tenures: map[string]*tenure{},
	}
	w.world.Latency, w.world.AtEnd, w.world.Vault.RequireExpiry = 0, true, true
	if h.Seed%leakEvery == 0 {
		w.log = slog.New(slog.NewJSONHandler(w.world.Log, nil))
	} else {
		w.log = slog.New(slog.DiscardHandler)
	}
	w.populate()
	return w
}

// leakEvery is how often the log is kept and searched for values: it takes time.
const leakEvery = 8

// populate makes the applications of a shape.
func (w *scene) populate() {
	add := func(name string, minutes int) *slot {
		app, secret, keyID := w.world.AddApplication()
		s := &slot{name: name, app: app, minutes: minutes, given: given{app: app, secret: secret, keyID: keyID}}
		w.world.Name(keyID)
		switch {
		case name == "parent" || !w.h.Personal:
			w.world.AddForeign(app.ClientID)
		default:
			w.world.Change(app.ClientID, func(a *rotationtest.AppSettings) { a.Audience = "AzureADandPersonalMicrosoftAccount" })
			if name != "own" { // or there is room for one of ours only
				w.world.RemoveByHand(keyID)
			}
		}
		w.slots = append(w.slots, s)
		return s
	}
	if w.h.Shape == ShapeOwn {
		own := add("own", 11)
		second := *own
		second.name, second.minutes = "second", 37
		w.slots = append(w.slots, &second)
		return
	}
	parent, target, other := add("parent", 3), add("target", 23), add("other", 47)
	actor := parent.app.ClientID
	switch w.h.Shape {
	case ShapeCertificate:
		w.world.AddCertificate(actor, storedCertificate())
		parent.given.method = ShapeCertificate
	case ShapeOAuth:
		person, refresh := w.world.AddPerson()
		parent.given = given{app: parent.app, secret: refresh, method: ShapeOAuth, person: person}
		parent.person, actor = person, person
	}
	w.world.Own(target.app.ClientID, actor, true)
	w.world.Own(other.app.ClientID, actor, true)
}

// play plays everything.
func (w *scene) play() {
	n := max(w.h.Instances, 1)
	w.running, w.pokes = make([]*process, n), make([]chan struct{}, n)
	for i := range n {
		w.pokes[i] = make(chan struct{}, 1)
		w.boot(i)
	}
	for i := range n {
		w.group.Go(func() { w.instance(i) })
	}
	w.group.Go(w.inspect)
	for i, a := range w.h.Actions {
		if !w.sleep(a.At + time.Duration(i+1)*13 - time.Since(w.began)) { // no two at one instant
			break
		}
		w.group.Go(func() { w.act(i, a) })
	}
	if w.sleep(w.h.Horizon + time.Millisecond - time.Since(w.began)) { // after what comes at the horizon itself
		w.settle()
	}
	close(w.end)
	w.group.Wait()
	w.checkLeaks()
}

// sleep sleeps for d; false: the history is cut.
func (w *scene) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-w.cut:
	}
	return !w.tired()
}

// tired reports whether the history is cut.
func (w *scene) tired() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls > mostCalls
}

// quiet is how long Rekey has for what is left over: what it retries least often it
// retries once a day, and what resists for a day is left to a person.
const quiet = 5 * day

// settle lets the faults end and time pass, deletes everything, and lets time pass again.
func (w *scene) settle() {
	w.mu.Lock()
	w.armed, w.passed, w.weathers = nil, nil, nil
	w.disturb(10 * minute)
	w.mu.Unlock()
	w.repair()
	if !w.sleep(quiet) {
		return
	}
	w.checkEnd()
	for i, name := range []string{"own", "second", "target", "other", "parent"} {
		s := w.slot(name)
		if s.name != name {
			continue // the shape has none
		}
		for _, id := range s.existing(w) {
			w.deleteAtEnd(id, w.draw("revoke", i)%2 == 0)
		}
		if name == "other" {
			w.sleep(quiet) // a parent goes after its targets
		}
	}
	if w.sleep(quiet) {
		w.checkGone()
	}
}
