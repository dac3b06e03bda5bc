package functions_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"rekey/shared/auth"
)

const secretRotations = "/api/v2/secret-rotations/azure-client-secret"

// A target that was made as such is seen as a rotation, and can be managed as one.
func TestTargetIsASecretRotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	operator, via := w.authenticator()
	a := w.owned(operator)
	made := w.target(w.call(auth.Write, http.MethodPost, secrets+"/"+via.ID+"/targets",
		object{"clientId": a.ClientID, "vaultSecretName": "reporting"}))
	list := func(query string) []string {
		var ids []string
		for _, r := range decode[struct{ SecretRotations []struct{ ID string } }](t,
			w.at(auth.Read, http.MethodGet, secretRotations+query, nil)).SecretRotations {
			ids = append(ids, r.ID)
		}
		return ids
	}
	if ids := list(""); len(ids) != 1 || ids[0] != made.ID {
		t.Errorf("list %v", ids)
	}
	c := &rotationResource{world: w, id: made.ID}
	is := c.read()
	if is == nil || is.name != "target-"+made.ID || is.on || is.connection != via.ID || is.clientID != a.ClientID || is.path != "/" ||
		is.mappedValue != "reporting" {
		t.Errorf("as a rotation: %+v", is)
	}
	c = w.resource(via.ID, a)
	c.id, c.project, c.mappedValue = made.ID, "", "reporting"
	c.apply("everything")
	w.settle()
	made = w.target(w.call(auth.Read, http.MethodGet, secrets+"/"+via.ID+"/targets/"+c.id, nil))
	w.managed(a, "reporting", made.Rotation.Current.KeyID, a.KeyID)
	if ids := list("?projectId=" + unknownID); len(ids) != 0 {
		t.Errorf("of another project: %v", ids)
	}
	// Another caller deletes it as a target: the provider finds that it is gone.
	w.call(auth.Write, http.MethodDelete, secrets+"/"+via.ID+"/targets/"+c.id, nil).ok(t)
	if c.read() != nil || len(list("")) != 0 {
		t.Error("after it was deleted as a target it is there")
	}
}

// Names that are the same in Key Vault collide, whichever way they are written, and whatever
// owner has them: 409, and nothing has changed.
func TestSecretRotationNamesCollide(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	operator, via := w.authenticator()
	first := w.resource(via.ID, w.owned(operator))
	first.mappedValue = "A_B.C"
	first.create()
	w.settle()
	w.stack.Vault.Seed("of-another-owner", "the value of another owner", map[string]string{"owner": "finance"})
	second := w.resource(via.ID, w.owned(operator))
	before := w.truth()
	for _, name := range []string{"A_B.C", "A.B_C", "A-B-C", "a_b_c", "a-b-c-staged", "A_B.C_staged", "of-another-owner", "Of_Another.Owner"} {
		second.mappedValue = name
		second.post().refuses(t, http.StatusConflict, "secretsMapping.clientSecret")
	}
	again := *first
	again.mappedValue = "another-name"
	again.post().refuses(t, http.StatusConflict, "already a target of this connection")
	again = *first
	again.post().refuses(t, http.StatusConflict)
	w.untouched("collisions", before)
	second.mappedValue = "A_B"
	second.create()
	w.settle()
	first.planEmpty("after a collision")
}

// Many at once that want one name, as another application's or as the same request: one gets
// it, and nothing of the others is left.
func TestConcurrentSecretRotations(t *testing.T) {
	t.Parallel()
	for name, same := range map[string]bool{"one application each": false, "the same request": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{})
			operator, via := w.authenticator()
			const n = 8
			all := make([]*rotationResource, n)
			for i := range all {
				if all[i] = all[0]; i == 0 || !same {
					all[i] = w.resource(via.ID, w.owned(operator))
					all[i].mappedValue = strings.Replace("A-B-C", "-", []string{"-", "_", "."}[i%3], 1+i%2)
				}
			}
			answers := make(chan reply, n)
			for _, c := range all {
				go func() { answers <- c.post() }()
			}
			statuses := map[int]int{}
			for range n {
				r := <-answers
				statuses[r.status]++
				if r.status != http.StatusOK {
					r.refuses(t, http.StatusConflict)
				}
			}
			w.settle()
			if statuses[http.StatusOK] > 1 || len(w.records()) != 1+statuses[http.StatusOK] {
				t.Errorf("statuses %v, and %d records", statuses, len(w.records()))
			}
			issued := 0
			for _, a := range w.apps {
				issued += len(w.live(a)) - 1
			}
			if issued != statuses[http.StatusOK] {
				t.Errorf("%d client secrets were left after %v", issued, statuses)
			}
			if statuses[http.StatusOK] == 0 { // they may all give way to each other: then the next one gets it
				all[0].create()
			}
		})
	}
}

// A caller who did not get the answer sends the same again: with the same key it is the same
// rotation, without one it is refused; there is one client secret.
func TestSecretRotationTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	operator, via := w.authenticator()
	a := w.owned(operator)
	c := w.resource(via.ID, a)
	body := c.body()
	body["projectId"] = c.project
	var ids []string
	for range 2 {
		r := w.requestAt(auth.Rotate, http.MethodPost, secretRotations, body)
		r.Header.Set("Idempotency-Key", "apply-1")
		ids = append(ids, decode[struct{ SecretRotation struct{ ID string } }](t, w.send(r)).SecretRotation.ID)
	}
	if ids[0] != ids[1] {
		t.Errorf("ids %v", ids)
	}
	c.post().refuses(t, http.StatusConflict)
	w.settle()
	if keys := w.live(a); len(keys) != 2 || len(w.records()) != 2 {
		t.Errorf("client secrets %v, %d records", keys, len(w.records()))
	}
	c.id = ids[0]
	c.planEmpty("after the same request")
	r := w.requestAt(auth.Rotate, http.MethodPost, secretRotations, w.resource(via.ID, w.owned(operator)).body())
	r.Header.Set("Idempotency-Key", "apply-1")
	w.send(r).refuses(t, http.StatusConflict, "another request before")
}

