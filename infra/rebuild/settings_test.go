package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rekey/shared/emulator/fault"
)

// azureCLI puts a program with the name of the Azure CLI on the PATH, which is signed in as
// one who may use vault and table.
func (d *deployment) azureCLI() {
	d.t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: d.stack.TLS}}
	var script strings.Builder
	script.WriteString("#!/bin/sh\ncase \"$*\" in\n")
	for _, resource := range []string{"https://vault.azure.net", "https://storage.azure.com"} {
		resp, err := client.PostForm(d.stack.AuthorityURL+"/"+d.stack.TenantID+"/oauth2/v2.0/token", url.Values{
			"grant_type": {"client_credentials"}, "client_id": {d.stack.OwnClientID()}, "client_secret": {d.stack.OwnSecret()},
			"scope": {resource + "/.default"},
		})
		if err != nil {
			d.t.Fatal(err)
		}
		var token struct {
			AccessToken string `json:"access_token"`
		}
		err = json.NewDecoder(resp.Body).Decode(&token)
		resp.Body.Close()
		if err != nil || token.AccessToken == "" {
			d.t.Fatalf("no token for %s: %d, %v", resource, resp.StatusCode, err)
		}
		fmt.Fprintf(&script, "'account get-access-token -o json --resource %s'*)\necho '{\"accessToken\": %q, \"expires_on\": 4102444800}' ;;\n",
			resource, token.AccessToken)
	}
	script.WriteString("*) echo \"ERROR: unexpected: $*\" >&2; exit 1 ;;\nesac\n")
	d.script(script.String())
}

// script is what the Azure CLI does.
func (d *deployment) script(text string) {
	d.t.Helper()
	dir := d.t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "az"), []byte(text), 0o755); err != nil {
		d.t.Fatal(err)
	}
	d.t.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
}

// file writes what content is as JSON, and returns the file's name.
func (d *deployment) file(content any) string {
	d.t.Helper()
	data, err := json.Marshal(content)
	if err != nil {
		d.t.Fatal(err)
	}
	name := filepath.Join(d.t.TempDir(), "settings.json")
	if err := os.WriteFile(name, data, 0o600); err != nil {
		d.t.Fatal(err)
	}
	return name
}

// elsewhere makes the settings those of an app with a managed identity, which a workstation
// has not, and returns them as the Azure CLI prints them.
func (d *deployment) elsewhere() []map[string]any {
	var list []map[string]any
	for name, value := range d.env {
		if name != "AZURE_CLIENT_SECRET" && name != "AZURE_TENANT_ID" {
			list = append(list, map[string]any{"name": name, "slotSetting": false, "value": value})
		}
	}
	d.env = nil // nothing but the file is read
	return list
}

// From a workstation: the app's settings as the Azure CLI prints them, and the person that
// it is signed in as. The app's identity is not there, and its references are resolved.
func TestFromAWorkstation(t *testing.T) {
	d := start(t)
	lost := d.connect("billing")
	d.lose(lost.ID)
	d.azureCLI()
	d.stack.Vault.Seed("webhook-url", "https://hooks.example.com/key", nil)
	d.stack.Vault.Seed("webhook-key", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", nil)
	vault := d.stack.VaultURL
	d.env["REKEY_WEBHOOK_URL"] = "@Microsoft.KeyVault(SecretUri=" + vault + "/secrets/webhook-url)"
	d.env["REKEY_WEBHOOK_SECRET"] = "@Microsoft.KeyVault(VaultName=" + strings.SplitN(strings.TrimPrefix(vault, "https://"), ".", 2)[0] +
		";SecretName=webhook-key)"
	list := d.elsewhere()

	left, printed := d.run("-settings", d.file(list))
	if left || !strings.Contains(printed, "1 missing") || strings.Contains(printed, "hooks.example.com") {
		t.Errorf("left %t:\n%s", left, printed)
	}
	byName := map[string]any{} // as the AWS CLI prints those of a function
	for _, s := range list {
		byName[s["name"].(string)] = s["value"]
	}
	if left, printed = d.run("-settings", d.file(byName)); left || !strings.Contains(printed, "1 missing") {
		t.Errorf("left %t:\n%s", left, printed)
	}
}

// What is missing at a workstation is told with what to do.
func TestRefusesAtAWorkstation(t *testing.T) {
	d := start(t)
	d.connect("billing")
	d.azureCLI()
	list := d.elsewhere()
	with := func(name, value string) string {
		return d.file(append(list[:len(list):len(list)], map[string]any{"name": name, "value": value}))
	}
	fail := func(file string, says ...string) {
		t.Helper()
		var out, errs strings.Builder
		_, err := run(t.Context(), []string{"-settings", file}, func(string) (string, bool) { return "", false }, &out, &errs)
		for _, want := range says {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v; want %q", err, want)
			}
		}
	}
	all := d.file(list)

	fail(filepath.Join(t.TempDir(), "none.json"), "none.json")
	fail(d.file("settings"), "az functionapp config appsettings list")
	fail(d.file(map[string]string{"AZURE_CLIENT_ID": ""}), "REKEY_KEY_VAULT_URL")
	fail(with("REKEY_API_KEYS", "@Microsoft.KeyVault(SecretUri=https://other.vault.azure.net/secrets/keys)"),
		"REKEY_API_KEYS", "secret keys of other.vault.azure.net", "az keyvault secret show", "in the place of the reference")
	fail(with("REKEY_API_KEYS", "@Microsoft.KeyVault(SecretUri="+d.stack.VaultURL+"/secrets/keys)"), "REKEY_API_KEYS", "secret keys")
	fail(with("REKEY_API_KEYS", "@Microsoft.KeyVault(keys)"), "REKEY_API_KEYS", "can't be read")

	d.stack.Break(denied)
	fail(all, "vault-refused", "Key Vault Secrets Officer", "operators", "vault_allowed_ip_ranges")
	d.stack.Break(func(op string, _ *http.Request) *fault.Effect {
		if !strings.HasPrefix(op, "table.") {
			return nil
		}
		return &fault.Effect{Status: http.StatusForbidden, Code: "AuthorizationPermissionMismatch"}
	})
	fail(all, "Storage Table Data Contributor")
	d.stack.Break(nil)

	d.script("#!/bin/sh\necho \"ERROR: Please run 'az login' to setup account.\" >&2\nexit 1\n")
	fail(all, "Please run 'az login'", "az login --tenant")
	t.Setenv("PATH", t.TempDir())
	fail(all, "executable not found on path")
}
