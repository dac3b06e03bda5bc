package functions_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"rekey/shared/auth"
	"rekey/shared/emulator/directory"
	"rekey/shared/emulator/fault"
)

// refusal is a request that must be refused: with what status, in which words, and
// without having changed anything.
type refusal struct {
	name    string
	options options
	status  int
	says    []string
	// body prepares the world and returns what is posted to create a connection.
	body func(w *world) any
}

// with is a body that connects a usual application, edited.
func with(edits ...any) func(*world) any {
	return func(w *world) any { return creation(w.sample(), edits...) }
}

// registered is a body that connects an application that is registered like that.
func registered(r directory.Registration, edits ...any) func(*world) any {
	return func(w *world) any { return creation(w.add(r), edits...) }
}

// broken is a usual body in a world whose services refuse or fail what the
// predicate says.
func broken(e fault.Effect, breaks func(op string) bool) func(*world) any {
	return func(w *world) any {
		body := creation(w.sample())
		w.stack.Break(func(op string, _ *http.Request) *fault.Effect {
			if breaks(op) {
				return &e
			}
			return nil
		})
		return body
	}
}

func below(service string) func(op string) bool {
	return func(op string) bool { return strings.HasPrefix(op, service+".") }
}

// beside is a body that is posted while another connection exists: one of app,
// edited by first. What it returns is edited by second.
func beside(first []any, second func(first view, a directory.Application, w *world) []any) func(*world) any {
	return func(w *world) any {
		a := w.sample()
		made := w.create(a, first...)
		w.settle()
		return creation(w.sample(), second(made, a, w)...)
	}
}

const unknownID = "0b1e7e57-0000-4000-8000-00000000000a"

var (
	owned = directory.Settings{Roles: []string{directory.RoleReadWriteOwnedBy}}
	// vaultRefuses is how a vault answers that lacks a role for Rekey, or has a firewall.
	vaultRefuses = fault.Effect{Status: http.StatusForbidden, Code: "Forbidden", Text: "caller is not authorized"}
	down         = fault.Effect{Status: http.StatusServiceUnavailable}
)

