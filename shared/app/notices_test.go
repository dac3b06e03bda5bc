package app

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"rekey/shared/history"
	"rekey/shared/secret"

	"rekey/shared/rotation"
)

const webhookSecret = "whsec_aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMg=="

// What a record says that a person has to know reaches the webhook, by way of the table,
// with the secret given or named in the vault; without a webhook nothing is kept.
func TestNotices(t *testing.T) {
	var bodies []string
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Header.Get("webhook-signature") == "" {
			t.Error("a notice without a signature")
		}
		bodies = append(bodies, string(body))
	}))
	defer receiver.Close()
	s, c := start(t)
	for name, on := range map[string]struct{ given, named string }{"given": {webhookSecret, ""}, "named": {"", "webhook"}, "off": {}} {
		if c.Webhook.URL = (secret.Value{}); name != "off" {
			c.Webhook.URL = secret.New(receiver.URL + "/hunter2")
		}
		c.Webhook.Secret, c.Webhook.SecretName = secret.New(on.given), on.named
		var log strings.Builder
		a, err := New(c, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		if on.named != "" {
			if _, err := a.Connections.Vault.Put(t.Context(),
				rotation.VaultSecret{Name: on.named, Value: secret.New(webhookSecret), Enabled: true}); err != nil {
				t.Fatal(err)
			}
		}
		event := rotation.Event{At: time.Now(), Kind: history.Attention, Message: "about " + name, Notice: true}
		if _, err := a.Connections.Records.Create(t.Context(), rotation.Record{ID: name, Version: 1}, event); err != nil {
			t.Fatal(err)
		}
		did, err := a.Notices.Deliver(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if delivered := len(bodies) == 1 && strings.Contains(bodies[0], event.Message); delivered != (name != "off") ||
			did.Delivered != len(bodies) {
			t.Errorf("%s: %+v, bodies %q", name, did, bodies)
		}
		if strings.Contains(log.String(), "hunter2") {
			t.Errorf("%s: the log shows the webhook's path: %s", name, &log)
		}
		bodies = nil
	}
	for _, row := range s.Table.Rows("evt-") {
		t.Errorf("%s is left, or was kept without a webhook", row.RowKey)
	}
}
