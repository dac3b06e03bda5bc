package inventory

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Comparison works out the [Result] of a scan, one application after another. It keeps
// nothing of them but what Result has.
type Comparison struct {
	formerly, now time.Time
	result        Result
}

// Compare begins a comparison of what stood in the rows formerly, at the start of the last
// scan that came to its end (zero: there is none, so that all is new), with what a scan that started at now found.
// soFar is what the parts before have come to; nil for the first one.
func Compare(formerly, now time.Time, soFar *Result) *Comparison {
	c := &Comparison{formerly: formerly, now: now}
	if soFar != nil {
		c.result = *soFar
	}
	c.result = c.result.clone()
	return c
}

// Add counts one application, and what has changed about it, and sets next.Noted. former is nil if
// there is no row of it, next if there is none any more.
func (c *Comparison) Add(former, next *Application, facts Facts, accepted []Acceptance) {
	r := &c.result
	switch {
	case next == nil && former == nil:
		return
	case next == nil:
		r.Gone++
		c.change(former, Change{Kind: AppGone})
	case former == nil:
		r.Added++
		if !c.formerly.IsZero() {
			c.change(next, Change{Kind: AppAdded})
		}
	case !sameFacts(former, next):
		r.Changed++
		c.differ(former, next)
	}
	if next != nil {
		c.count(next)
		c.find(former, next, facts, accepted)
	}
	if len(r.Changes) >= 4*MaxChanges {
		r.bound()
	}
}

// Result is what the applications have come to so far.
func (c *Comparison) Result() *Result {
	c.result.bound()
	r := c.result.clone()
	return &r
}

func (c *Comparison) count(a *Application) {
	r := &c.result
	r.Applications++
	r.Credentials += len(a.Credentials) + a.MoreCredentials
	r.Federated += len(a.Federated)
	for i := range a.Credentials {
		r.Ends[a.Credentials[i].LeftAt(c.now)]++
	}
}

// find counts what is found about next, notes what is worth a notice, and lists what of that has
// arisen. What was found about the former row is what it has noted: the records of connections that
// it rested on may be others by now.
func (c *Comparison) find(former, next *Application, facts Facts, accepted []Acceptance) {
	was := map[Noted]bool{}
	if former != nil && !c.formerly.IsZero() {
		for _, n := range former.Noted {
			was[n] = true
		}
	}
	facts.AsOf, next.Noted = c.now, nil
	if former != nil && !facts.Known { // what can't be judged now is not to arise again
		next.Noted = slices.DeleteFunc(slices.Clone(former.Noted), func(n Noted) bool { return n.Kind != Orphan })
	}
	counted, arisen := map[FindingKind]bool{}, map[FindingKind]bool{}
	for _, v := range judge(c.now, next, facts).found {
		if acceptance(c.now, v.kind, v.keyID(), accepted) != nil {
			continue
		}
		if !counted[v.kind] {
			counted[v.kind] = true
			c.result.Findings[v.kind]++
		}
		if !v.kind.Worthy() {
			continue
		}
		noted := Noted{v.kind, v.keyID()}
		if next.Noted = append(next.Noted, noted); was[noted] {
			continue
		}
		if !arisen[v.kind] {
			arisen[v.kind] = true
			c.result.Arisen[v.kind]++
		}
		ends := next.EndsAt(c.now)
		if v.cred != nil {
			ends = v.cred.EndsAt
		}
		c.change(next, Change{Kind: FindingArisen, Finding: v.kind, KeyID: v.keyID(), EndsAt: ends})
	}
}

// differ lists what is different about an application.
func (c *Comparison) differ(former, next *Application) {
	listed := len(c.result.Changes)
	c.differIn(former, next, CredentialRemoved)
	c.differIn(next, former, CredentialAdded)
	if !sameOwners(former, next) {
		c.change(next, Change{Kind: OwnersChanged})
	}
	if former.Disabled != next.Disabled {
		c.change(next, Change{Kind: EnabledChanged})
	}
	if !sameDetails(former, next) || listed == len(c.result.Changes) {
		c.change(next, Change{Kind: DetailsChanged})
	}
}

// differIn lists the credentials of a that b has not.
func (c *Comparison) differIn(a, b *Application, kind ChangeKind) {
	has := make(map[string]bool, len(b.Credentials))
	for i := range b.Credentials {
		has[b.Credentials[i].KeyID] = true
	}
	for i := range a.Credentials {
		if cred := &a.Credentials[i]; !has[cred.KeyID] {
			c.change(a, Change{Kind: kind, KeyID: cred.KeyID, EndsAt: cred.EndsAt})
		}
	}
}

func (c *Comparison) change(a *Application, change Change) {
	change.Key, change.Name = a.Key, a.Name
	c.result.Changes = append(c.result.Changes, change)
}

// changeOrder is which changes are listed first where there are many.
var changeOrder = []ChangeKind{
	FindingArisen, EnabledChanged, CredentialRemoved, AppGone, CredentialAdded, AppAdded, OwnersChanged, DetailsChanged,
}

func (c *Change) compare(o *Change) int {
	return cmp.Or(
		cmp.Compare(slices.Index(changeOrder, c.Kind), slices.Index(changeOrder, o.Kind)),
		cmp.Compare(c.Finding.Urgency(), o.Finding.Urgency()),
		c.EndsAt.Compare(o.EndsAt),
		cmp.Compare(c.Name, o.Name), cmp.Compare(c.TenantID, o.TenantID), cmp.Compare(c.ClientID, o.ClientID), cmp.Compare(c.KeyID, o.KeyID),
	)
}

// ofEach is how many changes of each kind, and of each kind of finding, are listed before more
// of those that are more pressing: a notice has names for each, and so has a page.
const ofEach = 10

// bound puts changes in order, and counts those beyond the bound. What it leaves out it leaves
// out whatever comes later, so that changes may come in any order and in parts.
func (r *Result) bound() {
	slices.SortFunc(r.Changes, func(a, b Change) int { return a.compare(&b) })
	if len(r.Changes) <= MaxChanges {
		return
	}
	type group struct {
		kind    ChangeKind
		finding FindingKind
	}
	sizes, room := map[group]int{}, MaxChanges
	for _, c := range r.Changes {
		g := group{c.Kind, c.Finding}
		if sizes[g]++; sizes[g] <= ofEach {
			room--
		}
	}
	clear(sizes)
	r.MoreChanges += len(r.Changes) - MaxChanges
	r.Changes = slices.DeleteFunc(r.Changes, func(c Change) bool {
		g := group{c.Kind, c.Finding}
		if sizes[g]++; sizes[g] <= ofEach {
			return false
		}
		room--
		return room < 0
	})
}

func (r Result) clone() Result {
	r.Changes = slices.Clone(r.Changes)
	r.Findings, r.Ends, r.Arisen = cloned(r.Findings), cloned(r.Ends), cloned(r.Arisen)
	return r
}

func cloned[K comparable](counts map[K]int) map[K]int {
	if counts == nil {
		return map[K]int{}
	}
	return maps.Clone(counts)
}
