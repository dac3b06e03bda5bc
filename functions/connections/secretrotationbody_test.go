package connections_test

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"rekey/shared/schedule"

	"rekey/shared/auth"
	"rekey/shared/connection"
	"rekey/shared/rotation"
)

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
		if w.Code != http.StatusOK || via != target || !reflect.DeepEqual(in, want) {
			t.Errorf("%s: status %d, via %s:\n%+v %+v, want\n%+v %+v: %s", body, w.Code, via, in, in.Labels, want, want.Labels, w.Body)
		}
	}
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
