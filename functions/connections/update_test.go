package connections_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"rekey/shared/schedule"

	"rekey/shared/auth"
	"rekey/shared/connection"
	"rekey/shared/rotation"
)

const target = "0b1e7e57-0000-4000-8000-00000000000b"

// scheduled is a connection that rotates in Berlin; its next slot is in winter, while
// now is in summer.
var scheduled = rotation.Record{
	ID: id, Method: connection.ClientSecret, Revision: 3, VaultName: "rekey-billing", Project: "p",
	Actor: rotation.Application{TenantID: "t", ClientID: "c"}, Target: rotation.Application{TenantID: "t", ClientID: "c", ObjectID: "o"},
	Policy:   rotation.Policy{Enabled: true, Schedule: schedule.Schedule{Interval: 30, Hours: 3, Minutes: 15, Zone: "Europe/Berlin"}},
	NextSlot: time.Date(2026, 12, 1, 2, 15, 0, 0, time.UTC),
}

// describe writes down what of a change is set.
func describe(c connection.Change) string {
	var said []string
	say := func(name string, value any) { said = append(said, fmt.Sprintf("%s=%v", name, value)) }
	if c.Version != nil {
		say("version", *c.Version)
	}
	if c.Name != nil {
		say("name", *c.Name)
	}
	if c.Description != nil {
		say("description", *c.Description)
	}
	if c.Rotate != nil {
		say("rotate", *c.Rotate)
	}
	if c.Schedule != nil {
		say("schedule", *c.Schedule)
	}
	if c.Grace != nil {
		say("grace", *c.Grace)
	}
	if c.OriginalGrace != nil {
		say("originalGrace", *c.OriginalGrace)
	}
	if k := c.Credentials; k != nil {
		say("credentials", strings.Join([]string{k.Method, k.TenantID, k.ClientID, k.ClientSecret.Reveal(), k.ClientSecretKeyID,
			k.Certificate.Body.Reveal(), fmt.Sprint(k.SendChain)}, "/"))
	}
	return strings.Join(said, " ")
}

// patch sends a body for rec and returns the answer's status and text, and the change
// that reached the service.
func patch(t *testing.T, rec rotation.Record, role auth.Role, body string) (status int, says, change string) {
	t.Helper()
	s := service{
		get:    func(string) (rotation.Record, error) { return rec, nil },
		update: func(c connection.Change) (rotation.Record, error) { change = describe(c); return rec, nil },
	}
	w, _ := askOf(t, handler(s, role), http.MethodPatch, "/azure-client-secrets/"+id, body)
	return w.Code, w.Body.String(), change
}