// The refusals that Entra and Graph give reason for.
var entraRefusals = []refusal{
	{"wrong secret", options{}, 400, []string{"refuses the client secret", "value", "AADSTS7000215"}, func(w *world) any {
		w.watch.Issued("abc8Q~wrong-wrong-wrong-wrong-wrong-wron")
		return creation(w.sample(), "credentials.clientSecret", "abc8Q~wrong-wrong-wrong-wrong-wrong-wron")
	}},
	{"secret's id for its value", options{}, 400, []string{"clientSecret", "looks like the secret's id", "value"}, func(w *world) any {
		a := w.sample()
		return creation(a, "credentials.clientSecret", a.KeyID)
	}},
	{"unknown tenant", options{}, 400, []string{"tenant was not found", "Check the tenant id"}, with("credentials.tenantId", unknownID)},
	{"unknown app", options{}, 400, []string{"not found in this tenant", "client id"}, with("credentials.clientId", unknownID)},
	{"no permission", options{}, 400, []string{"Application.ReadWrite.OwnedBy", "admin consent", "owner"},
		registered(directory.Registration{OwnsItself: true})},
	{"permission to read only", options{}, 400, []string{"Application.ReadWrite.OwnedBy", "admin consent"},
		registered(directory.Registration{OwnsItself: true, Settings: directory.Settings{Roles: []string{directory.RoleReadAll}}})},
	{"not its own owner", options{}, 400, []string{"is not an owner of the application", "Add its service principal", "to the owners"},
		registered(directory.Registration{Settings: owned})},
	{"no permission, opaque token", options{opaque: true}, 400, []string{"Application.ReadWrite.OwnedBy"},
		registered(directory.Registration{OwnsItself: true})},
	{"not its own owner, opaque token", options{opaque: true}, 400, []string{"make its service principal an owner", "Nothing was changed"},
		registered(directory.Registration{Settings: owned})},
	{"permission to read only, opaque token", options{opaque: true}, 400, []string{"Application.ReadWrite.OwnedBy", "Nothing was changed"},
		registered(directory.Registration{OwnsItself: true, Settings: directory.Settings{Roles: []string{directory.RoleReadAll}}})},
	{"wrong key id", options{}, 400, []string{"no client secret with the key id " + unknownID, "Secret ID"},
		with("credentials.clientSecretKeyId", unknownID)},
	{"key id of another live credential", options{}, 400, []string{"another client secret", "another owner's"}, func(w *world) any {
		a := w.sample()
		key, _ := w.foreign(a, w.clock.Now().AddDate(1, 0, 0))
		return creation(a, "credentials.clientSecretKeyId", key)
	}},
	{"key id of the service principal", options{}, 400, []string{"service principal", "app registration"}, func(w *world) any {
		a := w.add(directory.Registration{OwnsItself: true, Settings: owned, ServicePrincipalPasswords: 1})
		return creation(a, "credentials.clientSecretKeyId", w.principalKeys(a)[0])
	}},
	{"expired secret", options{}, 400, []string{"has expired", "Create a new one"}, func(w *world) any {
		return creation(w.add(directory.Registration{OwnsItself: true, Settings: owned, SecretExpiresAt: w.clock.Now().Add(-time.Hour)}))
	}},
	{"key id of an expired secret", options{}, 400, []string{"ended on", "can't be the one"}, func(w *world) any {
		a := w.sample()
		key, _ := w.foreign(a, w.clock.Now().Add(-time.Hour))
		return creation(a, "credentials.clientSecretKeyId", key)
	}},
	{"key id left out, several fit", options{}, 400, []string{"clientSecretKeyId", "Secret ID", "It could be"}, func(w *world) any {
		a := w.sample()
		w.twin(a)
		return creation(a, "credentials.clientSecretKeyId", absent)
	}},
	{"policy allows less than a day", options{}, 400,
		[]string{"app management policy", "how long", "shorter rotation interval", "Nothing was changed"},
		registered(directory.Registration{OwnsItself: true, Settings: directory.Settings{
			Roles: owned.Roles, Policy: directory.Policy{ID: unknownID, MaxLifetime: 10 * time.Hour}}})},
	{"policy forbids secrets", options{}, 400, []string{"policy", "forbids new client secrets", "Exempt", "Nothing was changed"},
		registered(directory.Registration{OwnsItself: true, Settings: directory.Settings{
			Roles: owned.Roles, Policy: directory.Policy{ID: unknownID, ForbidPasswords: true}}})},
	{"room for two secrets only, and both taken", options{}, 400, []string{"two client secrets at most", "Remove one"}, func(w *world) any {
		a := w.add(directory.Registration{OwnsItself: true,
			Settings: directory.Settings{Roles: owned.Roles, SignInAudience: "AzureADandPersonalMicrosoftAccount"}})
		w.foreign(a, w.clock.Now().AddDate(1, 0, 0))
		return creation(a)
	}},
	{"Rekey's own application", options{}, 400, []string{"Rekey's own identity", "application of its own"}, func(w *world) any {
		return creation(w.sample(), "credentials.clientId", w.stack.OwnClientID(), "credentials.clientSecret", w.stack.OwnSecret())
	}},
	{"application rotated by another connection", options{}, 409, []string{"rotates this application already", "delete it first"},
		beside(nil, func(first view, a directory.Application, w *world) []any {
			value, key, _ := w.published(first.VaultSecretName)
			return []any{"name", "other", "credentials.clientId", a.ClientID, "credentials.clientSecret", value,
				"credentials.clientSecretKeyId", key}
		})},
}

