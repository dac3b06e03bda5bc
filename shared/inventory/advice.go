package inventory

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// advice says in plain words what a finding means and what to do, with the call or the command
// where there is one.
func (j *judgement) advice(v verdict) string {
	a, c := j.app, v.cred
	if m, at := j.removing(c); m != nil {
		return j.adviceRemoving(c, m, at)
	}
	switch v.kind {
	case EndsIn7Days, EndsIn30Days, EndsIn90Days:
		return fmt.Sprintf("%s ends on %s. %s", j.called(c), c.EndsAt.UTC().Format("2006-01-02 at 15:04 UTC"), j.replace(c))
	case Expired:
		return j.adviceExpired(c)
	case NeverEnds:
		return fmt.Sprintf("%s never ends, so that a copy of it is good for ever. %s", j.called(c), j.replace(c))
	case TooLong:
		return fmt.Sprintf("%s lives until %s, and should live for %d days at most. %s", j.called(c), c.EndsAt.UTC().Format("2006-01-02"),
			j.allowed()/day, j.replace(c))
	case Orphan:
		return fmt.Sprintf("%s is named like one that Rekey issued, and no record knows it: its connection was deleted without it, or the "+
			"record was lost. If it was kept on purpose, its consumers go on with it until it ends: accept this finding, or let Rekey rotate the "+
			"application again. If the connection was deleted since the last scan, scan again first. Otherwise make sure that nothing "+
			"uses it; then %s",
			j.called(c), j.remove(c))
	case Unused:
		return j.adviceUnused(c)
	case Ownerless:
		return "No owner is known, so that there is no person to ask. " + j.addOwner()
	case OwnerlessEnding:
		return "Something of it ends within 30 days, and no owner is known who would replace it. " + j.addOwner()
	case DisabledFinding:
		return "It may not sign in, and still has credentials that are good as soon as it may again. If it is done with, delete it: " +
			j.deleteApplication() + " Otherwise remove its credentials." + j.leavingManaged()
	case SeveralSecrets:
		return "It has several live client secrets, and each is a way in. Find out which of them are in use, and remove the others: " +
			j.removeAny() + j.adopting(" Or let a rotation retire them: ") + j.leavingManaged()
	case FederatedAlready:
		return fmt.Sprintf("It can sign in by federation (%s), without a client secret, and has live client secrets too. Let what still uses "+
			"them sign in by federation, and remove them: %s", Quote(cmp.Or(a.Federated[0].Name, a.Federated[0].Issuer)), j.removeAny()) +
			j.leavingManaged()
	case RoomForOne:
		return j.adviceRoom()
	case Incomplete:
		return j.adviceIncomplete()
	case Managed:
		return j.adviceManaged()
	}
	return ""
}

var nouns = map[CredentialKind]string{ClientSecret: "client secret", Certificate: "certificate", SAMLSigning: "SAML signing certificate"}

// called names a credential at the beginning of a sentence.
func (j *judgement) called(c *Credential) string {
	name := ""
	if c.Name != "" {
		name = " " + Quote(c.Name)
	}
	of := ""
	if c.Holder == Principal {
		of = " of the service principal"
	}
	return "The " + nouns[c.Kind] + name + of
}

// az is the group of commands for the holder of a credential.
func az(c *Credential) string {
	if c.Holder == Principal {
		return "az ad sp"
	}
	return "az ad app"
}

func (j *judgement) client() string { return arg(j.app.ClientID, "client id") }

