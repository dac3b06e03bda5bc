package console_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"html"
	"math/big"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"rekey/functions/console"
	"rekey/shared/auth"
)

// A refusal names the fields of the form as the form does, and marks them: whatever the API calls them.
func TestRefusalsNameTheFields(t *testing.T) {
	forms := []string{"/console/connect?method=client-secret", "/console/connect?method=certificate", "/console/connections/" + id + "/edit",
		"/console/connections/" + id + "/add-target", "/console/inventory/" + tenantID + "/" + clientID + "/adopt",
		"/console/inventory/" + tenantID + "/" + clientID + "/accept"}
	input := regexp.MustCompile(`<(?:input|textarea|select|fieldset)[^>]* aria-invalid="true"`)
	for name, label := range console.Fields() {
		found := 0
		for _, above := range []string{"", "credentials.", "rotation."} {
			w := newWorld(t, auth.Admin)
			w.everything("billing")
			refusal := object{"message": "description is long; " + above + name + " must be another one."}
			for _, at := range []string{"POST " + secrets, "PATCH " + secrets + "/" + id, "POST " + secrets + "/" + id + "/targets",
				"POST " + inventories + "/" + tenantID + "/" + clientID + "/adopt",
				"POST " + inventories + "/" + tenantID + "/" + clientID + "/accept"} {
				method, path, _ := strings.Cut(at, " ")
				w.answer(method, path, 400, refusal)
			}
			for _, path := range forms {
				p := w.post(path, url.Values{"finding": {"ends-in-7-days"}, "keyId": {"k"}, "until": {"2027-01-31"}, "vaultSecretName": {"v"}})
				if p.Code != http.StatusBadRequest || !strings.Contains(p.text, "; “"+html.EscapeString(label)+"” must be another one.") {
					t.Fatalf("%s on %s: %d %s", name, path, p.Code, p.text)
				}
				found += len(input.FindAllString(p.text, -1))
			}
		}
		if found == 0 {
			t.Errorf("no form marks %s", name)
		}
	}
}

// A refusal that names no field marks the one that it is about.
func TestRefusalsMarkTheField(t *testing.T) {
	for message, c := range map[string]struct{ method, field string }{
		`An App Connection with the name "x" already exists. Choose another name.`:  {"client-secret", "name"},
		`The Key Vault secret "x" is used by another connection.`:                   {"client-secret", "vaultSecretName"},
		"Entra refuses the client secret. Check that it is the secret's value.":     {"client-secret", "clientSecret"},
		"The application has no client secret with the key id x. Check it.":         {"client-secret", "clientSecretKeyId"},
		"The tenant was not found. Check the tenant id.":                            {"client-secret", "tenantId"},
		"The application was not found in this tenant. Check the client id.":        {"client-secret", "clientId"},
		"The certificate is neither PEM nor the base64 of a DER file.":              {"certificate", "certificateBody"},
		"The private key is encrypted. Decrypt it.":                                 {"certificate", "privateKey"},
		"The PFX file cannot be read.":                                              {"certificate", "pfx"},
		"The PFX file has a password. Give it, too.":                                {"certificate", "password"},
		"Which client secret is it? Say credentials.clientSecretKeyId. It could be": {"client-secret", "clientSecretKeyId"},
	} {
		w := newWorld(t, auth.Admin)
		w.answer("POST", secrets, 400, object{"message": message})
		p := w.post("/console/connect?method="+c.method, nil)
		if !regexp.MustCompile(`id="`+c.field+`"[^>]* aria-describedby="[^"]*message" aria-invalid="true"`).MatchString(p.text) ||
			strings.Count(p.text, "aria-invalid") != 1 {
			t.Errorf("%s does not mark %s: %s", message, c.field, p.text)
		}
	}
}