// The refusals that other connections, the vault and the table give reason for.
var serviceRefusals = []refusal{
	{"name taken", options{}, 400, []string{`"billing" already exists`, "another name"},
		beside(nil, func(view, directory.Application, *world) []any { return nil })},
	{"name and vault name taken, as by a caller who has lost the answer", options{}, 400, []string{`"billing" already exists`},
		beside(nil, func(first view, _ directory.Application, _ *world) []any {
			return []any{"vaultSecretName", first.VaultSecretName}
		})},
	{"vault name taken by another owner", options{}, 400, []string{`"of-another-owner"`, "Choose another vaultSecretName"},
		func(w *world) any {
			w.stack.Vault.Seed("of-another-owner", "the value of another owner", map[string]string{"owner": "finance"})
			return creation(w.sample(), "vaultSecretName", "of-another-owner")
		}},
	{"staged vault name taken by another owner", options{}, 400, []string{`"billing-staged"`, "Choose another vaultSecretName"},
		func(w *world) any {
			w.stack.Vault.Seed("billing-staged", "the value of another owner", nil)
			return creation(w.sample(), "vaultSecretName", "billing")
		}},
	{"vault name taken by another connection", options{}, 400, []string{`"Billing-Secret"`, "used by another connection", "Choose another"},
		beside([]any{"vaultSecretName", "billing-secret"}, func(view, directory.Application, *world) []any {
			return []any{"name", "other", "vaultSecretName", "Billing-Secret"}
		})},
	{"vault name is the staged one of another connection", options{}, 400, []string{"used by another connection"},
		beside([]any{"vaultSecretName", "billing-secret"}, func(view, directory.Application, *world) []any {
			return []any{"name", "other", "vaultSecretName", "billing-secret-staged"}
		})},
	{"vault refuses everything", options{}, 503, []string{"Key Vault refuses Rekey", "Key Vault Secrets Officer", "network rules"},
		broken(vaultRefuses, below("vault"))},
	{"vault refuses to be written", options{}, 503, []string{"Key Vault refuses Rekey", "Key Vault Secrets Officer"},
		broken(vaultRefuses, func(op string) bool { return op == "vault.set" || op == "vault.update" || op == "vault.delete" })},
	{"vault down", options{}, 503, []string{"try again", "Nothing was changed"}, broken(down, below("vault"))},
	{"table down", options{}, 503, []string{"try again", "Nothing was changed"}, broken(down, below("table"))},
	{"table takes no writes", options{}, 503, []string{"try again", "Nothing was changed"},
		broken(down, func(op string) bool { return below("table")(op) && op != "table.get" && op != "table.query" })},
	{"table refuses Rekey", options{}, 503, []string{"Storage Table Data Contributor"},
		broken(fault.Effect{Status: http.StatusForbidden, Code: "AuthorizationPermissionMismatch"}, below("table"))},
	{"Entra down", options{}, 503, []string{"try again", "Nothing was changed"}, func(w *world) any {
		a := w.sample()
		w.stack.Break(func(op string, r *http.Request) *fault.Effect {
			if op == directory.OpToken && r.ParseForm() == nil && r.PostForm.Get("client_id") == a.ClientID {
				return &down
			}
			return nil
		})
		return creation(a)
	}},
	{"Graph down", options{}, 503, []string{"try again", "Nothing was changed"}, broken(down, below("graph"))},
	{"Graph throttles", options{}, 503, []string{"try again", "Nothing was changed"},
		broken(fault.Effect{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"17"}}}, below("graph"))},
}

// The refusals that the request itself gives reason for.
var inputRefusals = []refusal{
	{"no body", options{}, 400, []string{"body"}, func(w *world) any { w.sample(); return "" }},
	{"malformed JSON", options{}, 400, []string{"not JSON", "byte"},
		func(w *world) any { w.sample(); return `{"name": "billing", "credentials": {"clientSecret": }` }},
	{"two JSON values", options{}, 400, []string{"not JSON"}, func(w *world) any { w.sample(); return `{"name":"a"} {"name":"b"}` }},
	{"a list", options{}, 400, []string{"wrong type", "object"}, func(w *world) any { w.sample(); return `[]` }},
	{"10 MB", options{}, 413, []string{"larger than 256 KiB"}, with("description", strings.Repeat("x", 10<<20))},
	{"wrong type of name", options{}, 400, []string{"name", "wrong type", "a string"}, with("name", 7)},
	{"wrong type of secret", options{}, 400, []string{"credentials.clientSecret", "must be a string"},
		with("credentials.clientSecret", object{"value": "x"})},
	{"wrong type of interval", options{}, 400, []string{"rotation.rotationInterval", "a whole number"},
		with("rotation.rotationInterval", "thirty")},
	{"fraction of a day", options{}, 400, []string{"rotation.rotationInterval", "a whole number"}, with("rotation.rotationInterval", 1.5)},
	{"wrong type of credentials", options{}, 400, []string{"credentials", "an object"}, with("credentials", "secret")},
	{"wrong type of a flag", options{}, 400, []string{"isAutoRotationEnabled", "true or false"}, with("isAutoRotationEnabled", "yes")},
	{"no name", options{}, 400, []string{"name must be", "lower-case"}, with("name", absent)},
	{"name that is no slug", options{}, 400, []string{"name must be", "lower-case"}, with("name", "Billing App")},
	{"long description", options{}, 400, []string{"description", "256"}, with("description", strings.Repeat("x", 257))},
	{"project of two lines", options{}, 400, []string{"projectId", "one line"}, with("projectId", "fin\nance")},
	{"no credentials", options{}, 400, []string{"credentials.tenantId", "credentials.clientId", "credentials.clientSecret is missing"},
		with("credentials", absent)},
	{"tenant that is no UUID", options{}, 400, []string{"credentials.tenantId", "Directory (tenant) ID"},
		with("credentials.tenantId", "contoso.onmicrosoft.com")},
	{"key id that is no UUID", options{}, 400, []string{"credentials.clientSecretKeyId", "Secret ID"},
		with("credentials.clientSecretKeyId", "my secret")},
	{"space within the secret", options{}, 400, []string{"credentials.clientSecret", "without spaces"},
		with("credentials.clientSecret", "two words")},
	{"no method", options{}, 400, []string{"method is missing", "client-secret"}, with("method", absent)},
	{"method oauth, not configured", options{}, 400, []string{"OAuth is not configured"}, with("method", "oauth")},
	{"unknown method", options{}, 400, []string{"method must be", "client-secret"}, with("method", "password")},
	{"gateway", options{}, 400, []string{"gatewayId", "not supported"}, with("gatewayId", unknownID)},
	{"no rotation", options{}, 400, []string{"rotation is required", "rotationInterval", "rotateAt"}, with("rotation", absent)},
	{"no time of day", options{}, 400, []string{"time of day", "rotateAtUtc"}, with("rotation.rotateAt", absent, "rotation.timeZone", absent)},
	{"bad zone", options{}, 400, []string{"time zone", "IANA"}, with("rotation.timeZone", "Mars/Phobos")},
	{"zone without rotateAt", options{}, 400, []string{"timeZone goes with rotateAt"},
		with("rotation.rotateAt", absent, "rotation.rotateAtUtc", object{"hours": 1, "minutes": 0})},
	{"rotateAt and rotateAtUtc disagree", options{}, 400, []string{"rotateAtUtc says 09:00", "Give one of the two"},
		with("rotation.rotateAtUtc", object{"hours": 9, "minutes": 0})},
	{"hour 24", options{}, 400, []string{"hours"}, with("rotation.rotateAt", object{"hours": 24, "minutes": 0})},
	{"minute 60", options{}, 400, []string{"minutes"}, with("rotation.rotateAt", object{"hours": 3, "minutes": 60})},
	{"interval 0", options{}, 400, []string{"1 to 365"}, with("rotation.rotationInterval", 0)},
	{"interval 366", options{}, 400, []string{"1 to 365"}, with("rotation.rotationInterval", 366)},
	{"interval 0 with rotation off", options{}, 400, []string{"1 to 365"},
		with("rotation.rotationInterval", 0, "isAutoRotationEnabled", false)},
	{"grace below 0", options{}, 400, []string{"gracePeriodHours"}, with("rotation.gracePeriodHours", -1)},
	{"grace of a year", options{}, 400, []string{"originalGracePeriodHours", "720"}, with("rotation.originalGracePeriodHours", 8760)},
	{"vault name with an underscore", options{}, 400, []string{"vaultSecretName", "letters, digits and hyphens"},
		with("vaultSecretName", "billing_secret")},
	{"vault name too long", options{}, 400, []string{"vaultSecretName", "120"}, with("vaultSecretName", strings.Repeat("v", 121))},
}

