package directory

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"time"
)

// Propagation is how changes of client secrets spread. The zero Propagation is a
// directory that is consistent at once.
//
// With several replicas each has a delay of its own, from none to Max, and every
// request to the token endpoint or to Graph is served by one of them, taken at
// random. So what is new works, fails and works again until all of them know, and
// what is removed comes and goes likewise: what people report of the real one.
// That all replicas are equally likely, and that the one that is asked does not depend
// on who asks, is assumed.
type Propagation struct {
	Max      time.Duration // until the last replica has heard of a change
	Replicas int           // up to 1: a single one, that hears of everything after exactly Max
	Seed     uint64        // of the delays, and of who serves which request
}

// SetPropagation changes how changes spread, those that are under way included.
func (d *Directory) SetPropagation(p Propagation) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.replicas = newReplicas(p)
}

// replicas is what answers the requests.
type replicas struct {
	delays []time.Duration // in ascending order, never empty
	random *rand.Rand
}

// newReplicas draws a delay for each replica, each from its own part of the range, so
// that they differ whatever the seed.
func newReplicas(p Propagation) replicas {
	r := replicas{delays: []time.Duration{p.Max}, random: rand.New(rand.NewPCG(p.Seed, 0))}
	if p.Replicas <= 1 {
		return r
	}
	part := p.Max / time.Duration(p.Replicas)
	r.delays = r.delays[:0]
	for i := range p.Replicas {
		r.delays = append(r.delays, time.Duration(i)*part+time.Duration(r.random.Int64N(int64(part)+1)))
	}
	return r
}

// pick chooses the replica that serves a request and returns its delay. The caller
// holds the directory's lock.
func (r replicas) pick() time.Duration {
	if len(r.delays) == 1 {
		return r.delays[0]
	}
	return r.delays[r.random.IntN(len(r.delays))]
}

// A view is what one request gets to see of the directory: that of some replica,
// which may not have heard of the latest changes.
type view struct {
	at    time.Time
	delay time.Duration // the replica's
}

// viewFor is called once for each request. The caller holds d.mu.
func (d *Directory) viewFor(*http.Request) view {
	return view{at: d.config.now(), delay: d.replicas.pick()}
}

// shows reports whether the view has p.
func (v view) shows(p *password) bool {
	if !p.addedAt.IsZero() && v.at.Before(p.addedAt.Add(v.delay)) {
		return false
	}
	return !p.removed() || v.at.Before(p.removedAt.Add(v.delay))
}

// forget drops the client secrets of which every replica knows that they are gone.
func (d *Directory) forget(app *application, now time.Time) {
	last := view{at: now, delay: slices.Max(d.replicas.delays)}
	app.passwords = slices.DeleteFunc(app.passwords, func(p *password) bool { return p.removed() && !last.shows(p) })
}
