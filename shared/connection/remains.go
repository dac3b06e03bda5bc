package connection

import (
	"fmt"
	"strings"
	"time"

	"rekey/shared/rotation"
)

// Remains says, for the caller who has deleted a connection that was like that, what stays
// of it and what is being removed.
func Remains(was *rotation.Record, revoke bool) string {
	say := []string{fmt.Sprintf("The %s %q is deleted.", was.Noun(), was.Title())}
	tell := func(format string, args ...any) { say = append(say, fmt.Sprintf(format, args...)) }
	c := was.Current
	switch {
	case c == nil:
	case !revoke:
		tell("The published client secret%s stays, in Entra%s and in the Key Vault secret %q, "+
			"since its consumers read it; Rekey no longer rotates it. To remove both, delete with ?revoke=true.",
			named(c.KeyID), until(c), was.VaultName)
	case c.Origin == rotation.OriginIssued:
		tell("The published client secret%s is being removed from Entra, and the Key Vault secret %q is being deleted.",
			named(c.KeyID), was.VaultName)
	default:
		tell("The Key Vault secret %q is being deleted. The client secret%s in it was not issued by Rekey, "+
			"so it stays in Entra%s: remove it there if nothing uses it.", was.VaultName, named(c.KeyID), until(c))
	}
	if n := len(was.Removals); n > 0 {
		tell("%s that Rekey has to remove %s being removed now.", count(n, "older client secret"),
			map[bool]string{true: "is", false: "are"}[n == 1])
	}
	if was.Auth != nil {
		tell("What the connection authenticated with is being deleted from Key Vault; its entry in Entra stays.")
	}
	for _, o := range was.ByHand {
		tell("Remove the client secret%s of the application %s by hand: %s", named(o.KeyID), o.Target.ClientID, sentence(o.Reason))
	}
	return strings.Join(say, " ")
}

func named(keyID string) string {
	if keyID == "" {
		return ""
	}
	return " with the key id " + keyID
}

func until(c *rotation.Credential) string {
	if c.ExpiresAt.IsZero() {
		return ""
	}
	return " until it ends on " + c.ExpiresAt.UTC().Format(time.DateOnly)
}

func count(n int, what string) string {
	if n == 1 {
		return "One " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func sentence(s string) string { return strings.TrimRight(s, ".") + "." }
