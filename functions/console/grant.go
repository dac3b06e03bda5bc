package console

import "time"

// graph is Microsoft Graph's application id, and roleIDs are the ids of its application permissions.
// Source: learn.microsoft.com/graph/permissions-reference.
const graph = "00000003-0000-0000-c000-000000000000"

var roleIDs = map[string]string{
	"Application.ReadWrite.OwnedBy": "18a4783c-866b-4cc7-a460-3d5e5662c884",
	"Application.ReadWrite.All":     "1bfefb4e-e0b5-418b-a88f-73c46d2cc8e9",
	"Application.Read.All":          "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30",
	"Directory.Read.All":            "7ab1d382-f21e-4acd-a863-ba3e13f7da61",
}

// grant are the commands that grant a permission to what a connection signs in as. A delegated one is
// consented to by signing in again.
func grant(clientID, permission, kind string) string {
	id, ok := roleIDs[permission]
	if kind != "application" || !ok || clientID == "" {
		return ""
	}
	return values{"CLIENT_ID": clientID, "GRAPH": graph, "ROLE_ID": id}.fill(permissionOf + "\n" + consentTo)
}

// owner are the commands that make what signs in as actor an owner of an application.
func owner(actor, app string) string {
	if actor == "" || app == "" {
		return ""
	}
	return values{"CLIENT_ID": actor, "TARGET_CLIENT_ID": app}.fill(principalOf + "\n" + ownerOf)
}

func daysOf(n float64) time.Duration { return time.Duration(n * 24 * float64(time.Hour)) }
