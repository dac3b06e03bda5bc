package functions_test

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"rekey/shared/auth"
	"rekey/shared/emulator/directory"
	"rekey/shared/emulator/fault"
	"rekey/shared/vaulttag"
)

const secretRotations = "/api/v2/secret-rotations/azure-client-secret"

// rotationResource is a resource of Infisical's Terraform provider, version 0.19.24: what is
// written in the configuration, which the provider also takes for its state after each
// change. It knows Infisical's API and nothing of targets.
type rotationResource struct {
	*world
	id                          string
	name, description           string
	on                          bool
	project, connection         string
	environment, path           string
	interval, hours, minutes    int
	objectID, clientID          string
	mappedClientID, mappedValue string
}

// resource is a configuration for an application that a connection may change.
func (w *world) resource(via string, a directory.Application) *rotationResource {
	return &rotationResource{
		world: w, name: "payroll", description: "by Terraform", on: true, project: "0b1e7e57-0000-4000-8000-0000000000ff", connection: via,
		environment: "prod", path: "/apps/payroll", interval: 30, objectID: a.ObjectID, clientID: a.ClientID,
		mappedClientID: "PAYROLL_CLIENT_ID", mappedValue: "PAYROLL_CLIENT.SECRET",
	}
}

// body is what POST and PATCH have in common. Provider and ID are members without a tag in
// the provider's source.
func (c *rotationResource) body() object {
	return object{
		"Provider": "azure-client-secret", "ID": c.id, "name": c.name, "description": c.description, "connectionId": c.connection,
		"environment": c.environment, "secretPath": c.path, "rotationInterval": c.interval,
		"rotateAtUtc":    object{"hours": c.hours, "minutes": c.minutes},
		"parameters":     object{"objectId": c.objectID, "clientId": c.clientID},
		"secretsMapping": object{"clientId": c.mappedClientID, "clientSecret": c.mappedValue},
	}
}

// known is the part of it that the document knows.
func (c *rotationResource) known() object {
	body := c.body()
	delete(body, "Provider")
	delete(body, "ID")
	return body
}

func (c *rotationResource) post() reply {
	body := c.body()
	delete(body, "ID")
	body["isAutoRotationEnabled"], body["projectId"] = c.on, c.project
	return c.at(auth.Rotate, http.MethodPost, secretRotations, body)
}

// create creates it and takes the id, as the provider does.
func (c *rotationResource) create() {
	c.Helper()
	c.id = decode[struct{ SecretRotation struct{ ID string } }](c.T, c.post()).SecretRotation.ID
	if c.id == "" {
		c.Fatal("the answer has no id")
	}
}

func (c *rotationResource) patch() reply {
	body := c.body()
	if c.on { // its encoder leaves false out
		body["isAutoRotationEnabled"] = true
	}
	return c.at(auth.Rotate, http.MethodPatch, secretRotations+"/"+c.id, body)
}

func (c *rotationResource) delete() reply {
	return c.at(auth.Rotate, http.MethodDelete, secretRotations+"/"+c.id, object{"Provider": "azure-client-secret", "ID": c.id})
}

// read is the provider's refresh: what it finds takes the place of its state. nil: it is
// gone.
func (c *rotationResource) read() *rotationResource {
	c.Helper()
	r := c.at(auth.Read, http.MethodGet, secretRotations+"/"+c.id, nil)
	if r.status == http.StatusNotFound {
		return nil
	}
	got := decode[struct {
		SecretRotation struct {
			ID, Name, Description, ProjectID string
			IsAutoRotationEnabled            bool
			Connection                       struct{ ID string }
			Environment                      struct{ Slug string }
			Folder                           struct{ Path string }
			RotationInterval                 int
			RotateAtUtc                      *struct{ Hours, Minutes int }
			Parameters, SecretsMapping       map[string]any
		}
	}](c.T, r).SecretRotation
	text := func(m map[string]any, name string) string {
		s, ok := m[name].(string)
		if !ok {
			c.Fatalf("%s is no string: %s", name, r.body)
		}
		return s
	}
	is := &rotationResource{
		world: c.world, id: got.ID, name: got.Name, description: got.Description, on: got.IsAutoRotationEnabled, project: got.ProjectID,
		connection: got.Connection.ID, environment: got.Environment.Slug, path: got.Folder.Path, interval: got.RotationInterval,
		objectID: text(got.Parameters, "objectId"), clientID: text(got.Parameters, "clientId"),
		mappedClientID: text(got.SecretsMapping, "clientId"), mappedValue: text(got.SecretsMapping, "clientSecret"),
	}
	if at := got.RotateAtUtc; at != nil {
		is.hours, is.minutes = at.Hours, at.Minutes
	}
	return is
}

// planEmpty requires that there is nothing to do.
func (c *rotationResource) planEmpty(when string) {
	c.Helper()
	if is := c.read(); is == nil || !reflect.DeepEqual(is, c) {
		c.Errorf("%s the plan is not empty: there is %+v, wanted %+v", when, is, c)
	}
}

// apply sends the configuration after a change.
func (c *rotationResource) apply(what string) {
	c.Helper()
	c.patch().ok(c.T)
	c.planEmpty("after a change of " + what)
}

