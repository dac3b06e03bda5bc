package connections_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"rekey/shared/history"
	"rekey/shared/serviceerror"

	"rekey/shared/connection"
	"rekey/shared/rotation"
)

// same requires an answer to be this JSON, whatever its spaces.
func same(t *testing.T, s service, method, path, body, want string) {
	t.Helper()
	w, _ := ask(t, s, method, "/azure-client-secrets/"+path, body)
	var compact strings.Builder
	for line := range strings.Lines(want) {
		compact.WriteString(strings.TrimSpace(line))
	}
	if got := strings.TrimSpace(w.Body.String()); w.Code != http.StatusOK || got != compact.String() || !json.Valid([]byte(got)) {
		t.Errorf("%s: status %d\n%s\nwant\n%s", path, w.Code, got, compact.String())
	}
}

// What is known is shown, and what is not is null.
func TestCheckViews(t *testing.T) {
	check := connection.Check{
		Authenticates: true, Owns: new(true), TwoSecretLimit: new(false), ClientSecrets: new(2),
		Policy: &connection.PasswordPolicy{Longest: 36 * time.Hour},
		Permissions: []connection.Permission{{Name: "P", Type: "application", Has: new(true), NeededFor: "x"},
			{Name: "Q", Type: "delegated", NeededFor: "y"}},
	}
	s := service{
		check: func() (connection.Check, error) { return check, nil },
		inspect: func(connection.Input) (connection.Inspection, error) {
			return connection.Inspection{KeyID: "k", Complete: true, Check: check, Candidates: []connection.Candidate{
				{Password: rotation.Password{KeyID: "k", DisplayName: "d", Hint: "abc", StartsAt: ago(60), ExpiresAt: now}},
				{Password: rotation.Password{KeyID: "l"}, OnPrincipal: true},
			}}, nil
		},
		clients: func(q connection.ClientQuery) (connection.ClientList, error) {
			if q != (connection.ClientQuery{Search: "s", Cursor: "c", Limit: 2}) {
				t.Errorf("query %+v", q)
			}
			return connection.ClientList{Clients: []rotation.ApplicationState{{ObjectID: "o", ClientID: "a", DisplayName: "n"}}, Next: "d"}, nil
		},
		dryRun: func(opts connection.RotateOptions) (connection.Plan, error) {
			return connection.Plan{Running: opts.Emergency,
				Steps: []connection.PlanStep{{At: now, What: "w", Calls: []string{"c"}, KeyID: "k"}, {At: now, What: "x"}}}, nil
		},
	}
	same(t, s, http.MethodPost, id+"/test", "", `{"test":{"authenticates":true,"problem":null,
		"permissions":[{"name":"P","type":"application","has":true,"neededFor":"x"},{"name":"Q","type":"delegated","has":null,"neededFor":"y"}],
		"ownsItself":true,"twoSecretLimit":false,"clientSecrets":2,`+
		`"policy":{"clientSecretsForbidden":false,"maxLifetimeDays":1.5},"canRotate":true,"why":[]}}`)
	check = connection.Check{Problem: serviceerror.TenantMissing, Message: "The tenant was not found.", Why: []string{"because"},
		Policy: &connection.PasswordPolicy{Forbidden: true}}
	same(t, s, http.MethodPost, id+"/test", "",
		`{"test":{"authenticates":false,"problem":{"class":"tenant-missing","message":"The tenant was not found."},
		"permissions":[],"ownsItself":null,"twoSecretLimit":null,"clientSecrets":null,`+
			`"policy":{"clientSecretsForbidden":true,"maxLifetimeDays":null},"canRotate":false,"why":["because"]}}`)
	same(t, s, http.MethodPost, "inspect", `{"credentials":{}}`, `{"inspection":{"clientSecretKeyId":"k",
		"candidates":[{"keyId":"k","displayName":"d","hint":"abc","startsAt":"2026-07-01T11:00:00Z",`+
		`"expiresAt":"2026-07-01T12:00:00Z","of":"application"},
		{"keyId":"l","displayName":"","hint":"","startsAt":null,"expiresAt":null,"of":"servicePrincipal"}],"complete":true},
		"test":{"authenticates":false,"problem":{"class":"tenant-missing","message":"The tenant was not found."},"permissions":[],`+
		`"ownsItself":null,"twoSecretLimit":null,"clientSecrets":null,"policy":{"clientSecretsForbidden":true,"maxLifetimeDays":null},`+
		`"canRotate":false,"why":["because"]}}`)
	same(t, s, http.MethodGet, id+"/clients?search=s&cursor=c&limit=2", "", `{"clients":[{"id":"o","name":"n","appId":"a"}],"nextCursor":"d"}`)
	same(t, s, http.MethodPost, id+"/rotate-credentials", `{"dryRun":true,"emergency":true}`, `{"plan":{"running":true,"steps":[
		{"at":"2026-07-01T12:00:00Z","what":"w","calls":["c"],"keyId":"k"},{"at":"2026-07-01T12:00:00Z","what":"x","calls":[],"keyId":null}]}}`)
}

// The audit of what is deleted is still there; that of a target is at its own address.
func TestAuditView(t *testing.T) {
	asked := ""
	s := service{
		get: func(of string) (rotation.Record, error) {
			if of == target {
				return rotation.Record{ID: target, Via: id}, nil
			}
			return rotation.Record{}, &connection.Error{Kind: connection.NotFound, Message: "There is no such connection."}
		},
		audit: func(of, cursor string, limit int) ([]rotation.Event, string, error) {
			asked = of + cursor
			return []rotation.Event{{At: now, Kind: history.Deleting, By: "ci", From: "203.0.113.9"},
					{At: ago(1), Kind: history.Failed, RunID: "r", Trigger: rotation.OnSchedule, KeyID: "k", Class: serviceerror.Full,
						Message: "m"}},
				"n", nil
		},
	}
	same(t, s, http.MethodGet, id+"/audit?cursor=7", "", `{"events":[
		{"at":"2026-07-01T12:00:00Z","kind":"connection.deleting","by":"ci","from":"203.0.113.9","runId":null,`+
		`"trigger":null,"keyId":null,"class":null,"message":null},
		{"at":"2026-07-01T11:59:00Z","kind":"rotation.failed","by":null,"from":null,"runId":"r","trigger":"schedule",`+
		`"keyId":"k","class":"application-full","message":"m"}],"nextCursor":"n"}`)
	if asked != id+"7" {
		t.Errorf("asked for %s", asked)
	}
	for _, path := range []string{target + "/audit", "billing/audit", id + "/audit?limit=1001", id + "/audit?limit=x"} {
		if w, _ := ask(t, s, http.MethodGet, "/azure-client-secrets/"+path, ""); w.Code != http.StatusNotFound &&
			w.Code != http.StatusBadRequest {
			t.Errorf("%s: status %d", path, w.Code)
		}
	}
}