// What is left out stays as it is; a part of the schedule is merged into the rest.
func TestUpdate(t *testing.T) {
	off := scheduled
	off.Policy.Enabled, off.Policy.Schedule = false, schedule.Schedule{}
	certificate := rotation.Record{ID: id, Method: connection.Certificate, Auth: &rotation.Auth{Chain: true},
		Actor: rotation.Application{TenantID: "t", ClientID: "c"}}
	for _, tt := range []struct {
		rec        rotation.Record
		body, want string
	}{
		{scheduled, `{}`, ""},
		{scheduled, `{"version":7,"name":"n","description":"d","unknown":[1]}`, "version=7 name=n description=d"},
		{scheduled, `{"description":null}`, "description="},
		{scheduled, `{"isAutoRotationEnabled":false}`, "rotate=false"},
		{scheduled, `{"isAutoRotationEnabled":true}`, "rotate=true"},
		// What a client read, sent back, changes nothing, whatever it knows of it.
		{scheduled, `{"rotation":{"rotationInterval":30,"rotateAtUtc":{"hours":2,"minutes":15}}}`, "version=3 schedule={30 3 15 Europe/Berlin}"},
		{scheduled,
			`{"rotation":{"rotationInterval":30,"rotateAtUtc":{"hours":2,"minutes":15},` +
				`"rotateAt":{"hours":3,"minutes":15},"timeZone":"Europe/Berlin"}}`, "version=3 schedule={30 3 15 Europe/Berlin}"},
		{scheduled, `{"rotation":{"rotationInterval":60}}`, "version=3 schedule={60 3 15 Europe/Berlin}"},
		{scheduled, `{"rotation":{"rotateAtUtc":{"hours":5,"minutes":0}}}`, "version=3 schedule={30 5 0 UTC}"},
		{scheduled, `{"rotation":{"rotateAt":{"hours":5,"minutes":0}}}`, "version=3 schedule={30 5 0 Europe/Berlin}"},
		{scheduled, `{"rotation":{"timeZone":"Asia/Tokyo"}}`, "version=3 schedule={30 3 15 Asia/Tokyo}"},
		{scheduled, `{"version":3,"rotation":{"rotationInterval":60}}`, "version=3 schedule={60 3 15 Europe/Berlin}"},
		{scheduled, `{"rotation":{"gracePeriodHours":1,"originalGracePeriodHours":0}}`, "grace=1h0m0s originalGrace=0s"},
		{off, `{"isAutoRotationEnabled":true,"rotation":{"rotationInterval":7,"rotateAtUtc":{"hours":2,"minutes":0}}}`,
			"version=3 rotate=true schedule={7 2 0 UTC}"},
		// The same as it is, in whatever case, is no change.
		{scheduled,
			`{"method":"client-secret","projectId":"p","vaultSecretName":"Rekey-Billing","gatewayId":null,` +
				`"rotation":{"target":{"clientId":"C","objectId":""}}}`, ""},
		{scheduled, `{"credentials":{"clientSecret":"s"}}`, "credentials=client-secret/t/c/s///false"},
		{scheduled, `{"credentials":{"tenantId":"t2","clientId":"c2","clientSecret":"s","clientSecretKeyId":"k"}}`,
			"credentials=client-secret/t2/c2/s/k//false"},
		{certificate, `{"credentials":{"certificateBody":"b"}}`, "credentials=certificate/t/c///b/true"},
		{certificate, `{"credentials":{"certificateBody":"b","sendCertificateChain":false}}`, "credentials=certificate/t/c///b/false"},
	} {
		if status, says, change := patch(t, tt.rec, auth.Admin, tt.body); status != http.StatusOK || change != tt.want {
			t.Errorf("%s: status %d, change %q, want %q: %s", tt.body, status, change, tt.want, says)
		}
	}
}

func TestRefusedUpdates(t *testing.T) {
	off, delegated := scheduled, scheduled
	off.Policy.Enabled, off.Policy.Schedule = false, schedule.Schedule{}
	delegated.Auth = &rotation.Auth{}
	oauth := rotation.Record{ID: id, Method: connection.OAuth, Auth: &rotation.Auth{}}
	for _, tt := range []struct {
		rec    rotation.Record
		role   auth.Role
		body   string
		status int
		says   string
	}{
		{scheduled, auth.Admin, ``, 400, "not JSON"},
		{scheduled, auth.Admin, `{"method":"oauth"}`, 400, "method of a connection can't be changed"},
		{scheduled, auth.Admin, `{"projectId":"q"}`, 400, "project of a connection can't be changed"},
		{scheduled, auth.Admin, `{"vaultSecretName":"other"}`, 400, "can't be changed, since its consumers read it"},
		{scheduled, auth.Admin, `{"rotation":{"target":{"clientId":"d"}}}`, 400, "Add another one"},
		{scheduled, auth.Admin, `{"gatewayId":"g"}`, 400, "not supported"},
		{scheduled, auth.Admin, `{"isPlatformManagedCredentials":true}`, 400, "not supported"},
		{scheduled, auth.Admin, `{"description":7}`, 400, "description has the wrong type: it must be a string"},
		{scheduled, auth.Admin, `{"version":"3"}`, 400, "version has the wrong type"},
		{scheduled, auth.Admin, `{"rotation":{"rotationInterval":0}}`, 400, "1 to 365"},
		{scheduled, auth.Admin, `{"rotation":{"rotateAt":{"hours":3,"minutes":15},"rotateAtUtc":{"hours":9,"minutes":0}}}`, 400,
			"Give one of the two"},
		{scheduled, auth.Admin, `{"rotation":{"timeZone":"Europe/Paris","rotateAtUtc":{"hours":9,"minutes":0}}}`, 400,
			"timeZone goes with rotateAt"},
		{off, auth.Admin, `{"isAutoRotationEnabled":true}`, 400, "rotation is required"},
		{off, auth.Admin, `{"isAutoRotationEnabled":true,"rotation":{"rotationInterval":7}}`, 400, "time of day"},
		{off, auth.Admin, `{"isAutoRotationEnabled":true,"rotation":{"rotateAtUtc":{"hours":9,"minutes":0}}}`, 400, "1 to 365"},
		{oauth, auth.Admin, `{"credentials":{"code":"c"}}`, 400, "OAuth is not configured"},
	} {
		if status, says, change := patch(t, tt.rec, tt.role, tt.body); status != tt.status || change != "" || !strings.Contains(says, tt.says) {
			t.Errorf("%s: status %d, change %q, want %d and %q: %s", tt.body, status, change, tt.status, tt.says, says)
		}
	}
	// What a client always sends is not turning rotation on, and a certificate is not
	// what is rotated.
	for body, rec := range map[string]rotation.Record{
		`{"isAutoRotationEnabled":true,"description":"d"}`: scheduled,
		`{"credentials":{"clientSecret":"s"}}`:             delegated,
	} {
		if status, says, _ := patch(t, rec, auth.Write, body); status != http.StatusOK {
			t.Errorf("%s with the role write: status %d: %s", body, status, says)
		}
	}
}

