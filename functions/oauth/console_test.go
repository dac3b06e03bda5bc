package oauth_test

import (
	"bytes"
	"strings"
	"testing"

	"rekey/shared/oauth"
)

// From every end of a sign-in, and from its start, a person who began in the console gets back there.
func TestWayBackToTheConsole(t *testing.T) {
	for path, f := range map[string]*fakeFlow{
		"start?state=abc": {}, "start?state=none": {problem: oauth.Expired}, "result?flow=abc": {result: oauth.Result{
			Outcome: oauth.Outcome{Kind: oauth.Declined}}}, "result?problem=used": {},
	} {
		var body bytes.Buffer
		if _, err := body.ReadFrom(visit(t, f, "GET", oauth.Base+path).Body); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(body.String(), `<a href="/console">`) {
			t.Errorf("%s: %s", path, body.String())
		}
	}
}

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
