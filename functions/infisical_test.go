package functions_test

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"rekey/shared/auth"
	"rekey/shared/emulator/directory"
)

// infisicalClient is a program that was written for Infisical's API and was given another
// address and token, no more. It keeps what it has made and compares it with what it
// reads, as Terraform does.
type infisicalClient struct {
	*client
	token string
	state map[string]any
}

func (c *infisicalClient) ask(method, path string, body any) reply {
	c.t.Helper()
	r := c.request(0, method, path, body)
	r.Header.Set("Authorization", "Bearer "+c.token)
	r.Header.Set("User-Agent", "terraform")
	return c.send(r)
}

// keep remembers what such a client stores of an answer. It can't read an answer that
// lacks one of these, or has another type for it.
func (c *infisicalClient) keep(r reply) {
	c.t.Helper()
	got := decode[struct {
		AppConnection struct {
			ID, Name, App, Method, OrgID string
			Description                  *string
			ProjectID                    *string
			Credentials                  struct{ ClientID, TenantID string }
			CredentialsHash              string
			IsPlatformManagedCredentials *bool
			IsAutoRotationEnabled        *bool
			Rotation                     struct {
				RotationInterval *int
				RotateAtUtc      struct{ Hours, Minutes *int }
				RotationStatus   *string
				NextRotationAt   *string
			}
		}
	}](c.t, r).AppConnection
	if got.IsAutoRotationEnabled == nil || got.IsPlatformManagedCredentials == nil || got.Rotation.RotationInterval == nil ||
		got.Rotation.RotateAtUtc.Hours == nil || got.CredentialsHash == "" {
		c.t.Fatalf("an answer without what the client reads: %s", r.body)
	}
	status := "success"
	if s := got.Rotation.RotationStatus; s != nil && *s != "success" {
		status = *s
	}
	c.state = map[string]any{
		"id": got.ID, "name": got.Name, "app": got.App, "method": got.Method, "orgId": got.OrgID, "description": got.Description,
		"projectId": got.ProjectID,
		"tenant":    got.Credentials.TenantID, "client": got.Credentials.ClientID, "hash": got.CredentialsHash, "on": *got.IsAutoRotationEnabled,
		"interval": *got.Rotation.RotationInterval, "hours": *got.Rotation.RotateAtUtc.Hours, "minutes": *got.Rotation.RotateAtUtc.Minutes,
		"status": status,
	}
}

// unchanged reads the connection anew and fails if anything that the client compares is
// another now: it would want to repair that.
func (c *infisicalClient) unchanged(when string) {
	c.t.Helper()
	before := c.state
	c.keep(c.ask(http.MethodGet, secrets+"/"+before["id"].(string), nil))
	if !reflect.DeepEqual(before, c.state) {
		c.t.Errorf("drift %s: from %v to %v", when, before, c.state)
	}
}

// A client of Infisical's creates, reads, changes and deletes a connection, which is
// rotated meanwhile, and notices no difference.
func TestClientThatKnowsInfisicalOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	a := w.sample()
	c := &infisicalClient{client: w.client, token: w.keys[auth.Rotate].Reveal()}
	body := object{
		"name": "tf-billing", "description": "made by Terraform", "method": "client-secret", "app": "azure-client-secrets", "projectId": nil,
		"credentials": object{"tenantId": a.TenantID, "clientId": a.ClientID, "clientSecret": a.Secret, "clientSecretKeyId": a.KeyID,
			"accessToken": nil},
		"isAutoRotationEnabled": true, "isPlatformManagedCredentials": false, "gatewayId": nil, "configuration": object{"x": []int{1}},
		"rotation": object{"rotationInterval": 30, "rotateAtUtc": object{"hours": 2, "minutes": 30}, "extra": "ignored"},
	}
	c.keep(c.ask(http.MethodPost, secrets, body))
	path := secrets + "/" + c.state["id"].(string)
	c.unchanged("right after the creation")
	w.settle()
	c.unchanged("once everything is done")
	first := w.record(c.state["id"].(string)).Current.KeyID

	w.rotateNow(c.state["id"].(string)).ok(t)
	w.settle()
	c.unchanged("after a managed rotation")
	if now := w.record(c.state["id"].(string)).Current.KeyID; now == first {
		t.Error("nothing was rotated")
	}

	// A change sends the whole resource, unless the provider compares.
	delete(body, "credentials")
	body["description"], body["rotation"] = nil, object{"rotationInterval": 60, "rotateAtUtc": object{"hours": 4, "minutes": 0}}
	c.keep(c.ask(http.MethodPatch, path, body))
	if c.state["interval"] != 60 || c.state["hours"] != 4 || c.state["description"] != (*string)(nil) {
		t.Errorf("after the change: %v", c.state)
	}
	c.unchanged("after the change")
	c.ask(http.MethodPatch, path, object{"isAutoRotationEnabled": false}).ok(t)
	c.ask(http.MethodPatch, path, object{"isAutoRotationEnabled": true}).ok(t)
	c.unchanged("after rotation was off and on")
	c.newSecret(w, a, path)

	c.ask(http.MethodDelete, path, nil).ok(t)
	if got := c.ask(http.MethodGet, path, nil); got.status != http.StatusNotFound {
		t.Errorf("after the deletion: status %d", got.status)
	}
	c.ask(http.MethodDelete, path, nil).refuses(t, http.StatusNotFound)
	if list := c.ask(http.MethodGet, "", nil); strings.Contains(string(list.body), "tf-billing") {
		t.Errorf("the list still has it: %s", list.body)
	}
}

// newSecret gives the connection a client secret that a person made by hand: the hash
// says that the credentials are others, once, and stays.
func (c *infisicalClient) newSecret(w *world, a directory.Application, path string) {
	c.t.Helper()
	key, secret := w.foreign(a, w.clock.Now().AddDate(1, 0, 0))
	before := c.state["hash"]
	c.keep(c.ask(http.MethodPatch, path, object{
		"credentials":           object{"tenantId": a.TenantID, "clientId": a.ClientID, "clientSecret": secret, "clientSecretKeyId": key},
		"isAutoRotationEnabled": true,
		"rotation":              object{"rotationInterval": 60, "rotateAtUtc": object{"hours": 4, "minutes": 0}, "gracePeriodHours": 0},
	}))
	if c.state["hash"] == before {
		c.t.Error("the hash does not say that the credentials are others")
	}
	w.settle()
	c.unchanged("after new credentials")
	rec := w.record(c.state["id"].(string))
	w.managed(a, rec.VaultName, rec.Current.KeyID)
	if rec.Current.KeyID == key {
		c.t.Error("the given client secret was not rotated")
	}
}

func (r reply) ok(t *testing.T) {
	t.Helper()
	if r.status != http.StatusOK || !json.Valid(r.body) {
		t.Fatalf("status %d: %s", r.status, r.body)
	}
}
