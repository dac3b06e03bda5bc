package inventory

import (
	"slices"
	"strings"
	"time"

	"rekey/shared/rotation"
)

// verdict is a finding without its words.
type verdict struct {
	kind FindingKind
	cred *Credential // nil: it is about the application
}

func (v verdict) keyID() string {
	if v.cred == nil {
		return ""
	}
	return v.cred.KeyID
}

// judgement is what is found about an application, and what that rests on.
type judgement struct {
	now   time.Time
	app   *Application
	facts Facts
	found []verdict
}

func judge(now time.Time, a *Application, facts Facts) *judgement {
	j := &judgement{now: now, app: a, facts: facts}
	for i := range a.Credentials {
		j.judgeCredential(&a.Credentials[i])
	}
	ownerless := facts.Owners && len(a.Owners) == 0 && !slices.Contains(a.Unread, Applications) && !slices.Contains(a.Unread, Principals)
	j.say(ownerless, Ownerless)
	j.say(ownerless && slices.ContainsFunc(a.Credentials, func(c Credential) bool { return !j.rotated(&c) && j.endsWithin(&c, 30*day) }),
		OwnerlessEnding)
	j.say(a.Disabled && slices.ContainsFunc(a.Credentials, func(c Credential) bool { return j.live(&c) }), DisabledFinding)
	j.say(facts.Known && j.severalSecrets(), SeveralSecrets)
	j.say(len(a.Federated) > 0 && slices.ContainsFunc(a.Credentials, func(c Credential) bool {
		return c.Kind == ClientSecret && c.Holder == Registration && j.live(&c)
	}), FederatedAlready)
	j.say(a.personal(), RoomForOne)
	j.say(a.incomplete(), Incomplete)
	j.say(slices.ContainsFunc(facts.Managers, func(m Manager) bool { return m.Rotates }), Managed)
	return j
}

func (j *judgement) say(when bool, kind FindingKind) {
	if when {
		j.found = append(j.found, verdict{kind: kind})
	}
}

func (j *judgement) judgeCredential(c *Credential) {
	say := func(when bool, kind FindingKind) {
		if when {
			j.found = append(j.found, verdict{kind, c})
		}
	}
	say(j.orphan(c), Orphan)
	if !j.live(c) {
		say(true, Expired)
		return
	}
	say(j.unused(c), Unused)
	if j.rotated(c) {
		return
	}
	switch {
	case c.EndsAt.IsZero():
		say(true, NeverEnds)
	case j.endsWithin(c, 7*day):
		say(true, EndsIn7Days)
	case j.endsWithin(c, 30*day):
		say(true, EndsIn30Days)
	case j.endsWithin(c, 90*day):
		say(true, EndsIn90Days)
	}
	say(!j.endsWithin(c, 7*day) && j.tooLong(c), TooLong) // it is to be replaced anyway
}

func (j *judgement) live(c *Credential) bool { return c.EndsAt.IsZero() || c.EndsAt.After(j.now) }

// endsWithin reports whether c is live, and ends by then.
func (j *judgement) endsWithin(c *Credential, d time.Duration) bool {
	return !c.EndsAt.IsZero() && j.live(c) && !c.EndsAt.After(j.now.Add(d))
}

// tooLong reports whether a client secret lives for longer than it should. One of which the
// start is not known lives from now on at least.
func (j *judgement) tooLong(c *Credential) bool {
	if c.Kind != ClientSecret || c.EndsAt.IsZero() {
		return false
	}
	start := c.StartsAt
	if start.IsZero() {
		start = j.now
	}
	return c.EndsAt.Sub(start) > j.allowed()
}

// allowed is how long a client secret should live at most.
func (j *judgement) allowed() time.Duration {
	if j.facts.Longest > 0 {
		return min(longest, j.facts.Longest)
	}
	return longest
}

// unused is judged as of the scan: what has happened since is not known.
func (j *judgement) unused(c *Credential) bool {
	asOf := j.now
	if !j.facts.AsOf.IsZero() && j.facts.AsOf.Before(asOf) {
		asOf = j.facts.AsOf
	}
	before := asOf.Add(-unusedAfter)
	return j.facts.Activity && c.Kind != SAMLSigning && !c.StartsAt.IsZero() && !c.StartsAt.After(before) && !c.UsedAt.After(before)
}

// rotated reports whether a rotation has c on its record.
func (j *judgement) rotated(c *Credential) bool {
	return c.Kind == ClientSecret && slices.ContainsFunc(j.facts.Managers, func(m Manager) bool { return m.Rotates && m.knows(c) })
}

// knows reports whether c is on m's record.
func (m *Manager) knows(c *Credential) bool {
	return slices.Contains(m.Markers, c.Name) || slices.ContainsFunc(m.KeyIDs, func(id string) bool { return strings.EqualFold(id, c.KeyID) })
}

func (j *judgement) severalSecrets() bool {
	others, rotated := 0, 0
	for i := range j.app.Credentials {
		c := &j.app.Credentials[i]
		switch {
		case c.Kind != ClientSecret || !j.live(c):
		case j.rotated(c):
			rotated = 1
		default:
			others++
		}
	}
	return others+rotated > 1
}

// orphan reports whether c has a marker of this deployment that no record explains. What the
// connection in the marker has removed since the scan is gone by now.
func (j *judgement) orphan(c *Credential) bool {
	id, ok := rotation.ParseMarker(c.Name, j.facts.Deployment)
	if !ok || !j.facts.Known || c.Kind != ClientSecret {
		return false
	}
	for i := range j.facts.Managers {
		m := &j.facts.Managers[i]
		if m.knows(c) || strings.EqualFold(id, m.id()) && !j.facts.AsOf.IsZero() && m.RemovedAt.After(j.facts.AsOf) {
			return false
		}
	}
	return true
}

// incomplete reports whether a may have more than is known of it.
func (a *Application) incomplete() bool {
	return a.MoreCredentials > 0 || slices.ContainsFunc(a.Unread, func(list List) bool { return list != Activity })
}

// personal reports whether a registration admits personal accounts.
func (a *Application) personal() bool {
	return a.ObjectID != "" && (a.Audience == "AzureADandPersonalMicrosoftAccount" || a.Audience == "PersonalMicrosoftAccount")
}