// The names of fields are all that the API's bodies have; what no form has is listed here.
func TestEveryFieldHasALabel(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "connections", "openapi.json"))
	if err != nil {
		t.Fatal(err)
	}
	type schema struct {
		Properties map[string]any
		AllOf      []struct{ Properties map[string]any }
	}
	var doc struct {
		Components struct{ Schemas map[string]schema }
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	inNoForm := []string{"method", "credentials", "rotation", "gatewayId", "gatewayPoolId", "isPlatformManagedCredentials", "version",
		"objectId", "rotateAtUtc", "target", "code", "finding", "keyId"}
	labels := console.Fields()
	for _, name := range []string{"Create", "Update", "CreateTarget", "Adopt", "AcceptFinding", "Inspect", "Credentials", "RotationInput",
		"ConnectionRotationInput"} {
		s, ok := doc.Components.Schemas[name]
		if !ok {
			t.Fatalf("the API has no %s", name)
		}
		all := []map[string]any{s.Properties}
		for _, part := range s.AllOf {
			all = append(all, part.Properties)
		}
		for _, properties := range all {
			for property := range properties {
				if labels[property] == "" && !slices.Contains(inNoForm, property) {
					t.Errorf("%s.%s has no label", name, property)
				}
			}
		}
	}
}

// Addresses of the API in its messages are buttons on a page.
func TestMessagesNameButtons(t *testing.T) {
	address := regexp.MustCompile(`(?:GET|POST|PATCH|DELETE) \.\.\.[^ "]*`)
	seen := 0
	for _, folder := range []string{"connection", "serviceerror", "inventory", "inventory/catalog", "rotation"} {
		files, err := filepath.Glob(filepath.Join("..", "..", "shared", filepath.FromSlash(folder), "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, found := range address.FindAllString(string(text), -1) {
				if strings.HasSuffix(file, "_test.go") || strings.Contains(found, "?finding=") { // a notice's, which is on no page
					continue
				}
				seen++
				if got := console.Said("Do this: " + strings.ReplaceAll(found, "%s", id)); strings.Contains(got, "...") {
					t.Errorf("%s: %q", file, got)
				}
			}
		}
	}
	if seen < 8 {
		t.Errorf("only %d were found", seen)
	}
	for message, want := range map[string]string{
		"rotation: rotationInterval 0: must be 1 to 365 days; the time zone is not an IANA name such as Europe/Berlin.": "“Every so many " +
			"days” 0: must be 1 to 365 days; “In this time zone” is not an IANA name such as Europe/Berlin.",
		"rotation is required when isAutoRotationEnabled is true: give rotationInterval (days) and rotateAt {hours, minutes}.": "" +
			"To rotate on a schedule, “Every so many days” and “At this time of day” are needed.",
		`An App Connection with the name "x" already exists. Choose another name.`: `An App Connection with the name "x" already exists. ` +
			"Choose another name.",
	} {
		if got := console.Said(message); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// A check asks the API for what a connection would lack, and makes none. Nothing secret comes back.
func TestCheck(t *testing.T) {
	w := newWorld(t, auth.Admin)
	w.everything("billing")
	w.answer("POST", secrets+"/inspect", 200, object{
		"inspection": object{"clientSecretKeyId": "candidate-1", "candidates": []object{{"keyId": "candidate-1", "of": "application"}}},
		"test": object{"authenticates": true, "canRotate": false, "why": []string{"It may not."}, "ownsItself": false, "twoSecretLimit": true,
			"clientSecrets": 2, "policy": object{"clientSecretsForbidden": true},
			"permissions": []object{{"name": "Application.ReadWrite.OwnedBy", "type": "application", "has": false, "neededFor": "rotating"}}}})
	form := url.Values{"name": {"n"}, "tenantId": {tenantID}, "clientId": {clientID}, "clientSecret": {"CANARY"},
		"rotate": {"on"}, "interval": {"30"}, "time": {"03:00"}, "timeZone": {"UTC"}, "originalGrace": {"24"}}
	p := w.post("/console/connect/check?method=client-secret", form)
	w.shows(p, "It may not.", "It begins with the same characters.", `<option value="candidate-1" selected>`,
		"az ad app permission add --id "+clientID+" --api 00000003",
		"az ad app owner add --id "+clientID+" --owner-object-id", "Room for another client secret", "It has 2 client secrets.",
		`value="24"`, "enter it again")
	if strings.Contains(p.text, "CANARY") {
		t.Error("the secret is in the page")
	}
	writes := w.writes()
	if len(writes) != 1 || writes[0].path != secrets+"/inspect" || !same(writes[0].body, object{"name": "n", "method": "client-secret",
		"isAutoRotationEnabled": true, "credentials": object{"tenantId": tenantID, "clientId": clientID, "clientSecret": "CANARY"},
		"rotation": object{"rotationInterval": 30.0, "rotateAt": object{"hours": 3.0, "minutes": 0.0}, "timeZone": "UTC",
			"originalGracePeriodHours": 24.0}}) {
		t.Errorf("the API is asked %+v", writes)
	}
	w.answer("POST", secrets+"/inspect", 400, object{"message": "credentials.clientSecret is missing."})
	p = w.post("/console/connect/check?method=client-secret", form)
	if p.Code != 400 || strings.Count(p.text, "“Client secret” is missing.") != 2 {
		t.Errorf("a refused check: %d %s", p.Code, p.text)
	}
	if len(w.writes()) != 2 {
		t.Error("what is wrong with the credentials is asked for again")
	}
	// A name that can't be taken is told, and the rest is checked without it.
	w.answer("POST", secrets+"/inspect", 400, object{"message": "name must be lower-case."})
	p = w.post("/console/connect/check?method=client-secret", form)
	if last := w.writes()[len(w.writes())-1].body; len(w.writes()) != 4 || last["name"] != nil || last["credentials"] == nil ||
		p.Code != 400 || strings.Count(p.text, "“Name” must be lower-case.") != 2 {
		t.Errorf("%+v: %d %s", last, p.Code, p.text)
	}
}

// A permission that helps comes with the command that grants it; one that does not is not asked for.
func TestGrants(t *testing.T) {
	const owned, all = "Application.ReadWrite.OwnedBy", "Application.ReadWrite.All"
	for name, c := range map[string]struct {
		method             string
		owned, owns, can   bool
		all                bool
		wants, wantsNot    string
		ownership, unasked bool
	}{
		"nothing is granted":                       {"client-secret", false, false, false, false, "18a4783c", "", true, false},
		"it owns nothing":                          {"client-secret", true, false, false, false, "1bfefb4e", "18a4783c", true, false},
		"it can rotate":                            {"client-secret", true, true, true, false, "", "1bfefb4e", false, true},
		"it rotates nothing itself":                {"certificate", true, false, false, false, "", "1bfefb4e", false, true},
		"and could rotate no target ":              {"certificate", false, false, false, false, "18a4783c", "", false, false},
		"all is there, and another thing is wrong": {"client-secret", false, false, false, true, "", "18a4783c", false, true},
	} {
		w := newWorld(t, auth.Admin)
		w.everything("billing")
		w.answer("GET", secrets+"/"+id, 200, object{"appConnection": connectionOf("billing", c.method)})
		w.answer("POST", secrets+"/"+id+"/test", 200, object{"test": object{"authenticates": true, "canRotate": c.can, "ownsItself": c.owns,
			"why": []string{"Because."}, "permissions": []object{{"name": owned, "type": "application", "has": c.owned},
				{"name": all, "type": "application", "has": c.all}}, "twoSecretLimit": c.all, "clientSecrets": 2}})
		p := w.get("/console/connections/" + id + "/test")
		if strings.Contains(p.text, "az ad app credential delete --id "+clientID) != c.all {
			t.Errorf("%s: making room: %s", name, p.text)
		}
		w.shows(p, "--api-permissions "[:len("--api-permissions ")*min(1, len(c.wants))]+c.wants)
		if c.wantsNot != "" && strings.Contains(p.text, c.wantsNot) || strings.Contains(p.text, "az ad app owner add") != c.ownership ||
			strings.Contains(p.text, "not needed") != c.unasked {
			t.Errorf("%s: %s", name, p.text)
		}
	}
}

// A certificate comes pasted or as files, PEM or PFX. After a refusal what is public and what is no secret
// stands there again, and nothing else, wherever it was pasted.
func TestCertificates(t *testing.T) {
	public, private := pair(t)
	der := base64.StdEncoding.EncodeToString
	block, _ := pem.Decode([]byte(public))
	for name, c := range map[string]struct {
		fields, files map[string]string
		want          object // of the credentials
		shown         bool   // the certificate
	}{
		"pasted": {map[string]string{"certificateBody": public, "privateKey": private}, nil,
			object{"certificateBody": public, "privateKey": private}, true},
		"in one":       {map[string]string{"certificateBody": public + private}, nil, object{"certificateBody": public + private}, true},
		"the key only": {map[string]string{"certificateBody": private}, nil, object{"certificateBody": private}, false},
		"files": {nil, map[string]string{"certificateBodyFile": public, "privateKeyFile": private},
			object{"certificateBody": public, "privateKey": private}, true},
		"a file of DER": {map[string]string{"privateKey": private}, map[string]string{"certificateBodyFile": string(block.Bytes)},
			object{"certificateBody": der(block.Bytes), "privateKey": private}, false},
		"PFX": {map[string]string{"password": "CANARY-2", "chain": "on"}, map[string]string{"pfxFile": "\x30\x82CANARY-1"},
			object{"pfx": der([]byte("\x30\x82CANARY-1")), "password": "CANARY-2", "sendCertificateChain": true}, false},
	} {
		w := newWorld(t, auth.Admin)
		w.everything("billing")
		w.answer("POST", secrets, 400, object{"message": "The certificate has expired."})
		fields := map[string]string{"name": "entered-name", "tenantId": tenantID, "clientId": clientID}
		for name, value := range c.fields {
			fields[name] = strings.TrimSpace(value)
		}
		p := w.upload("/console/connect?method=certificate", fields, c.files)
		c.want["tenantId"], c.want["clientId"] = tenantID, clientID
		for _, name := range []string{"certificateBody", "privateKey"} {
			if text, ok := c.want[name].(string); ok && c.fields[name] != "" {
				c.want[name] = strings.TrimSpace(text)
			}
		}
		if got := w.writes()[0].body["credentials"].(object); !same(got, c.want) {
			t.Errorf("%s: the API gets %v, want %v", name, got, c.want)
		}
		if p.Code != 400 || !strings.Contains(p.text, `value="entered-name"`) || strings.Contains(p.text, "CANARY") ||
			strings.Contains(p.text, "PRIVATE KEY") || strings.Contains(p.text, strings.Split(private, "\n")[1]) {
			t.Errorf("%s: %d, or something of the key is shown: %s", name, p.Code, p.text)
		}
		if shown := strings.Contains(p.text, html.EscapeString(strings.TrimSpace(public))); shown != c.shown ||
			regexp.MustCompile(`id="chain"[^>]* checked`).MatchString(p.text) != (c.fields["chain"] == "on") {
			t.Errorf("%s: the certificate is shown: %t: %s", name, shown, p.text)
		}
	}
}

// upload posts a form with files.
func (w *world) upload(path string, fields, files map[string]string) page {
	w.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for name, value := range fields {
		if err := form.WriteField(name, value); err != nil {
			w.Fatal(err)
		}
	}
	for name, content := range files {
		file, err := form.CreateFormFile(name, name)
		if err != nil {
			w.Fatal(err)
		}
		_, _ = file.Write([]byte(content)) // a buffer takes everything
	}
	if err := form.Close(); err != nil {
		w.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, path, &body)
	r.Header.Set("Content-Type", form.FormDataContentType())
	return w.do(r)
}

// pair is a certificate and its key.
func pair(t *testing.T) (public, private string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now, NotAfter: now.AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
}
