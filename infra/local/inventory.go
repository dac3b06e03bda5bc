package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"rekey/shared/emulator/directory"
	"rekey/shared/emulator/tenant"
	"rekey/shared/inventory"
)

// applications is how many the demo's tenant has, beside the samples.
const applications = 200

// neglect fills the demo's tenant as one looks that has grown for years.
func (d demo) neglect() error {
	_, err := tenant.Generate(tenant.Config{Directory: d.services.Directory, TenantID: d.services.TenantID, Seed: 1,
		Applications: applications, Now: time.Now(), Deployment: "default"})
	if err != nil {
		return fmt.Errorf("filling the tenant: %w", err)
	}
	return nil
}

// scanned is what the demo reads of a scan.
type scanned struct {
	Scan struct {
		ID, Phase string
		Problem   *struct{ Message string }
		Result    *struct {
			Applications, Credentials int
			Findings                  map[inventory.FindingKind]int
		}
	}
}

// scan connects an application that may read and change all others, and reads the tenant through
// it.
func (d demo) scan(ctx context.Context) error {
	app, err := d.services.Directory.AddApplication(directory.Registration{TenantID: d.services.TenantID, OwnsItself: true,
		Settings: directory.Settings{DisplayName: "platform", Roles: []string{directory.RoleReadWriteAll, directory.RoleDirectoryReadAll,
			directory.RoleAuditLogReadAll, directory.RolePolicyReadAll}}})
	if err != nil {
		return fmt.Errorf("registering the application that reads the tenant: %w", err)
	}
	var created struct{ AppConnection connectionView }
	err = d.call(ctx, http.MethodPost, "/azure-client-secrets", map[string]any{
		"name": "platform", "method": "client-secret", "isAutoRotationEnabled": false,
		"credentials": map[string]any{"tenantId": app.TenantID, "clientId": app.ClientID, "clientSecret": app.Secret,
			"clientSecretKeyId": app.KeyID},
	}, &created)
	if err != nil {
		return err
	}
	var now scanned
	through := map[string]any{"connectionId": created.AppConnection.ID}
	if err := d.call(ctx, http.MethodPost, "/azure-client-secrets/inventory/scans", through, &now); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	for now.Scan.Phase != string(inventory.Complete) {
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("the scan did not come to its end in time: it is %s", now.Scan.Phase)
		}
		if err := d.call(ctx, http.MethodGet, "/azure-client-secrets/inventory/scans/"+now.Scan.ID, nil, &now); err != nil {
			return err
		}
		if now.Scan.Phase == string(inventory.Failed) {
			return fmt.Errorf("the scan failed: %+v", now.Scan.Problem)
		}
	}
	found := now.Scan.Result
	if found == nil {
		return fmt.Errorf("the scan has no result")
	}
	d.say(time.Now(), "tenant scanned: %d applications, %d credentials; %d end within 30 days, %d applications have no owner",
		found.Applications, found.Credentials, found.Findings[inventory.EndsIn7Days]+found.Findings[inventory.EndsIn30Days],
		found.Findings[inventory.Ownerless])
	return nil
}
