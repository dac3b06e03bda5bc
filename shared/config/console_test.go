package config_test

import (
	"strings"
	"testing"

	"rekey/shared/config"
)

const otherGUID = "0b1e7e57-0000-4000-8000-00000000000b"

// ready is what signing in by Entra needs besides an application.
var ready = settings{"REKEY_PUBLIC_URL": "https://rekey.example.com", "REKEY_AUTH_TENANT_ID": guid, "REKEY_AUTH_AUDIENCE": "api://rekey"}

// oauth is an application of OAuth's whose secret is given.
var oauth = settings{"INF_APP_CONNECTION_AZURE_CLIENT_SECRETS_CLIENT_ID": guid,
	"INF_APP_CONNECTION_AZURE_CLIENT_SECRETS_CLIENT_SECRET": "oauth~secret"}

// People sign in to the console's own application, else to that of OAuth, with its secret.
func TestConsole(t *testing.T) {
	own := settings{"REKEY_CONSOLE_CLIENT_ID": otherGUID, "REKEY_CONSOLE_CLIENT_SECRET_NAME": "console"}
	for name, tt := range map[string]struct {
		set                settings
		client, secretName string
		given              bool
	}{
		"nothing":             {settings{}, "", "", false},
		"no application":      {ready, "", "", false},
		"its own":             {ready.with(own), otherGUID, "console", false},
		"OAuth's":             {ready.with(oauth), guid, "", true},
		"its own and OAuth's": {ready.with(oauth).with(own), otherGUID, "console", false},
		"OAuth's by name": {ready.with(settings{"INF_APP_CONNECTION_AZURE_CLIENT_SECRETS_CLIENT_ID": guid,
			"REKEY_OAUTH_CLIENT_SECRET_NAME": "oauth"}), guid, "oauth", false},
		"OAuth's, said again": {ready.with(oauth).with(settings{"REKEY_CONSOLE_CLIENT_ID": strings.ToLower(guid)}),
			strings.ToLower(guid), "", true},
		"OAuth's with a secret of its own": {ready.with(oauth).with(settings{"REKEY_CONSOLE_CLIENT_ID": guid,
			"REKEY_CONSOLE_CLIENT_SECRET_NAME": "console"}), guid, "console", false},
		"without an address": {ready.with(own).with(settings{"REKEY_PUBLIC_URL": ""}), "", "", false},
		"without a tenant":   {ready.with(oauth).with(settings{"REKEY_AUTH_TENANT_ID": "", "REKEY_AUTH_AUDIENCE": ""}), "", "", false},
	} {
		c := load(t, least.with(tt.set))
		app := c.SignIn()
		if app.ClientID != tt.client || app.SecretName != tt.secretName || !app.ClientSecret.IsZero() != tt.given {
			t.Errorf("%s: %+v", name, app)
		}
		if c.Console.KeyName != "rekey-console-key" {
			t.Errorf("%s: the key is %q", name, c.Console.KeyName)
		}
	}
	if c := load(t, least.with(settings{"REKEY_CONSOLE_KEY_NAME": "sessions"})); c.Console.KeyName != "sessions" {
		t.Errorf("the key is %q", c.Console.KeyName)
	}
}

func TestConsoleMistakes(t *testing.T) {
	for _, tt := range []struct {
		name string // of the variable
		set  settings
		says string
	}{
		{"REKEY_CONSOLE_CLIENT_ID", settings{"REKEY_CONSOLE_CLIENT_ID": "console", "REKEY_CONSOLE_CLIENT_SECRET_NAME": "console"}, "GUID"},
		{"REKEY_CONSOLE_CLIENT_ID", settings{"REKEY_CONSOLE_CLIENT_SECRET_NAME": "console"}, "required"},
		{"REKEY_CONSOLE_CLIENT_SECRET_NAME", settings{"REKEY_CONSOLE_CLIENT_ID": otherGUID}, "required"},
		{"REKEY_CONSOLE_CLIENT_SECRET_NAME", settings{"REKEY_CONSOLE_CLIENT_ID": guid, "REKEY_CONSOLE_CLIENT_SECRET_NAME": "hunter2~"}, "name"},
		{"REKEY_CONSOLE_KEY_NAME", settings{"REKEY_CONSOLE_KEY_NAME": "hunter2_"}, "name"},
		{"REKEY_CONSOLE_CLIENT_SECRET_NAME", oauth.with(settings{"REKEY_CONSOLE_CLIENT_ID": otherGUID}), "required"},
	} {
		_, err := config.Load(least.with(tt.set).lookup)
		if err == nil {
			t.Errorf("accepted: %v", tt.set)
			continue
		}
		if m := err.Error(); strings.Contains(m, "\n") || !strings.HasPrefix(m, tt.name+": ") || !strings.Contains(m, tt.says) ||
			strings.Contains(m, "hunter2") {
			t.Errorf("error = %q, want one line about %s that says %q", m, tt.name, tt.says)
		}
	}
}

// What an application of the console's own lacks is said at start.
func TestUnconfiguredConsole(t *testing.T) {
	own := settings{"REKEY_CONSOLE_CLIENT_ID": otherGUID, "REKEY_CONSOLE_CLIENT_SECRET_NAME": "console"}
	for says, set := range map[string]settings{
		"": ready.with(own), "set REKEY_PUBLIC_URL": ready.with(own).with(settings{"REKEY_PUBLIC_URL": ""}),
		"set REKEY_AUTH_TENANT_ID": ready.with(own).with(settings{"REKEY_AUTH_TENANT_ID": "", "REKEY_AUTH_AUDIENCE": ""}),
	} {
		found := ""
		for _, s := range load(t, least.with(set)).Unconfigured() {
			if strings.Contains(s, "console") {
				found += s
			}
		}
		if (found == "") != (says == "") || !strings.Contains(found, says) {
			t.Errorf("%q: %q", says, found)
		}
	}
}
