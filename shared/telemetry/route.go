package telemetry

import (
	"net/url"
	"strings"
)

// words are what may be told of a path: words of the services' addresses and of
// Rekey's own. Everything else in a path is an id or a name, or may be. A word
// that is missing here costs a little clarity; there is no rule that a value could slip
// through.
var words = set(`
	tenant common organizations consumers oauth2 v2.0 token authorize devicecode .well-known openid-configuration discovery instance keys
	v1.0 beta me users organization applications servicePrincipals addPassword removePassword owners policies appManagementPolicies
	defaultAppManagementPolicy reports appCredentialSignInActivities oauth2PermissionGrants appRoleAssignments transitiveMemberOf memberOf
	secrets versions deletedsecrets recover
	Tables rekey $batch devstoreaccount1
	metadata identity msi
	api v1 app-connections azure-client-secrets options openapi.json available inspect oauth connection-name test clients rotate-credentials
	rotations abandon audit targets azure start callback result health rotatedue
	v2 secret-rotations azure-client-secret auth universal-auth login
`)

func set(text string) map[string]bool {
	out := map[string]bool{}
	for w := range strings.FieldsSeq(text) {
		out[w] = true
	}
	return out
}

// deepest is how many segments of a path are told; nothing of ours has more.
const deepest = 10

// route is u's path with {id} in the place of each segment, and of whatever is in
// parentheses, that is none of [words]: "/v1.0/applications({id})/addPassword". There is
// nothing of the query in it.
func route(u *url.URL) string {
	segments := strings.Split(strings.Trim(u.EscapedPath(), "/"), "/")
	if len(segments) > deepest {
		segments = append(segments[:deepest], "...")
	}
	for i, s := range segments {
		name, in, called := strings.Cut(s, "(")
		switch {
		case s == "" || s == "...":
		case !words[name] && called:
			segments[i] = "{id}()"
		case !words[name]:
			segments[i] = "{id}"
		case called && strings.Trim(in, ")") == "":
			segments[i] = name + "()"
		case called:
			segments[i] = name + "({id})"
		}
	}
	return "/" + strings.Join(segments, "/")
}