// What is not there, not a rotation's, or not for this caller is refused, and nothing has
// changed.
func TestRefusedSecretRotationsChangeNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	operator, via := w.authenticator()
	elsewhere := w.create(w.sample(), append([]any{"name", "elsewhere", "projectId", unknownID}, off...)...)
	first := w.resource(via.ID, w.owned(operator))
	first.create()
	w.settle()
	c := w.resource(via.ID, w.owned(operator))
	c.mappedValue = "other"
	before := w.truth()
	for _, tt := range []struct {
		edit   func(body object)
		status int
		says   string
	}{
		{func(b object) { b["connectionId"] = unknownID }, 404, "no such connection"},
		{func(b object) { b["connectionId"] = first.id }, 404, "no such connection"},
		{func(b object) { b["connectionId"] = elsewhere.ID }, 400, "belongs to another project"},
		{func(b object) { b["parameters"] = object{"clientId": unknownID} }, 400, ""},
		{func(b object) { b["parameters"] = object{"clientId": w.stack.OwnClientID()} }, 400, ""},
		{func(b object) { b["environment"] = strings.Repeat("x", 65) }, 400, "environment must be at most 64"},
		{func(b object) { b["secretPath"] = strings.Repeat("x", 257) }, 400, "secretPath must be at most 256"},
		{func(b object) { b["secretPath"] = "/a\n/b" }, 400, "control character"},
		{func(b object) { b["environment"] = "a\u202eb" }, 400, "control character"},
		{func(b object) { b["projectId"] = strings.Repeat("x", 65) }, 400, "projectId must be at most 64"},
		{func(b object) { b["name"] = "Not A Slug" }, 400, "name must be"},
		{func(b object) { b["description"] = strings.Repeat("x", 257) }, 400, "description must be"},
		{func(b object) { b["secretsMapping"] = object{"clientId": "SAME_NAME", "clientSecret": "SAME.NAME"} }, 400, "two names"},
	} {
		body := c.body()
		body["projectId"] = c.project
		tt.edit(body)
		w.at(auth.Rotate, http.MethodPost, secretRotations, body).refuses(t, tt.status, tt.says)
	}
	for _, id := range []string{unknownID, via.ID, "x", "..", strings.Repeat("a", 4000)} {
		for _, method := range []string{http.MethodGet, http.MethodPatch, http.MethodDelete} {
			if got := w.at(auth.Admin, method, secretRotations+"/"+id, object{}); got.status != http.StatusNotFound {
				t.Errorf("%s %.40s: status %d: %s", method, id, got.status, got.body)
			}
		}
	}
	for method, path := range map[string]string{
		http.MethodPut: secretRotations, http.MethodDelete: secretRotations, http.MethodPost: secretRotations + "/" + first.id,
	} {
		w.at(auth.Admin, method, path, object{}).refuses(t, http.StatusMethodNotAllowed)
	}
	for _, path := range []string{"/api/v2/secret-rotations", "/api/v2/secret-rotations/aws-iam-user-secret",
		"/api/v1/secret-rotations/azure-client-secret", secretRotations + "/" + first.id + "/x"} {
		w.at(auth.Admin, http.MethodGet, path, nil).refuses(t, http.StatusNotFound, "nothing at this address")
	}
	for method, role := range map[string]auth.Role{
		http.MethodGet: 0, http.MethodPost: auth.Read, http.MethodPatch: auth.Read, http.MethodDelete: auth.Read,
	} {
		path := secretRotations
		if method != http.MethodPost {
			path += "/" + first.id
		}
		status := http.StatusForbidden
		if role == 0 {
			status = http.StatusUnauthorized
		}
		w.at(role, method, path, c.body()).refuses(t, status)
	}
	w.at(auth.Write, http.MethodPost, secretRotations, c.body()).refuses(t, http.StatusForbidden, "rotate")
	w.untouched("refusals", before)
	first.planEmpty("after the refusals")
}

// What is done is in the audit of the target, with the caller.
func TestSecretRotationIsAudited(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	operator, via := w.authenticator()
	c := w.resource(via.ID, w.owned(operator))
	c.create()
	w.settle()
	c.environment = "staging"
	c.apply("the environment")
	c.delete().ok(t)
	w.settle()
	said := ""
	for _, e := range w.audit(via.ID, "/targets/"+c.id) {
		if e.By != nil {
			said += fmt.Sprintf("%s by %s; ", e.Kind, *e.By)
		}
	}
	for _, want := range []string{"connection.created by rotate", "connection.changed by rotate"} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in %s", want, said)
		}
	}
	log := w.watch.Log()
	for _, want := range []string{`"method":"POST","route":"azure-client-secret"`, `"method":"DELETE","route":"azure-client-secret/{id}"`} {
		if !strings.Contains(log, want) {
			t.Errorf("the log has no %s", want)
		}
	}
}
