package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"time"

	"rekey/shared/secret"

	"rekey/functions/connections"
	"rekey/shared/emulator/stack"
	"rekey/shared/session"
)

// demo connects a sample application through the API and tells what happens.
type demo struct {
	url      string
	key      secret.Value
	out      io.Writer
	services *stack.Stack
}

// connectionView is what the demo reads of a connection.
type connectionView struct {
	ID              string
	VaultSecretName string
	CreatedAt       time.Time
	Rotation        struct {
		State               string
		NextRotationAt      time.Time
		GracePeriodHours    float64
		LastRotationMessage string
		LastRotatedAt       time.Time
		Current             struct{ KeyID, Hint string }
		LastRun             struct{ Outcome string }
		Retiring            []struct{ KeyID string }
	}
}

// history is what the demo reads of the history.
type history struct {
	Rotations   []struct{ KeyID string }
	Revocations []struct {
		KeyID     string
		RevokedAt time.Time
	}
}

// say prints a line with the time of what it tells.
func (d demo) say(at time.Time, format string, args ...any) {
	fmt.Fprintf(d.out, "  %s  %s\n", at.Local().Format("15:04:05"), fmt.Sprintf(format, args...))
}

// show connects the first sample and waits until its original secret is revoked.
func (d demo) show(ctx context.Context) error {
	app, err := d.services.AddSample("billing")
	if err != nil {
		return fmt.Errorf("registering the sample: %w", err)
	}
	fmt.Fprintf(d.out, "\nRekey is up at %s, with emulated Entra, Graph, Key Vault and table.\n\n", d.url)
	d.say(time.Now(), "application %q has the client secret %s, made by hand", "billing", app.KeyID)
	var created struct{ AppConnection connectionView }
	err = d.call(ctx, http.MethodPost, "/azure-client-secrets", map[string]any{
		"name": "billing", "method": "client-secret",
		"credentials": map[string]any{"tenantId": app.TenantID, "clientId": app.ClientID, "clientSecret": app.Secret,
			"clientSecretKeyId": app.KeyID},
		"isAutoRotationEnabled": true,
		"rotation": map[string]any{"rotationInterval": 30, "rotateAt": map[string]int{"hours": 3, "minutes": 15},
			"timeZone": "Europe/Berlin"},
	}, &created)
	if err != nil {
		return err
	}
	c := created.AppConnection
	d.say(c.CreatedAt, "connection %q created: %s", "billing", c.ID)
	return d.follow(ctx, c.ID, app.ObjectID, app.KeyID)
}

// follow waits until the original is revoked, which the timer does if the request
// had no time for it.
func (d demo) follow(ctx context.Context, id, objectID, original string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	for {
		var one struct{ AppConnection connectionView }
		if err := d.call(ctx, http.MethodGet, "/azure-client-secrets/"+id, nil, &one); err != nil {
			return err
		}
		var past history
		if err := d.call(ctx, http.MethodGet, "/azure-client-secrets/"+id+"/rotations", nil, &past); err != nil {
			return err
		}
		r := one.AppConnection.Rotation
		for _, gone := range past.Revocations {
			if gone.KeyID != original || gone.RevokedAt.IsZero() {
				continue
			}
			d.say(r.LastRotatedAt, "new client secret %s issued, proven and published in Key Vault as %s", r.Current.KeyID,
				one.AppConnection.VaultSecretName)
			d.say(gone.RevokedAt, "original client secret %s revoked", original)
			d.live(objectID)
			d.say(time.Now(), "next rotation: %s", r.NextRotationAt.Local().Format("2006-01-02 15:04 MST"))
			return nil
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("the original was not revoked in time: state %s, %s", r.State, r.LastRotationMessage)
		}
	}
}

// live shows the ground truth of the emulated directory.
func (d demo) live(objectID string) {
	for _, p := range d.services.Directory.Passwords(objectID) {
		d.say(time.Now(), "live in Entra now: %s (%s)", p.KeyID, p.DisplayName)
	}
}

// stay tells what can be done while everything is up.
func (d demo) stay(dir string) {
	fmt.Fprintf(d.out, `
The console: %[4]s
Sign in with this API key, which is good until this ends: %[5]s
Or with Microsoft Entra, as Ada Administrator, who may do everything, or as Otto Ordinary, who may read. The
browser will warn of the emulator's certificate.

A second application, "reporting", is untouched and waits for you:

  . %[1]s
  curl -sS "$REKEY_URL%[2]s" -H "Authorization: Bearer $REKEY_API_KEY"

docs/api.md has the lines that connect and rotate it. To connect the whole tenant by signing in, as
Ada, choose that in the console, or ask for a link and open it in a browser. (Otto needs her consent for the
organization first, as in Entra.)

  curl -sS "$REKEY_URL%[2]s/azure-client-secrets/oauth/authorize" -H "Authorization: Bearer $REKEY_API_KEY" \
    -H 'Content-Type: application/json' -d '{"name":"tenant","tenantId":"'"$TENANT_ID"'"}'

The timer looks every minute for what is due. How to make Entra, Graph, Key Vault or the table fail: docs/faults.md,
under Plans.
The log is %[3]s. Ctrl-C stops everything.
`, rel(filepath.Join(dir, "demo.env")), connections.Base, rel(filepath.Join(dir, "rekey.log")),
		d.url+session.Base, d.key.Reveal())
}

// rel shows a path as one would type it here.
func rel(path string) string {
	if wd, err := filepath.Abs("."); err == nil {
		if r, err := filepath.Rel(wd, path); err == nil && filepath.IsLocal(r) {
			return "./" + r
		}
	}
	return path
}

// call makes one call to the API.
func (d demo) call(ctx context.Context, method, path string, body, into any) error {
	var data []byte
	if body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			return fmt.Errorf("encoding a request: %w", err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, d.url+connections.Base+path, bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("making a request: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+d.key.Reveal())
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("calling the API: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, bytes.TrimSpace(answer))
	}
	return json.Unmarshal(answer, into)
}
