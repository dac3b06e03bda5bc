package scan

import (
	"hash/fnv"
	"strings"
	"time"

	"rekey/shared/inventory"
	"rekey/shared/rotation"
)

const (
	// daily is the time from the beginning of a scan to that of the next one, to which up to
	// spread is added, differently for each tenant, so that many that were asked for at once do not
	// stay together.
	daily  = 24 * time.Hour
	spread = 30 * time.Minute
	// patience is how long no scan has to come to its end for a person to be told.
	patience = 48 * time.Hour
)

// never is a time that does not come.
var never = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

// underWay reports whether a scan has begun and not ended.
func underWay(t *inventory.Tenant) bool {
	return t.Scan != nil && (t.Scan.Phase == inventory.Reading || t.Scan.Phase == inventory.Writing)
}

// scheduled is when the next scan begins by itself: a day after the last one did, or after a
// pause that becomes longer where that has failed. While one is under way it is of no interest.
func scheduled(t *inventory.Tenant) time.Time {
	switch sc := t.Scan; {
	case !t.Daily:
		return never
	case sc == nil:
		return t.Since
	case sc.Phase == inventory.Failed && sc.Problem != nil:
		return sc.FinishedAt.Add(rotation.Backoff(t.ID, sc.Problem.Class, sc.Failures))
	default:
		h := fnv.New32a()
		h.Write([]byte(t.ID)) // never fails
		return sc.StartedAt.Add(daily + time.Duration(int64(spread)*int64(h.Sum32()%1000)/1000))
	}
}

// overdue is when a person has to be told that no scan comes to its end.
func overdue(t *inventory.Tenant) time.Time {
	if t.Told || !t.Daily && !underWay(t) {
		return never
	}
	last := t.Since
	if t.AsOf.After(last) {
		last = t.AsOf
	}
	return last.Add(patience)
}

// wakeIdle is when a tenant has to be woken while no scan is under way; zero: never.
func wakeIdle(t *inventory.Tenant) time.Time {
	if at := earlier(scheduled(t), overdue(t)); at.Before(never) {
		return at
	}
	return time.Time{}
}

// newScan is a scan that begins. How often others have failed before it counts on, so that it is
// not tried again and again at the pace of a first failure.
func (s *Scanner) newScan(t *inventory.Tenant, now time.Time, trigger rotation.Trigger) *inventory.Scan {
	sc := &inventory.Scan{
		ID: inventory.ScanID(t.ID, strings.ToLower(s.newID())), ConnectionID: t.ConnectionID, Trigger: trigger, StartedAt: now,
		Phase: inventory.Reading, List: steps[0],
	}
	if t.Scan != nil && t.Scan.Phase == inventory.Failed {
		sc.Failures, sc.Problem = t.Scan.Failures, t.Scan.Problem
	}
	return sc
}

// steps are what a scan asks the directory for, in order.
var steps = append(append([]inventory.List{}, inventory.Lists...), inventory.Policy, inventory.Missing)

// after is what comes after a step; empty: nothing.
func after(list inventory.List) inventory.List {
	for i, l := range steps[:len(steps)-1] {
		if l == list {
			return steps[i+1]
		}
	}
	return ""
}