// A part of a schedule is merged into what is there when it is written: if another caller
// was faster it is merged again, and what that caller did stays.
func TestUpdateIsOvertaken(t *testing.T) {
	rec, tries := scheduled, 0
	s := service{
		get: func(string) (rotation.Record, error) { return rec, nil },
		update: func(c connection.Change) (rotation.Record, error) {
			if tries++; tries == 1 {
				rec.Revision, rec.Policy.Schedule.Hours = 4, 22
				return rec, &connection.Error{Kind: connection.Conflict, Message: "another caller"}
			}
			if got := describe(c); got != "version=4 schedule={60 22 15 Europe/Berlin}" {
				t.Errorf("change %q", got)
			}
			return rec, nil
		},
	}
	if w, _ := ask(t, s, http.MethodPatch, "/azure-client-secrets/"+id, `{"rotation":{"rotationInterval":60}}`); w.Code != http.StatusOK ||
		tries != 2 {
		t.Errorf("after %d tries: %s", tries, w.Body)
	}
	tries = 0
	if w, _ := ask(t, s, http.MethodPatch, "/azure-client-secrets/"+id,
		`{"version":3,"rotation":{"rotationInterval":60}}`); w.Code != http.StatusConflict || tries != 1 {
		t.Errorf("with a version, after %d tries: %s", tries, w.Body)
	}
}

