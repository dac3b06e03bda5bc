package lifecycle_test

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"rekey/shared/emulator/directory"
)

// view is what the stories read of a connection or a target.
type view struct {
	ID, Name, Method, App, OrgID string
	Description                  *string
	Version                      int64
	Credentials                  map[string]any
	CredentialsHash              string
	IsAutoRotationEnabled        bool
	VaultSecretName              string
	Attention                    []string
	Rotation, RotationState      *rotation // the state alone where there was never a schedule
	Authentication               *struct {
		Thumbprint, Account *string
		Problem             *struct{ Class, Message string }
	}
	ConnectionID string // of a target
	Application  struct{ ClientID, ObjectID string }
}

type rotation struct {
	State, TimeZone  string
	Settled          bool
	RotationInterval int
	RotateAtUtc      struct{ Hours, Minutes int }
	RotationStatus   *string
	NextRotationAt   *time.Time
	Current          *struct{ KeyID string }
	Retiring         []struct {
		KeyID       string
		RevokeAfter time.Time
	}
	LastRun *struct{ Trigger, Outcome, KeyID string }
}

func (v view) key() string {
	if v.Rotation == nil || v.Rotation.Current == nil {
		return ""
	}
	return v.Rotation.Current.KeyID
}

func (v view) description() string {
	if v.Description == nil {
		return ""
	}
	return *v.Description
}

// one reads an answer with one connection or target.
func (w *world) one(got reply) view {
	w.Helper()
	v := decode[struct{ AppConnection, Target *view }](w, got)
	one := cmp.Or(v.AppConnection, v.Target)
	if one == nil {
		w.Fatalf("neither a connection nor a target: %s", got.body)
	}
	one.Rotation = cmp.Or(one.Rotation, one.RotationState)
	return *one
}

// get reads the connection or target at a path.
func (w *world) get(path string) view {
	w.Helper()
	return w.one(w.call("read", http.MethodGet, path, nil))
}

func (w *world) patch(role, path string, body object) view {
	w.Helper()
	return w.one(w.call(role, http.MethodPatch, path, body))
}

// rotate asks for a rotation by hand.
func (w *world) rotate(path string, body any) view {
	w.Helper()
	return w.one(w.call("rotate", http.MethodPost, path+"/rotate-credentials", body))
}

// deleted deletes what is at a path, and requires that it is not there any more.
func (w *world) deleted(path, query string) {
	w.Helper()
	w.one(w.call("rotate", http.MethodDelete, path+query, nil))
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		w.refused(http.StatusNotFound, "write", method, path, nil)
	}
}

// daily is a schedule.
func daily() object {
	return object{"rotationInterval": 1, "rotateAtUtc": object{"hours": 3, "minutes": 30}, "gracePeriodHours": 0}
}

// credentials are those of an application as its owner knows them.
func credentials(a directory.Application) object {
	return object{"tenantId": a.TenantID, "clientId": a.ClientID, "clientSecret": a.Secret, "clientSecretKeyId": a.KeyID}
}

// creation is the body that connects a by client secret, with rotation on. What over has
// takes the place of its members; nil takes one away.
func creation(a directory.Application, over object) object {
	body := object{
		"name": "billing", "method": "client-secret", "credentials": credentials(a), "isAutoRotationEnabled": true,
		"rotation": object{"rotationInterval": 30, "rotateAt": object{"hours": 3, "minutes": 15}, "timeZone": "Europe/Berlin"},
	}
	maps.Copy(body, over)
	maps.DeleteFunc(body, func(_ string, v any) bool { return v == nil })
	return body
}

// without takes members away from an object.
func without(o object, names ...string) object {
	o = maps.Clone(o)
	for _, name := range names {
		delete(o, name)
	}
	return o
}

// connect connects a and returns it with its path, once nothing is left to do.
func (w *world) connect(a directory.Application, over object) (path string, made view) {
	w.Helper()
	made = w.one(w.call("rotate", http.MethodPost, secrets, creation(a, over)))
	path = secrets + "/" + made.ID
	return path, w.settled(path)
}

// settled lets the timer run until nothing is left to do but what has to wait for the end
// of a grace period, and returns what is at the path then.
func (w *world) settled(path string) (now view) {
	w.Helper()
	w.until("settled", func() bool {
		now = w.get(path)
		if now.Rotation == nil {
			return true
		}
		due := slices.ContainsFunc(now.Rotation.Retiring, func(r struct {
			KeyID       string
			RevokeAfter time.Time
		}) bool {
			return time.Until(r.RevokeAfter) < time.Minute
		})
		return now.Rotation.Settled && now.Rotation.State == "idle" && !due
	})
	return now
}

// run is a run in the history.
type run struct{ Trigger, Outcome, KeyID, RequestedBy string }

// history returns the runs, the oldest first, and the key ids of what was revoked and is
// gone.
func (w *world) history(path string) (runs []run, gone []string) {
	w.Helper()
	past := decode[struct {
		Rotations   []run
		Revocations []struct {
			KeyID             string
			RevokedAt, GoneAt *time.Time
		}
	}](w, w.call("read", http.MethodGet, path+"/rotations", nil))
	for _, r := range past.Revocations {
		if r.RevokedAt != nil && r.GoneAt != nil {
			gone = append(gone, r.KeyID)
		}
	}
	slices.Reverse(past.Rotations)
	return past.Rotations, gone
}

// audited requires that an audit has events of these kinds, by these callers, in the form
// "kind by caller".
func (w *world) audited(path string, want ...string) {
	w.Helper()
	page := decode[struct {
		Events []struct {
			Kind string
			By   *string
		}
	}](w, w.call("admin", http.MethodGet, path+"/audit?limit=1000", nil))
	have := []string{}
	for _, e := range page.Events {
		if e.By != nil {
			have = append(have, e.Kind+" by "+*e.By)
		} else {
			have = append(have, e.Kind)
		}
	}
	for _, event := range want {
		if !slices.Contains(have, event) {
			w.Errorf("the audit has no %q: %s", event, strings.Join(have, ", "))
		}
	}
}

// names lists the names of all connections.
func (w *world) names() []string {
	w.Helper()
	names := []string{}
	for _, v := range decode[struct{ AppConnections []view }](w, w.call("read", http.MethodGet, secrets, nil)).AppConnections {
		names = append(names, v.Name)
	}
	return names
}
