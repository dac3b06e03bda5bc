// Package crowd makes many connections whose rotation is due, for tests and
// benchmarks of the timer: their records are written as they are on the day of their
// rotation, since a month of waiting is no option.
package crowd

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"rekey/shared/rotator"
	"rekey/shared/schedule"
	"rekey/shared/secret"
	"rekey/shared/vaulttag"

	"rekey/shared/emulator/directory"
	"rekey/shared/emulator/stack"
	"rekey/shared/rotation"
)

// Records is where the records go.
type Records interface {
	Create(ctx context.Context, rec rotation.Record, events ...rotation.Event) (rotation.Record, error)
}

// Maker makes connections on a stack.
type Maker struct {
	Stack      *stack.Stack
	Vault      rotator.Vault
	Records    Records
	Deployment string
}

// Add registers an application and writes a connection of it whose slot is slot. It
// returns the connection's id.
func (m Maker) Add(ctx context.Context, name string, slot time.Time) (string, directory.Application, error) {
	a, err := m.Stack.AddSample(name)
	if err != nil {
		return "", a, fmt.Errorf("registering an application: %w", err)
	}
	target := rotation.Application{TenantID: a.TenantID, ClientID: a.ClientID, ObjectID: a.ObjectID}
	began := slot.AddDate(0, 0, -30)
	rec := rotation.Record{
		Schema: rotation.Schema, ID: uuid(), Name: name, Method: "client-secret", CreatedAt: began, UpdatedAt: began, Acknowledged: true,
		Policy: rotation.Policy{Enabled: true, Schedule: schedule.Schedule{Interval: 30, Zone: "UTC"}},
		Actor:  target, Target: target, Phase: rotation.Idle, NextSlot: slot, WakeAt: slot, Version: 1, Revision: 1, CredentialChanges: 1,
	}
	rec.VaultName = "rekey-" + rec.ID
	rec.Current = &rotation.Credential{Target: target, KeyID: a.KeyID, Origin: rotation.OriginIssued, Since: began}
	rec.Current.VaultVersion, err = m.Vault.Put(ctx, rotation.VaultSecret{
		Name: rec.VaultName, Value: secret.New(a.Secret), ContentType: vaulttag.ContentType, Enabled: true,
		Tags: rotation.Tags(m.Deployment, &rec, *rec.Current),
	})
	if err != nil {
		return "", a, fmt.Errorf("publishing its secret: %w", err)
	}
	if _, err := m.Records.Create(ctx, rec); err != nil {
		return "", a, fmt.Errorf("writing its record: %w", err)
	}
	return rec.ID, a, nil
}

func uuid() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
