package oauth_test

import (
	"bytes"
	"strings"
	"testing"

	"rekey/shared/oauth"
)

// Who has connected is led to the connection in the console, where they may have begun; where nothing was
// connected, to nothing.
func TestResultLeadsToTheConsole(t *testing.T) {
	const id = "0b1e7e57-0000-4000-8000-000000000001"
	for kind, leads := range map[oauth.Kind]bool{oauth.Connected: true, oauth.Reconnected: true, oauth.Declined: false} {
		f := &fakeFlow{result: oauth.Result{Name: "billing", Outcome: oauth.Outcome{Kind: kind, ConnectionID: id}}}
		var body bytes.Buffer
		if _, err := body.ReadFrom(visit(t, f, "GET", oauth.Base+"result?flow=abc").Body); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(body.String(), `href="/console/connections/`+id+`"`); got != leads {
			t.Errorf("%s: %s", kind, body.String())
		}
	}
}