func TestDelete(t *testing.T) {
	var asked connection.DeleteOptions
	rec := scheduled
	rec.Current = &rotation.Credential{KeyID: "k", Origin: rotation.OriginIssued}
	s := service{
		get:    func(string) (rotation.Record, error) { return rec, nil },
		delete: func(opts connection.DeleteOptions) (rotation.Record, error) { asked = opts; return rec, nil },
	}
	for query, want := range map[string]connection.DeleteOptions{"": {By: "boss"}, "?revoke=false": {By: "boss"},
		"?revoke=true": {By: "boss", Revoke: true}} {
		w, _ := ask(t, s, http.MethodDelete, "/azure-client-secrets/"+id+query, "")
		var got struct {
			AppConnection struct{ ID string }
			Message       string
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusOK || got.AppConnection.ID != id || asked != want {
			t.Errorf("%q: %+v, status %d: %s", query, asked, w.Code, w.Body)
		}
		if removed := strings.Contains(got.Message, "is being removed"); removed != want.Revoke {
			t.Errorf("%q: message %q", query, got.Message)
		}
	}
	if w, _ := ask(t, service{}, http.MethodDelete, "/azure-client-secrets/"+id+"?revoke=yes", ""); w.Code != http.StatusBadRequest {
		t.Errorf("revoke=yes: status %d", w.Code)
	}
}

// A target answers below its connection only, and a connection never as a target.
func TestTargetsHaveTheirOwnAddresses(t *testing.T) {
	s := service{
		get: func(of string) (rotation.Record, error) {
			if of == target {
				return rotation.Record{ID: target, Via: id}, nil
			}
			return rotation.Record{ID: of}, nil
		},
		getTarget: func(via, of string) (rotation.Record, error) {
			if via == id && of == target {
				return rotation.Record{ID: target, Via: id}, nil
			}
			return rotation.Record{}, &connection.Error{Kind: connection.NotFound, Message: "There is no such connection."}
		},
		rotate: func(of string, _ connection.RotateOptions) (rotation.Record, error) {
			return rotation.Record{ID: of, Via: id}, nil
		},
		update: func(connection.Change) (rotation.Record, error) { return rotation.Record{ID: target, Via: id}, nil },
		delete: func(connection.DeleteOptions) (rotation.Record, error) {
			return rotation.Record{ID: target, Via: id}, nil
		},
		abandon: func(string) (rotation.Record, error) { return rotation.Record{ID: target, Via: id}, nil },
		check:   func() (connection.Check, error) { return connection.Check{}, nil },
		history: func(string, int) ([]rotation.Event, string, error) { return nil, "", nil },
		audit:   func(string, string, int) ([]rotation.Event, string, error) { return nil, "", nil },
	}
	const base = "/azure-client-secrets/"
	for _, line := range []struct{ method, path string }{
		{"GET", ""}, {"PATCH", ""}, {"DELETE", ""}, {"POST", "/test"}, {"POST", "/rotate-credentials"}, {"GET", "/rotations"},
		{"POST", "/rotations/abandon"}, {"GET", "/audit"},
	} {
		body := ""
		if line.method == http.MethodPatch {
			body = "{}"
		}
		for path, want := range map[string]int{
			base + id + "/targets/" + target:     200,
			base + target:                        404,
			base + target + "/targets/" + target: 404,
			base + id + "/targets/" + id:         404,
			base + id + "/targets/billing":       404,
		} {
			if w, _ := ask(t, s, line.method, path+line.path, body); w.Code != want {
				t.Errorf("%s %s%s: status %d, want %d: %s", line.method, path, line.path, w.Code, want, w.Body)
			}
		}
	}
	w, _ := ask(t, s, "GET", base+id+"/targets/"+target, "")
	if !strings.HasPrefix(w.Body.String(), `{"target":{"id":"`+target+`","connectionId":"`+id+`","name":`) {
		t.Errorf("a target: %s", w.Body)
	}
}

// What a body says of a target reaches the service, and each kind of input is refused
// before it.
func TestCreateTarget(t *testing.T) {
	var in connection.TargetInput
	s := service{createTarget: func(via string, got connection.TargetInput) (rotation.Record, error) {
		in = got
		return rotation.Record{ID: target, Via: via}, nil
	}}
	path := "/azure-client-secrets/" + id + "/targets"
	w, _ := ask(t, s, http.MethodPost, path,
		`{"clientId":"c","objectId":"o","description":"d","vaultSecretName":"v","retireKeyIds":["k"],"isAutoRotationEnabled":true,
		"rotation":{"rotationInterval":30,"rotateAtUtc":{"hours":3,"minutes":0},"gracePeriodHours":1}}`)
	want := connection.TargetInput{
		Target: connection.Target{ClientID: "c", ObjectID: "o"}, Description: "d", VaultSecretName: "v", Retire: []string{"k"},
		Rotate: true, Schedule: schedule.Schedule{Interval: 30, Hours: 3, Zone: "UTC"}, By: "boss",
	}
	if grace := in.Grace; w.Code != http.StatusOK || grace == nil || *grace != time.Hour {
		t.Errorf("grace %v: %s", grace, w.Body)
	}
	if in.Grace = nil; !reflect.DeepEqual(in, want) {
		t.Errorf("input %+v, want %+v", in, want)
	}
	for body, says := range map[string]string{
		`{"clientId":"c","isAutoRotationEnabled":true}`: "rotation is required",
		`{"clientId":7}`:                      "clientId has the wrong type",
		`{"clientId":"c","retireKeyIds":"k"}`: "retireKeyIds has the wrong type",
		`{"clientId":"c","rotation":{"rotationInterval":400,"rotateAtUtc":{"hours":3,"minutes":0}}}`: "1 to 365",
	} {
		if w, _ := ask(t, s, http.MethodPost, path, body); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), says) {
			t.Errorf("%s: status %d: %s", body, w.Code, w.Body)
		}
	}
	for body, says := range map[string]string{
		`{"clientId":"c","isAutoRotationEnabled":true,"rotation":{"rotationInterval":30,"rotateAtUtc":{"hours":3,"minutes":0}}}`: "rotation on",
		`{"clientId":"c","retireKeyIds":["k"]}`: "Retiring client secrets removes them",
	} {
		if w, _ := askOf(t, handler(s, auth.Write), http.MethodPost, path, body); w.Code != http.StatusForbidden ||
			!strings.Contains(w.Body.String(), says) {
			t.Errorf("%s with the role write: status %d: %s", body, w.Code, w.Body)
		}
	}
}
