package connections_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"rekey/shared/schedule"

	"rekey/functions/connections"
	"rekey/shared/auth"
	"rekey/shared/connection"
	"rekey/shared/index"
	"rekey/shared/rotation"
)

const rotationsPath = "/api/v2/secret-rotations/azure-client-secret"

// askRotations sends a request about secret rotations.
func askRotations(t *testing.T, h *connections.Handler, method, path, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	h.Log = slog.New(slog.NewTextHandler(&bytes.Buffer{}, nil))
	r := httptest.NewRequestWithContext(t.Context(), method, rotationsPath+path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// rotated is a target as a client of Infisical's has made it.
var rotated = rotation.Record{
	ID: id, Via: target, Name: "payroll", Description: "by Terraform", Project: "finance", VaultName: "PAYROLL-SECRET", Method: "certificate",
	Auth: nil, Phase: rotation.Idle, Revision: 3, CreatedAt: ago(100), UpdatedAt: ago(50), NextSlot: ago(-60),
	Policy: rotation.Policy{Enabled: true, Schedule: schedule.Schedule{Interval: 30, Hours: 2, Zone: "UTC"}},
	Target: rotation.Application{TenantID: tenant, ClientID: client, ObjectID: id},
	Labels: &rotation.Labels{
		Environment: "prod", SecretPath: "/apps/payroll", ClientIDName: "PAYROLL_ID", ClientSecretName: "PAYROLL_SECRET",
		ConnectionID: strings.ToUpper(target), ClientID: strings.ToUpper(client), ObjectID: id,
	},
}

// whole is what Infisical's Terraform provider sends for it with every change.
const whole = `{"Provider":"azure-client-secret","ID":"` + id + `","name":"payroll","description":"by Terraform",` +
	`"connectionId":"` + target + `","environment":"prod","secretPath":"/apps/payroll","rotationInterval":30,` +
	`"rotateAtUtc":{"hours":2,"minutes":0},"parameters":{"objectId":"` + id + `","clientId":"` + client + `"},` +
	`"secretsMapping":{"clientId":"PAYROLL_ID","clientSecret":"PAYROLL_SECRET"}`

// Names that others have are a 409 here, in the words of this API; the other refusals of the
// service have their usual status.
func TestSecretRotationCollides(t *testing.T) {
	for _, tt := range []struct {
		err    connection.Error
		status int
		says   string
	}{
		{connection.Error{Kind: connection.Taken, Message: "Choose another vaultSecretName."}, 409,
			"Choose another secretsMapping.clientSecret."},
		{connection.Error{Kind: connection.Conflict, Message: "an application"}, 409, "an application"},
		{connection.Error{Kind: connection.Invalid, Message: "a mistake"}, 400, "a mistake"},
		{connection.Error{Kind: connection.NotFound, Message: "no connection"}, 404, "no connection"},
	} {
		s := service{createTarget: func(string, connection.TargetInput) (rotation.Record, error) { return rotation.Record{}, &tt.err }}
		w := askRotations(t, handler(s, auth.Admin), http.MethodPost, "", whole+"}")
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.says) {
			t.Errorf("%v: status %d: %s", tt.err, w.Code, w.Body)
		}
	}
}

// What a client has written down is answered as it came; a target that was made otherwise
// has what it can be told of.
func TestSecretRotationView(t *testing.T) {
	plain := rotated
	plain.Current = &rotation.Credential{ExpiresAt: now.AddDate(0, 0, 9)}
	plain.Labels, plain.Policy, plain.Project, plain.Description, plain.Name = nil, rotation.Policy{}, "", "", "target-"+id
	for _, tt := range []struct {
		rec  rotation.Record
		want []string
		not  []string
	}{
		{rotated, []string{
			`"name":"payroll"`, `"description":"by Terraform"`, `"isAutoRotationEnabled":true`, `"projectId":"finance"`,
			`"connectionId":"` + strings.ToUpper(target) + `"`, `"connection":{"id":"` + strings.ToUpper(target) + `",`,
			`"environment":{"slug":"prod"}`, `"folder":{"path":"/apps/payroll"}`, `"rotationInterval":30`, `"rotateAtUtc":{"hours":2,"minutes":0}`,
			`"parameters":{"objectId":"` + id + `","clientId":"` + strings.ToUpper(client) + `"}`,
			`"secretsMapping":{"clientId":"PAYROLL_ID","clientSecret":"PAYROLL_SECRET"}`, `"vaultSecretName":"PAYROLL-SECRET"`,
			`"nextRotationAt":"`,
		}, []string{`"rotationStatus"`, `"lastRotatedAt"`}},
		{plain, []string{
			`"name":"target-` + id + `"`, `"description":null`, `"projectId":null`, `"connection":{"id":"` + target + `",`,
			`"environment":{"slug":""}`, `"folder":{"path":"/"}`, `"parameters":{"objectId":"` + id + `","clientId":"` + client + `"}`,
			`"secretsMapping":{"clientId":"","clientSecret":"PAYROLL-SECRET"}`, `"expiresAt":"2026-07-10T12:00:00Z"`,
		}, []string{`"rotationInterval"`, `"rotateAtUtc"`, `"nextRotationAt"`}},
	} {
		s := service{get: func(string) (rotation.Record, error) { return tt.rec, nil }}
		w := askRotations(t, handler(s, auth.Read), http.MethodGet, "/"+strings.ToUpper(id), "")
		for _, member := range tt.want {
			if !strings.Contains(w.Body.String(), member) {
				t.Errorf("no %s in %s", member, w.Body)
			}
		}
		for _, member := range tt.not {
			if strings.Contains(w.Body.String(), member) {
				t.Errorf("%s in %s", member, w.Body)
			}
		}
	}
}

// The list is in order of names and comes in pages, if that is asked for.
func TestListSecretRotations(t *testing.T) {
	var all []rotation.Record
	for i := range 5 {
		rec := rotated
		rec.ID, rec.Name = fmt.Sprintf("0b1e7e57-0000-4000-8000-00000000000%d", i), fmt.Sprintf("n%d", 4-i)
		all = append(all, rec)
	}
	var project *string
	s := service{
		allTargets: func(p *string) ([]rotation.Record, error) { project = p; return slices.Clone(all), nil },
		page: func(q index.Query) (page []rotation.Record, next *index.Query, err error) {
			if project = q.Project; !q.Targets {
				t.Errorf("asked for %+v", q)
			}
			for _, rec := range slices.Backward(all) { // by name
				if e := index.Of(&rec); q.Behind(&e) && len(page) == q.Limit {
					return page, &q, nil
				} else if q.Behind(&e) {
					page, q.AfterName, q.AfterID = append(page, rec), rec.Name, rec.ID
				}
			}
			return page, nil, nil
		},
	}
	page := func(query string) (names, next string) {
		w := askRotations(t, handler(s, auth.Read), http.MethodGet, query, "")
		var got struct {
			SecretRotations []struct{ Name string }
			NextCursor      string
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusOK {
			t.Fatalf("%s: status %d: %s", query, w.Code, w.Body)
		}
		for _, r := range got.SecretRotations {
			names += r.Name + " "
		}
		return names, got.NextCursor
	}
	if names, next := page(""); names != "n0 n1 n2 n3 n4 " || next != "" || project != nil {
		t.Errorf("all: %s, %s, %v", names, next, project)
	}
	names, next := page("?limit=2&projectId=finance")
	if names != "n0 n1 " || project == nil || *project != "finance" {
		t.Errorf("first page: %s, %v", names, project)
	}
	if names, next = page("?limit=2&cursor=" + next); names != "n2 n3 " {
		t.Errorf("second page: %s", names)
	}
	if names, next = page("?limit=2&cursor=" + next); names != "n4 " || next != "" {
		t.Errorf("last page: %s, %s", names, next)
	}
	for _, query := range []string{"?limit=0", "?limit=x", "?limit=1001", "?cursor=%25",
		"?attention=1", "?state=asleep", "?text=" + strings.Repeat("a", 257)} {
		if w := askRotations(t, handler(s, auth.Read), http.MethodGet, query, ""); w.Code != http.StatusBadRequest {
			t.Errorf("%s: status %d: %s", query, w.Code, w.Body)
		}
	}
}

// A deletion keeps what consumers read. What Infisical's API calls otherwise is refused, not
// passed over: a caller who asks for a revocation must not believe that it was done.
func TestDeleteSecretRotation(t *testing.T) {
	var asked []connection.DeleteOptions
	s := service{
		get: func(string) (rotation.Record, error) { return rotated, nil },
		delete: func(o connection.DeleteOptions) (rotation.Record, error) {
			asked = append(asked, o)
			return rotated, nil
		},
	}
	for query, want := range map[string]string{
		"": "200 false", "?revoke=true": "200 true", "?deleteSecrets=false&revokeGeneratedCredentials=false": "200 false",
		"?deleteSecrets=true": "400 revoke=true removes both", "?revokeGeneratedCredentials=true": "400 revoke=true removes both",
		"?deleteSecrets=x": "400 must be true or false", "?revoke=1": "400 must be true or false",
	} {
		asked = nil
		w := askRotations(t, handler(s, auth.Write), http.MethodDelete, "/"+id+query, `{"Provider":"azure-client-secret","ID":"`+id+`"}`)
		got := fmt.Sprint(w.Code)
		for _, o := range asked {
			got += fmt.Sprintf(" %t", o.Revoke)
		}
		status, says, _ := strings.Cut(want, " ")
		if status == "200" {
			says = `"message":`
		} else {
			want = status
		}
		if got != want || !strings.Contains(w.Body.String(), says) {
			t.Errorf("%q: %s, want %s: %s", query, got, want, w.Body)
		}
	}
	for _, path := range []string{"/" + id + "x", "/x", "/" + id[:35]} {
		if w := askRotations(t, handler(s, auth.Write), http.MethodDelete, path, ""); w.Code != http.StatusNotFound {
			t.Errorf("%s: status %d: %s", path, w.Code, w.Body)
		}
	}
	gone := service{get: func(string) (rotation.Record, error) {
		return rotation.Record{}, &connection.Error{Kind: connection.NotFound, Message: "There is no such connection."}
	}}
	for _, method := range []string{http.MethodGet, http.MethodPatch, http.MethodDelete} {
		if w := askRotations(t, handler(gone, auth.Write), method, "/"+id, "{}"); w.Code != http.StatusNotFound ||
			!strings.Contains(w.Body.String(), "no such secret rotation") {
			t.Errorf("%s of what is gone: status %d: %s", method, w.Code, w.Body)
		}
	}
}
