package inventory

import (
	"fmt"
	"strings"
)

// maxNames is how many applications a notice names of each kind of finding.
const maxNames = 3

var titles = map[FindingKind]string{
	EndsIn7Days:      "a credential that ends within 7 days",
	OwnerlessEnding:  "no owner, and something that ends within 30 days",
	EndsIn30Days:     "a credential that ends within 30 days",
	Orphan:           "a client secret named like one of Rekey's that no record knows",
	Expired:          "an expired credential",
	EndsIn90Days:     "a credential that ends within 90 days",
	NeverEnds:        "a credential that never ends",
	TooLong:          "a client secret that lives for too long",
	Unused:           "a credential that nothing uses",
	Ownerless:        "no owner",
	DisabledFinding:  "credentials although it may not sign in",
	SeveralSecrets:   "several live client secrets",
	FederatedAlready: "client secrets beside federated credentials",
	RoomForOne:       "room for two client secrets only",
	Incomplete:       "parts that could not be read",
	Managed:          "a client secret that Rekey rotates",
}

// Title says in words what an application with such a finding has.
func (k FindingKind) Title() string { return titles[k] }

// Words is the text of the one notice of a scan: what has arisen, the most pressing first,
// with how many applications have it and the names of a few. Empty: nothing that is worth
// one has. first: the scan is the tenant's first one.
func Words(r *Result, first bool) string {
	var parts []string
	for _, kind := range Kinds {
		if n := r.Arisen[kind]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %s%s.", applications(n), kind.Title(), someNames(r, kind, n)))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	opening := "New since the last scan of the tenant: "
	if first {
		opening = "The first scan of the tenant found: "
	}
	return opening + strings.Join(parts, " ") + fmt.Sprintf(" In all it has %s and %s. "+
		"GET .../azure-client-secrets/inventory?finding=<kind> lists them, and says what to do.",
		counted(r.Applications, "application"), counted(r.Credentials, "credential"))
}

func applications(n int) string {
	if n == 1 {
		return "1 application has"
	}
	return counted(n, "application") + " have"
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// someNames names the first few applications with what has arisen, those whose credentials end first.
func someNames(r *Result, kind FindingKind, n int) string {
	var names []string
	named := map[Key]bool{}
	for i := range r.Changes {
		c := &r.Changes[i]
		if c.Kind == FindingArisen && c.Finding == kind && !named[c.Key] && len(names) < maxNames {
			named[c.Key] = true
			names = append(names, Quote(c.Name))
		}
	}
	switch more := n - len(names); {
	case len(names) == 0:
		return ""
	case more == 0:
		return ": " + strings.Join(names, ", ")
	default:
		return fmt.Sprintf(": %s and %d more", strings.Join(names, ", "), more)
	}
}
