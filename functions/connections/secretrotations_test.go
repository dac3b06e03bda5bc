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

// What a client says of a rotation reaches the service; defaults are those of Infisical's
// API.
func TestCreateSecretRotation(t *testing.T) {
	var via string
	var in connection.TargetInput
	s := service{createTarget: func(v string, got connection.TargetInput) (rotation.Record, error) {
		via, in = v, got
		return rotated, nil
	}}
	labels := *rotated.Labels
	labels.ConnectionID, labels.ClientID = target, client
	for body, want := range map[string]connection.TargetInput{
		whole + `,"isAutoRotationEnabled":true,"projectId":"finance","temporaryParameters":{"x":1}}`: {
			Target: connection.Target{ClientID: client, ObjectID: id}, Name: "payroll", Description: "by Terraform", Project: "finance",
			VaultSecretName: "PAYROLL-SECRET", Rotate: true, Schedule: rotated.Policy.Schedule, Labels: &labels, By: "boss",
		},
		`{"name":"n","connectionId":"` + strings.ToUpper(target) + `","parameters":{"clientId":"` + client +
			`"},"secretsMapping":{"clientSecret":"A.b_C-1"}}`: {
			Target: connection.Target{ClientID: client}, Name: "n", VaultSecretName: "A-b-C-1", Rotate: true, By: "boss",
			Schedule: schedule.Schedule{Interval: 30, Zone: "UTC"},
			Labels:   &rotation.Labels{SecretPath: "/", ConnectionID: strings.ToUpper(target), ClientID: client, ClientSecretName: "A.b_C-1"},
		},
		`{"name":"n","description":null,"isAutoRotationEnabled":false,"connectionId":"` + target + `","parameters":{"objectId":"` + id +
			`"},"secretsMapping":{"clientSecret":"x"},"environment":null,"rotationInterval":7}`: {
			Target: connection.Target{ObjectID: id}, Name: "n", VaultSecretName: "x", By: "boss",
			Schedule: schedule.Schedule{Interval: 7, Zone: "UTC"},
			Labels:   &rotation.Labels{SecretPath: "/", ConnectionID: target, ObjectID: id, ClientSecretName: "x"},
		},
	} {
		w := askRotations(t, handler(s, auth.Admin), http.MethodPost, "", body)
		if w.Code != http.StatusOK || via != target || *in.Labels != *want.Labels || !sameInput(in, want) {
			t.Errorf("%s: status %d, via %s:\n%+v %+v, want\n%+v %+v: %s", body, w.Code, via, in, in.Labels, want, want.Labels, w.Body)
		}
	}
}

// sameInput compares but for where the labels are.
func sameInput(a, b connection.TargetInput) bool {
	a.Labels, b.Labels = nil, nil
	return a == b
}

func TestRefusedSecretRotations(t *testing.T) {
	with := func(old, new string) string {
		return strings.Replace(whole+`,"isAutoRotationEnabled":true}`, old, new, 1)
	}
	for _, tt := range []struct {
		body   string
		role   auth.Role
		status int
		says   string
	}{
		{"", auth.Admin, 400, "not JSON"},
		{"{}", auth.Admin, 400, "connectionId must be"},
		{with(`"connectionId":"`+target, `"connectionId":"`+canary), auth.Admin, 400, "connectionId must be"},
		{with(`"name":"payroll",`, ""), auth.Admin, 400, "name is missing"},
		{with(`"objectId":"`+id, `"objectId":"`+canary), auth.Admin, 400, "parameters.objectId must be a UUID"},
		{with(`"clientId":"`+client, `"clientId":"`+canary), auth.Admin, 400, "parameters.clientId must be a UUID"},
		{with(`"objectId":"`+id+`","clientId":"`+client+`"`, ""), auth.Admin, 400, "parameters.clientId or parameters.objectId is missing"},
		{with(`"parameters"`, `"other"`), auth.Admin, 400, "parameters.clientId or parameters.objectId is missing"},
		{with(`,"clientSecret":"PAYROLL_SECRET"`, ""), auth.Admin, 400, "secretsMapping.clientSecret is missing"},
		{with(`"secretsMapping"`, `"other"`), auth.Admin, 400, "secretsMapping.clientSecret is missing"},
		{with(`PAYROLL_SECRET`, canary), auth.Admin, 400, "letters, digits, hyphens, dots and underscores"},
		{with(`PAYROLL_SECRET`, "a/b"), auth.Admin, 400, "letters, digits, hyphens, dots and underscores"},
		{with(`PAYROLL_SECRET`, strings.Repeat("x", 121)), auth.Admin, 400, "1 to 120"},
		{with(`"rotationInterval":30`, `"rotationInterval":0`), auth.Admin, 400, "1 to 365"},
		{with(`"rotationInterval":30`, `"rotationInterval":400`), auth.Admin, 400, "1 to 365"},
		{with(`"hours":2`, `"hours":24`), auth.Admin, 400, "hours"},
		{with(`"environment":"prod"`, `"environment":["`+canary+`"]`), auth.Admin, 400, "environment has the wrong type"},
		{with("", ""), auth.Write, 403, `needs the role \"rotate\"`},
		{with(`"isAutoRotationEnabled":true`, `"x":1`), auth.Write, 403, `needs the role \"rotate\"`},
		{with("", ""), auth.Read, 403, `needs the role \"write\"`},
	} {
		w := askRotations(t, handler(service{}, tt.role), http.MethodPost, "", tt.body)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.says) || quotes(w.Body.String()) {
			t.Errorf("%s: status %d, want %d and %q: %s", tt.body, w.Code, tt.status, tt.says, w.Body)
		}
	}
}

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

