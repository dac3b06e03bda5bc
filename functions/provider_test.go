package functions_test

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"rekey/shared/auth"
	"rekey/shared/emulator/directory"
	"rekey/shared/emulator/fault"
	"rekey/shared/vaulttag"
)

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
	w := newWorld(t, options{budget: 10 * time.Second})
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
