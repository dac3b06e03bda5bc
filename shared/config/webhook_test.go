package config_test

import (
	"fmt"
	"strings"
	"testing"

	"rekey/shared/config"
)

const (
	hook       = "https://hooks.example.test/services/T0-hunter2?sig=hunter2"
	hookSecret = "whsec_aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMg==" // of "hunter2" four times
)

func TestWebhook(t *testing.T) {
	if w := load(t, least).Webhook; w.On() || w != (config.Webhook{}) {
		t.Errorf("Webhook = %+v without one", w)
	}
	c := load(t, least.with(settings{"REKEY_WEBHOOK_URL": hook, "REKEY_WEBHOOK_SECRET": hookSecret + " " + hookSecret}))
	if w := c.Webhook; !w.On() || w.URL.Reveal() != hook || w.Secret.Reveal() != hookSecret+" "+hookSecret || w.SecretName != "" {
		t.Errorf("Webhook = %+v", w)
	}
	if s := fmt.Sprintf("%v %+v %#v", c, c, c); strings.Contains(s, "hunter2") || strings.Contains(s, hookSecret) {
		t.Errorf("a secret shows in %s", s)
	}
	c = load(t, least.with(settings{"REKEY_WEBHOOK_URL": hook, "REKEY_WEBHOOK_SECRET_NAME": "webhook"}))
	if w := c.Webhook; !w.On() || !w.Secret.IsZero() || w.SecretName != "webhook" {
		t.Errorf("Webhook = %+v", w)
	}
	for _, address := range []string{"http://127.0.0.1:9000/hook", "http://localhost/", "http://[::1]:9/"} {
		load(t, emulated.with(settings{"REKEY_WEBHOOK_URL": address, "REKEY_WEBHOOK_SECRET": hookSecret}))
	}
}

func TestWebhookMistakes(t *testing.T) {
	tests := []struct {
		base settings
		name string // of the variable
		set  settings
		says string
	}{
		{least, "REKEY_WEBHOOK_URL", settings{"REKEY_WEBHOOK_URL": "http://hooks.example.test/hunter2"}, "https"},
		{least, "REKEY_WEBHOOK_URL", settings{"REKEY_WEBHOOK_URL": "http://localhost/hunter2"}, "https"},
		{emulated, "REKEY_WEBHOOK_URL", settings{"REKEY_WEBHOOK_URL": "http://hooks.example.test/hunter2"}, "localhost"},
		{least, "REKEY_WEBHOOK_URL", settings{"REKEY_WEBHOOK_URL": "https://u:hunter2@hooks.example.test/"}, "user"},
		{least, "REKEY_WEBHOOK_URL", settings{"REKEY_WEBHOOK_URL": "https://hunter2@hooks.example.test/"}, "user"},
		{least, "REKEY_WEBHOOK_URL", settings{"REKEY_WEBHOOK_URL": "https:hunter2"}, "https"},
		{least, "REKEY_WEBHOOK_URL", settings{"REKEY_WEBHOOK_URL": "https:///hunter2"}, "https"},
		{least, "REKEY_WEBHOOK_URL", settings{"REKEY_WEBHOOK_URL": "https://%zz/hunter2"}, "https"},
		{least, "REKEY_WEBHOOK_URL", settings{"REKEY_WEBHOOK_URL": hook + "#hunter2"}, "https"},
		{least, "REKEY_WEBHOOK_URL", settings{"REKEY_WEBHOOK_URL": ""}, "required"},
		{least, "REKEY_WEBHOOK_SECRET", settings{"REKEY_WEBHOOK_URL": hook, "REKEY_WEBHOOK_SECRET": ""}, "REKEY_WEBHOOK_SECRET_NAME"},
		{least, "REKEY_WEBHOOK_SECRET", settings{"REKEY_WEBHOOK_URL": hook, "REKEY_WEBHOOK_SECRET": "hunter2hunter2hunter2hunter2"},
			"secret 1: must be whsec_"},
		{least, "REKEY_WEBHOOK_SECRET", settings{"REKEY_WEBHOOK_URL": hook, "REKEY_WEBHOOK_SECRET": hookSecret + ",whsec_hunter2"}, "secret 2"},
		{least, "REKEY_WEBHOOK_SECRET", settings{"REKEY_WEBHOOK_URL": hook, "REKEY_WEBHOOK_SECRET_NAME": "webhook"}, "only one"},
		{least, "REKEY_WEBHOOK_SECRET_NAME", settings{"REKEY_WEBHOOK_URL": hook, "REKEY_WEBHOOK_SECRET": "",
			"REKEY_WEBHOOK_SECRET_NAME": "web_hook"}, "name"},
	}
	for _, tt := range tests {
		_, err := config.Load(tt.base.with(settings{"REKEY_WEBHOOK_SECRET": hookSecret}).with(tt.set).lookup)
		if err == nil {
			t.Errorf("accepted: %v", tt.set)
			continue
		}
		message := err.Error()
		if strings.Contains(message, "\n") || !strings.HasPrefix(message, tt.name+": ") || !strings.Contains(message, tt.says) {
			t.Errorf("error = %q, want one line about %s that says %q", message, tt.name, tt.says)
		}
		if strings.Contains(message, "hunter2") || strings.Contains(message, hookSecret) {
			t.Errorf("a secret shows in %q", message)
		}
	}
}