// patchRotation sends a change and returns the answer and what reached the service.
func patchRotation(t *testing.T, rec rotation.Record, role auth.Role, body string) (*httptest.ResponseRecorder, *connection.Change) {
	t.Helper()
	var change *connection.Change
	s := service{
		get:    func(string) (rotation.Record, error) { return rec, nil },
		update: func(c connection.Change) (rotation.Record, error) { change = &c; return rec, nil },
	}
	return askRotations(t, handler(s, role), http.MethodPatch, "/"+id, body), change
}

// The provider's encoder leaves false out: a body with all the rest says so by that. A body
// that is a part of it says nothing about what it does not have.
func TestUpdateSecretRotation(t *testing.T) {
	cleared, other := *rotated.Labels, *rotated.Labels
	cleared.SecretPath, cleared.ClientIDName = "", ""
	other.SecretPath, other.ClientSecretName = "/b", "PAYROLL.SECRET"
	unscheduled := rotated
	unscheduled.Policy = rotation.Policy{}
	plain := rotated
	plain.Labels = nil
	if _, change := patchRotation(t, plain, auth.Admin, `{"environment":"prod"}`); *change.Labels !=
		(rotation.Labels{Environment: "prod", SecretPath: "/"}) {
		t.Errorf("of a target without labels: %+v", change.Labels)
	}
	if _, change := patchRotation(t, plain, auth.Admin, `{"name":"n"}`); change.Labels != nil {
		t.Errorf("of a change that has none: %+v", change.Labels)
	}
	for body, want := range map[string]string{ // of a target that has had no schedule
		`{"isAutoRotationEnabled":true}`:          "version=3 rotate=true schedule={30 0 0 UTC}",
		`{"isAutoRotationEnabled":false}`:         "version=3 rotate=false",
		`{"rotationInterval":7}`:                  "version=3 schedule={7 0 0 UTC}",
		`{"rotateAtUtc":{"hours":4,"minutes":5}}`: "version=3 schedule={30 4 5 UTC}",
	} {
		if w, change := patchRotation(t, unscheduled, auth.Admin, body); change == nil || describe(*change) != want {
			t.Errorf("%s: %+v, want %q: %s", body, change, want, w.Body)
		}
	}
	for _, tt := range []struct {
		body, want string
		labels     rotation.Labels
	}{
		{`{"isAutoRotationEnabled":true}`, "version=3 rotate=true", *rotated.Labels},
		{whole + `,"isAutoRotationEnabled":true}`, "version=3 name=payroll description=by Terraform rotate=true schedule={30 2 0 UTC}",
			rotation.Labels{Environment: "prod", SecretPath: "/apps/payroll", ClientIDName: "PAYROLL_ID", ClientSecretName: "PAYROLL_SECRET",
				ConnectionID: target, ClientID: client, ObjectID: id}},
		{whole + `}`, "version=3 name=payroll description=by Terraform rotate=false schedule={30 2 0 UTC}",
			rotation.Labels{Environment: "prod", SecretPath: "/apps/payroll", ClientIDName: "PAYROLL_ID", ClientSecretName: "PAYROLL_SECRET",
				ConnectionID: target, ClientID: client, ObjectID: id}},
		{strings.Replace(whole, `"environment":"prod",`, "", 1) + `}`,
			"version=3 name=payroll description=by Terraform schedule={30 2 0 UTC}",
			rotation.Labels{Environment: "prod", SecretPath: "/apps/payroll", ClientIDName: "PAYROLL_ID", ClientSecretName: "PAYROLL_SECRET",
				ConnectionID: target, ClientID: client, ObjectID: id}},
		{`{"description":""}`, "version=3 description=", *rotated.Labels},
		{`{"secretPath":"/b","secretsMapping":{"clientSecret":"PAYROLL.SECRET"}}`, "version=3", other},
		{`{"secretsMapping":{"clientId":"","clientSecret":"PAYROLL_SECRET"},"secretPath":""}`, "version=3", cleared},
		{`{"rotationInterval":7}`, "version=3 schedule={7 2 0 UTC}", *rotated.Labels},
		{`{"projectId":"finance","parameters":null,"secretsMapping":null,"connectionId":null}`, "version=3", *rotated.Labels},
	} {
		w, change := patchRotation(t, rotated, auth.Admin, tt.body)
		if w.Code != http.StatusOK || change == nil || strings.TrimSpace(describe(*change)) != tt.want || *change.Labels != tt.labels {
			t.Errorf("%s: status %d, change %+v, want %q and %+v: %s", tt.body, w.Code, change, tt.want, tt.labels, w.Body)
		}
	}
}