// replace says how a credential gets a successor.
func (j *judgement) replace(c *Credential) string {
	if c.Kind == SAMLSigning {
		return "Make a new one (Enterprise applications > the application > Single sign-on > SAML Certificates), give its public part to what " +
			"the application signs in to, and make it active there; then remove this one."
	}
	byHand := fmt.Sprintf("create a new one (%s), give it to what uses this one, then %s", j.create(c), j.remove(c))
	if m := j.onRecord(c); m != nil {
		return fmt.Sprintf("It is on the record of %s. If that signs in with it, give it the new one too "+
			"(PATCH .../azure-client-secrets/%s): %s", m.called(), arg(m.id(), "connection id"), byHand)
	}
	if c.Kind == ClientSecret && c.Holder == Registration {
		if m := j.rotating(); m != nil {
			return fmt.Sprintf("%s rotates another client secret of this application: let what uses this one read that from Key Vault, then %s",
				capital(m.called()), j.remove(c))
		}
		if adopt := j.adopting("Let Rekey rotate it: "); adopt != "" {
			return adopt + " Or by hand: " + byHand
		}
	}
	return capital(byHand)
}

func (j *judgement) create(c *Credential) string {
	more := ""
	if c.Kind == Certificate {
		more = " --cert @<certificate.pem>"
	}
	return fmt.Sprintf("%s credential reset --id %s%s --append", az(c), j.client(), more)
}

func (j *judgement) remove(c *Credential) string {
	more := ""
	if c.Kind != ClientSecret {
		more = " --cert"
	}
	return fmt.Sprintf("remove it: %s credential delete --id %s --key-id %s%s.", az(c), j.client(), arg(c.KeyID, "key id"), more)
}

// removeAny is the command for client secrets of the registration that a person chooses.
func (j *judgement) removeAny() string {
	return fmt.Sprintf("az ad app credential delete --id %s --key-id <key id>.", j.client())
}

// leavingManaged keeps a person from removing by hand what a rotation publishes, or removes by itself.
func (j *judgement) leavingManaged() string {
	m := j.rotating()
	if m == nil {
		return ""
	}
	return fmt.Sprintf(" Leave those of %s: it removes them by itself, and deleting it with revoke removes what it publishes.", m.called())
}

// adopting is how Rekey takes over, after some words; nothing where it cannot or does already.
func (j *judgement) adopting(words string) string {
	if j.app.ObjectID == "" || j.rotating() != nil {
		return ""
	}
	return fmt.Sprintf("%sPOST .../inventory/%s/%s/adopt.", words, arg(j.app.TenantID, "tenant id"), j.client())
}

func (j *judgement) addOwner() string {
	if j.app.ObjectID == "" {
		return "Add one to the service principal: Enterprise applications > the application > Owners."
	}
	return fmt.Sprintf("Add one: az ad app owner add --id %s --owner-object-id <object id of a person>.", j.client())
}

func (j *judgement) deleteApplication() string {
	if j.app.ObjectID == "" {
		return fmt.Sprintf("az ad sp delete --id %s.", j.client())
	}
	return fmt.Sprintf("az ad app delete --id %s (it can be restored for 30 days).", j.client())
}

func (j *judgement) adviceExpired(c *Credential) string {
	words := fmt.Sprintf("%s ended on %s.", j.called(c), c.EndsAt.UTC().Format("2006-01-02"))
	if !j.app.incomplete() && !slices.ContainsFunc(j.app.Credentials, func(c Credential) bool { return j.live(&c) }) {
		words += " The application has no other that is good: what still uses it fails. If it is in use, give it a new one (" +
			j.create(c) + ")."
		if c.Kind == SAMLSigning {
			words = fmt.Sprintf("%s ended on %s. The application has no other that is good. If it is in use: %s", j.called(c),
				c.EndsAt.UTC().Format("2006-01-02"), j.replace(c))
		}
	}
	return words + " It does nothing any more; " + j.remove(c)
}

func (j *judgement) adviceUnused(c *Credential) string {
	words := j.called(c) + " was never used to sign in, as far as the sign-in activity goes back."
	if !c.UsedAt.IsZero() {
		words = fmt.Sprintf("%s was last used to sign in on %s.", j.called(c), c.UsedAt.UTC().Format("2006-01-02"))
	}
	if a := j.app.Audience; a != "" && a != "AzureADMyOrg" {
		words += " The application admits other tenants or personal accounts, whose sign-ins do not show in this one."
	}
	if m := j.manager(func(m *Manager) bool {
		return m.Rotates && m.knows(c) && !slices.Contains(m.ByHand, strings.ToLower(c.KeyID))
	}); m != nil {
		return fmt.Sprintf("%s If nothing needs it, delete %s with revoke: what it publishes is removed.", words, m.called())
	}
	return words + " Make sure that nothing uses it; then " + j.remove(c)
}