// Whatever is wrong, the caller is told what to do, and nothing is changed anywhere:
// not in Entra, not in the vault, not in the table.
func TestRefusedAndNothingChanged(t *testing.T) {
	t.Parallel()
	n := 0
	for group, list := range map[string][]refusal{"Entra": entraRefusals, "services": serviceRefusals, "input": inputRefusals} {
		n += len(list)
		for _, c := range list {
			t.Run(group+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, c.options)
				body := c.body(w)
				before := w.truth()
				got := w.call(auth.Rotate, http.MethodPost, secrets, body)
				w.stack.Break(nil)
				got.refuses(t, c.status, c.says...)
				w.settle() // a refusal that comes late is undone
				if list := changes(before, w.truth()); len(list) != 0 {
					t.Errorf("the request was refused, but it changed\n%s", strings.Join(list, "\n"))
				}
			})
		}
	}
	t.Logf("%d refusals", n)
}

// refuses requires an error in the API's own form that says these words.
func (r reply) refuses(t *testing.T, status int, says ...string) {
	t.Helper()
	var e struct {
		ReqID      string `json:"reqId"`
		StatusCode int    `json:"statusCode"`
		Error      string `json:"error"`
		Message    string `json:"message"`
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(r.body, &e); err != nil || json.Unmarshal(r.body, &members) != nil {
		t.Fatalf("status %d, no JSON: %s", r.status, r.body)
	}
	want := strings.ReplaceAll(http.StatusText(status), " ", "")
	if r.status != status || e.StatusCode != status || e.Error != want || e.ReqID == "" || e.Message == "" || len(members) != 4 {
		t.Errorf("status %d, want %d and reqId, statusCode, error %q, message: %s", r.status, status, want, r.body)
	}
	for _, words := range says {
		if !strings.Contains(e.Message, words) {
			t.Errorf("the message does not say %q: %s", words, e.Message)
		}
	}
	if kind := r.header.Get("Content-Type"); kind != "application/json; charset=utf-8" {
		t.Errorf("Content-Type %q", kind)
	}
}