// The whole life of a rotation under Terraform: created, read without drift, while it
// rotates, each attribute changed, turned off and on, deleted, created again.
func TestProviderManagesARotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	operator, via := w.authenticator()
	a := w.owned(operator)
	c := w.resource(via.ID, a)
	c.create()
	c.planEmpty("right after the creation")
	w.settle()
	c.planEmpty("once it has rotated")

	targets := secrets + "/" + via.ID + "/targets"
	one := w.target(w.call(auth.Read, http.MethodGet, targets+"/"+c.id, nil))
	if one.VaultSecretName != "PAYROLL-CLIENT-SECRET" || one.Description != c.description || one.Rotation.RotationInterval != 30 {
		t.Errorf("as a target: %+v", one)
	}
	w.managed(a, "PAYROLL-CLIENT-SECRET", one.Rotation.Current.KeyID, a.KeyID)
	versions := w.stack.Vault.Versions("PAYROLL-CLIENT-SECRET")
	if tags := versions[len(versions)-1].Tags; tags[vaulttag.Client] != a.ClientID || tags[vaulttag.Name] != "payroll" ||
		tags[vaulttag.Project] != c.project {
		t.Errorf("tags %v", tags)
	}
	w.call(auth.Rotate, http.MethodPost, targets+"/"+c.id+"/rotate-credentials", object{"gracePeriodHours": 0}).ok(t)
	w.settle()
	c.planEmpty("after a rotation by hand")

	c.name, c.description = "payroll-2", ""
	c.apply("name and description")
	c.environment, c.path, c.mappedClientID = "staging", "/", "ID"
	c.apply("what means nothing here")
	c.mappedValue = "PAYROLL.CLIENT_SECRET"
	c.apply("the mapping, to what is the same in Key Vault")
	c.interval, c.hours, c.minutes = 7, 4, 30
	c.apply("the schedule")
	c.on = false
	c.apply("rotation, off")
	c.on = true
	c.apply("rotation, on")
	c.connection, c.objectID, c.clientID = strings.ToUpper(c.connection), strings.ToUpper(c.objectID), strings.ToUpper(c.clientID)
	c.apply("the case of ids")

	// Another caller changes it as a target: the plan says so, and applying puts it back.
	w.call(auth.Write, http.MethodPatch, targets+"/"+c.id, object{"description": "by hand", "isAutoRotationEnabled": false}).ok(t)
	if is := c.read(); is.on || is.description != "by hand" {
		t.Errorf("the plan does not see what another caller did: %+v", is)
	}
	c.apply("what another caller did")

	w.settle()
	before := w.live(a)
	value, _, _ := w.published("PAYROLL-CLIENT-SECRET")
	c.delete().ok(t)
	if c.read() != nil {
		t.Error("after the deletion it is there")
	}
	c.delete().refuses(t, http.StatusNotFound, "no such secret rotation")
	w.settle()
	if now, _, ok := w.published("PAYROLL-CLIENT-SECRET"); !ok || now != value || !w.stack.Directory.Authenticates(a.ClientID, value) {
		t.Error("the deletion has taken away what consumers read")
	}
	if now := w.live(a); !reflect.DeepEqual(now, before) {
		t.Errorf("live client secrets %v, want %v", now, before)
	}
	old := c.id
	c.create()
	c.planEmpty("after it was created again")
	if c.id == old {
		t.Error("the id is that of the deleted one")
	}
	w.settle()
	one = w.target(w.call(auth.Read, http.MethodGet, targets+"/"+c.id, nil))
	w.managed(a, "PAYROLL-CLIENT-SECRET", one.Rotation.Current.KeyID, before...)
}

// With -replace the creation follows the deletion at once. Where nothing is left to be
// removed it succeeds at once; where something is, it is refused until that is gone, and
// then it succeeds.
func TestProviderReplacesARotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	operator, via := w.authenticator()
	a := w.owned(operator)
	c := w.resource(via.ID, a)
	c.create()
	w.settle()
	c.delete().ok(t)
	c.create()
	w.settle()
	c.planEmpty("after it was replaced")

	// The old one has its grace period.
	w.call(auth.Rotate, http.MethodPost, secrets+"/"+via.ID+"/targets/"+c.id+"/rotate-credentials", nil).ok(t)
	w.stack.Break(func(op string, _ *http.Request) *fault.Effect {
		if op == "graph.removePassword" {
			return &down
		}
		return nil
	})
	c.delete().ok(t)
	got := c.post()
	got.refuses(t, http.StatusConflict, "is being deleted")
	if got.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	w.stack.Break(nil)
	w.settle()
	c.create()
	w.settle()
	c.planEmpty("after it was replaced with one in its grace period")
}

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
	again.post().refuses(t, http.StatusConflict, "rotates this application already")
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

// Terraform creates ten at once: through one connection, all of them are made, and none
// drifts.
func TestManySecretRotationsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	operator, via := w.authenticator()
	all := make([]*rotationResource, 10)
	answers := make(chan func(), len(all))
	for i := range all {
		c := w.resource(via.ID, w.owned(operator))
		c.name, c.mappedValue = fmt.Sprintf("app-%d", i), fmt.Sprintf("APP_%d", i)
		all[i] = c
	}
	for _, c := range all {
		go func() {
			got := c.post()
			answers <- func() {
				c.id = decode[struct{ SecretRotation struct{ ID string } }](t, got).SecretRotation.ID
			}
		}()
	}
	for range all {
		(<-answers)()
	}
	w.settle()
	for _, c := range all {
		c.planEmpty("after ten were created at once")
		if _, _, ok := w.published(strings.ReplaceAll(c.mappedValue, "_", "-")); !ok {
			t.Errorf("nothing is published for %s", c.name)
		}
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
	log := w.watch.log()
	for _, want := range []string{`"method":"POST","route":"azure-client-secret"`, `"method":"DELETE","route":"azure-client-secret/{id}"`} {
		if !strings.Contains(log, want) {
			t.Errorf("the log has no %s", want)
		}
	}
}