// removing is a manager that removes c by itself, and not before when; nil: there is none, or c is nil.
func (j *judgement) removing(c *Credential) (m *Manager, at time.Time) {
	if c == nil || c.Kind != ClientSecret {
		return nil, at
	}
	m = j.manager(func(m *Manager) bool {
		when, ok := m.Removing[strings.ToLower(c.KeyID)]
		if ok {
			at = when
		}
		return ok
	})
	return m, at
}

// adviceRemoving is about a credential that Rekey removes anyway: who does it too gains nothing, or takes the
// wrong one.
func (j *judgement) adviceRemoving(c *Credential, m *Manager, at time.Time) string {
	when := " as soon as it may"
	if at.After(j.now) {
		when = " on " + at.UTC().Format("2006-01-02 at 15:04 UTC")
	}
	return fmt.Sprintf("%s: Rekey removes it by itself%s, for %s. Leave it to Rekey: if it can't, that needs attention, and says what to do.",
		j.called(c), when, m.called())
}

func (j *judgement) adviceRoom() string {
	var inUse []string
	for _, c := range j.app.Credentials {
		if c.Kind == ClientSecret && c.Holder == Registration {
			inUse = append(inUse, arg(c.KeyID, "key id"))
		}
	}
	words := "It admits personal accounts, so that it takes two client secrets only."
	if len(inUse) < 2 {
		return words + " A rotation needs room for one beside the one in use: leave that free."
	}
	return words + " It has both, so that none can be added and no rotation can begin. Remove the one that is not in use: " + j.removeAny() +
		j.leavingManaged()
}

func (j *judgement) adviceIncomplete() string {
	a := j.app
	var parts []string
	for _, list := range a.Unread {
		if list != Activity {
			parts = append(parts, string(list))
		}
	}
	if len(parts) == 0 {
		return fmt.Sprintf("It has %d more credentials than are kept here. Remove those that nothing uses.", a.MoreCredentials)
	}
	return fmt.Sprintf("The last scan could not read everything about it (%s): what is shown of that is from an earlier scan, or missing. "+
		"The scan says what it lacks; grant the connection Application.Read.All.", strings.Join(parts, ", "))
}

func (j *judgement) adviceManaged() string {
	var names []string
	for i := range j.facts.Managers {
		if m := &j.facts.Managers[i]; m.Rotates {
			names = append(names, m.called())
		}
	}
	return capital(strings.Join(names, ", ")) + " rotates its client secret. Look there for how that goes."
}

// id is that of the record.
func (m *Manager) id() string { return cmp.Or(m.TargetID, m.ConnectionID) }

// called is how a manager is named.
func (m *Manager) called() string {
	if m.TargetID != "" {
		return fmt.Sprintf("target %s (%s) of connection %s", Quote(m.Name), arg(m.TargetID, "id"), arg(m.ConnectionID, "id"))
	}
	return fmt.Sprintf("connection %s (%s)", Quote(m.Name), arg(m.ConnectionID, "id"))
}

// rotating is the manager that rotates the application's client secret; nil if there is none.
func (j *judgement) rotating() *Manager {
	return j.manager(func(m *Manager) bool { return m.Rotates })
}

// onRecord is a manager that has c on its record and does not rotate it; nil if there is none.
func (j *judgement) onRecord(c *Credential) *Manager {
	return j.manager(func(m *Manager) bool { return !m.Rotates && m.knows(c) })
}

func (j *judgement) manager(is func(*Manager) bool) *Manager {
	for i := range j.facts.Managers {
		if is(&j.facts.Managers[i]) {
			return &j.facts.Managers[i]
		}
	}
	return nil
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