func TestRefusedSecretRotationUpdates(t *testing.T) {
	off := rotated
	off.Policy.Enabled = false
	for _, tt := range []struct {
		rec    rotation.Record
		role   auth.Role
		body   string
		status int
		says   string
	}{
		{rotated, auth.Admin, `{"connectionId":"` + id + `"}`, 400, "connection of a secret rotation can't be changed"},
		{rotated, auth.Admin, `{"projectId":"other"}`, 400, "project of a secret rotation can't be changed"},
		{rotated, auth.Admin, `{"projectId":""}`, 400, "project of a secret rotation can't be changed"},
		{rotated, auth.Admin, `{"parameters":{"clientId":"` + id + `"}}`, 400, "application that is rotated can't be changed"},
		{rotated, auth.Admin, `{"parameters":{"objectId":"` + client + `"}}`, 400, "application that is rotated can't be changed"},
		{rotated, auth.Admin, `{"secretsMapping":{"clientSecret":"OTHER"}}`, 400, "its consumers read"},
		{rotated, auth.Admin, `{"secretsMapping":{"clientId":"X"}}`, 400, "secretsMapping.clientSecret is missing"},
		{rotated, auth.Admin, `{"rotationInterval":0}`, 400, "1 to 365"},
		{off, auth.Write, `{"isAutoRotationEnabled":true}`, 403, `needs the role \"rotate\"`},
		{rotated, auth.Read, `{"name":"n"}`, 403, `needs the role \"write\"`},
		{rotation.Record{ID: id, Method: connection.ClientSecret}, auth.Admin, `{"name":"n"}`, 404, "no such secret rotation"},
	} {
		if w, change := patchRotation(t, tt.rec, tt.role, tt.body); w.Code != tt.status || change != nil ||
			!strings.Contains(w.Body.String(), tt.says) {
			t.Errorf("%s: status %d, change %v, want %d and %q: %s", tt.body, w.Code, change, tt.status, tt.says, w.Body)
		}
	}
}

// Two changes of different members at the same time both stay: the one that is overtaken is
// made again of what the other has left.
func TestSecretRotationUpdateIsOvertaken(t *testing.T) {
	rec, tries := rotated, 0
	s := service{
		get: func(string) (rotation.Record, error) { return rec, nil },
		update: func(c connection.Change) (rotation.Record, error) {
			if tries++; tries == 1 {
				l := *rec.Labels
				l.Environment = "staging"
				rec.Revision, rec.Labels = 4, &l
				return rec, &connection.Error{Kind: connection.Conflict, Message: "another caller"}
			}
			if *c.Version != 4 || c.Labels.Environment != "staging" || c.Labels.SecretPath != "/new" {
				t.Errorf("change %+v", c.Labels)
			}
			return rec, nil
		},
	}
	if w := askRotations(t, handler(s, auth.Admin), http.MethodPatch, "/"+id, `{"secretPath":"/new"}`); w.Code != http.StatusOK || tries != 2 {
		t.Errorf("after %d tries: %s", tries, w.Body)
	}
}

// What a client has written down is answered as it came; a target that was made otherwise
// has what it can be told of.
func TestSecretRotationView(t *testing.T) {
	plain := rotated
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
			`"secretsMapping":{"clientId":"","clientSecret":"PAYROLL-SECRET"}`,
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
	s := service{allTargets: func(p *string) ([]rotation.Record, error) { project = p; return slices.Clone(all), nil }}
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
	for _, query := range []string{"?limit=0", "?limit=x", "?limit=1001", "?cursor=%25"} {
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
