package console_test

import (
	"testing"

	"rekey/functions/console"
	"rekey/shared/config"
)

// How people sign in is among what is configured, and what is not says what that means.
func TestSettingsOfTheSignIn(t *testing.T) {
	const without = "not set: people can't sign in by Entra"
	for _, c := range []struct {
		config config.Config
		client string
	}{
		{config.Config{Console: config.Console{KeyName: "k"}}, without},
		{config.Config{Console: config.Console{KeyName: "k", ClientID: "c", SecretName: "s"}}, without}, // without an address, no redirect
	} {
		said := map[string]string{}
		for _, s := range console.SettingsOf(c.config) {
			said[s.Name] = s.Says
		}
		if said["REKEY_CONSOLE_CLIENT_ID"] != c.client || said["REKEY_CONSOLE_KEY_NAME"] != "k" {
			t.Errorf("%v", said)
		}
	}
	whole := config.Config{PublicURL: "https://rekey.example", Console: config.Console{ClientID: "c", SecretName: "s"}}
	whole.Callers.TenantID = tenantID
	for _, s := range console.SettingsOf(whole) {
		if s.Name == "REKEY_CONSOLE_CLIENT_ID" && s.Says != "c" {
			t.Errorf("%v", s)
		}
	}
}
