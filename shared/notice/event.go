package notice

import (
	"encoding/json"
	"fmt"
	"time"

	"rekey/shared/history"
	"rekey/shared/serviceerror"
)

// MediaType is that of a body: one CloudEvent in JSON (CloudEvents 1.0.2, JSON format,
// section 3; HTTP binding, section 3.2, structured mode).
const MediaType = "application/cloudevents+json"

// Event is the body of a notice: a CloudEvent. Receivers should ignore members that
// they do not know.
type Event struct {
	SpecVersion     string    `json:"specversion"` // "1.0"
	ID              string    `json:"id"`          // the same as webhook-id; unique within Source
	Source          string    `json:"source"`      // "rekey/" and the deployment's id
	Type            string    `json:"type"`        // "rekey." and the kind of the event (package history)
	Subject         string    `json:"subject"`     // the connection's id; of a notice of an inventory, the tenant's
	Time            time.Time `json:"time"`        // when it happened, not when it was sent
	DataContentType string    `json:"datacontenttype"`
	Data            Data      `json:"data"`
}

// inventoryPath is where the API serves inventories.
const inventoryPath = ".../azure-client-secrets/inventory"

// Data says what has happened, and what to do about it.
type Data struct {
	// Connection is what it is about; of a notice of an inventory, the one that the scan signed in
	// as, of which there is the id only.
	Connection  Connection   `json:"connection"`
	Application *Application `json:"application,omitempty"`
	TenantID    string       `json:"tenantId,omitempty"` // whose inventory it is about
	ScanID      string       `json:"scanId,omitempty"`   // the scan that found it
	// State is what the connection or the inventory is in since then: [StateAttention] or
	// [StateRecovered].
	State   string   `json:"state"`
	Problem *Problem `json:"problem,omitempty"` // left out where there is none
	KeyID   string   `json:"keyId,omitempty"`   // the client secret that it is about
	RunID   string   `json:"runId,omitempty"`   // the rotation that it happened in
	Advice  string   `json:"advice"`            // what a person should do, in a sentence or two
}

// The states.
const (
	StateAttention = "attention" // a person should look
	StateRecovered = "recovered" // what was wrong is not any more
)

// Connection names a connection. ProjectID is empty where it has none.
type Connection struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	ProjectID string `json:"projectId"`
}

// Application is the one whose client secrets are rotated.
type Application struct {
	TenantID string `json:"tenantId"`
	ClientID string `json:"clientId"`
}

// Problem is what is wrong. Class is one of the serviceerror.Class constants, empty where
// nothing has failed yet; Message is for people.
type Problem struct {
	Class   serviceerror.Class `json:"class,omitempty"`
	Message string             `json:"message"`
}

// body returns the CloudEvent for n. It is the same each time, so that a receiver may
// also compare bodies.
func body(deployment string, n Notice) ([]byte, error) {
	e := Event{
		SpecVersion: "1.0", ID: n.ID, Source: "rekey/" + deployment, Type: "rekey." + n.Kind, Subject: n.Connection,
		Time: n.At.UTC(), DataContentType: "application/json",
		Data: Data{
			Connection: Connection{ID: n.Connection, Name: n.Name, ProjectID: n.Project},
			State:      state(n.Kind), KeyID: n.KeyID, RunID: n.RunID, Advice: advice(n),
		},
	}
	if isInventory(n) {
		e.Subject, e.Data.Connection = n.TenantID, Connection{ID: n.Via}
		e.Data.TenantID, e.Data.ScanID = n.TenantID, n.ScanID
	}
	if n.ClientID != "" {
		e.Data.Application = &Application{TenantID: n.TenantID, ClientID: n.ClientID}
	}
	if e.Data.State != StateRecovered && (n.Class != "" || n.Message != "") {
		e.Data.Problem = &Problem{Class: n.Class, Message: n.Message}
	}
	text, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encoding a notice: %w", err)
	}
	return text, nil
}

// isInventory reports whether n is about a tenant, and not about a connection.
func isInventory(n Notice) bool {
	return n.Kind == history.InventoryFindings || n.Kind == history.InventoryFailed
}

// state is what a connection is in after an event of that kind.
func state(kind string) string {
	switch kind {
	case history.Recovered, history.SignInBack:
		return StateRecovered
	}
	return StateAttention
}

// advice says what to do about n. What failed has advice of its own.
func advice(n Notice) string {
	if state(n.Kind) == StateRecovered {
		return "Nothing has to be done."
	}
	if text := n.Class.Advice(); text != "" {
		return text
	}
	switch n.Kind {
	case history.Expiring:
		return "Turn rotation on for this connection, or give it new credentials before the old ones end."
	case history.ByHand:
		return "Remove the client secret with this key id from the application in Entra: Rekey can't any more."
	case history.InventoryFindings:
		return "Look at what was found, and do what it says there, or accept it: GET " + inventoryPath + "?tenantId=" + n.TenantID + "."
	case history.InventoryFailed:
		return "Look at why the scan does not come to its end: GET " + inventoryPath + "/scans/" + n.ScanID +
			". Until one does, the inventory shows what the last complete one found."
	}
	return "Look at the connection: its record and its history say what is wrong and what to do."
}
