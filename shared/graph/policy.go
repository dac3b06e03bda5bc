package graph

import (
	"context"
	"time"

	abstractions "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoftgraph/msgraph-sdk-go/applications"
	"github.com/microsoftgraph/msgraph-sdk-go/models"

	"rekey/shared/rotation"
)

// PasswordPolicy reads which app management policy holds for app: whether it forbids new
// client secrets, and how long one may live at most, 0 being without limit. That is the
// policy assigned to the application, or else the tenant's. Reading it needs a permission
// that nothing else does (Policy.Read.All), so that most callers will get class
// [serviceerror.Permission]. app.ObjectID is required.
// Source: learn.microsoft.com/graph/api/resources/applicationauthenticationmethodpolicy.
func (d *Directory) PasswordPolicy(ctx context.Context, token rotation.Token, app rotation.Application,
) (forbidden bool, longest time.Duration, err error) {
	c := &call{op: "reading the app management policy"}
	adapter, err := d.begin(c, token, app.ObjectID)
	if err != nil {
		return false, 0, err
	}
	ctx = c.into(ctx)
	found, err := item(app.ObjectID, adapter).Get(ctx, &applications.ApplicationItemRequestBuilderGetRequestConfiguration{
		QueryParameters: &applications.ApplicationItemRequestBuilderGetQueryParameters{Select: []string{"id", "createdDateTime"}},
	})
	if err != nil {
		return false, 0, c.failure(err)
	}
	if found == nil || found.GetCreatedDateTime() == nil {
		return false, 0, c.incomplete()
	}
	restrictions, err := restrictions(ctx, app.ObjectID, adapter)
	if err != nil {
		return false, 0, c.failure(err)
	}
	forbidden, longest = strictest(restrictions, *found.GetCreatedDateTime())
	return forbidden, longest, nil
}

// restrictions are those on client secrets of the policy that holds.
func restrictions(ctx context.Context, objectID string, adapter abstractions.RequestAdapter,
) ([]models.PasswordCredentialConfigurationable, error) {
	assigned, err := item(objectID, adapter).AppManagementPolicies().Get(ctx, nil)
	if err != nil {
		return nil, err
	}
	if assigned != nil {
		for _, p := range assigned.GetValue() {
			if p == nil {
				continue
			}
			if on := p.GetIsEnabled(); on != nil && *on && p.GetRestrictions() != nil {
				return p.GetRestrictions().GetPasswordCredentials(), nil
			}
		}
	}
	return tenantRestrictions(ctx, adapter)
}

// tenantRestrictions are those on client secrets of the tenant's default policy.
func tenantRestrictions(ctx context.Context, adapter abstractions.RequestAdapter) ([]models.PasswordCredentialConfigurationable, error) {
	request := abstractions.NewRequestInformationWithMethodAndUrlTemplateAndPathParameters(abstractions.GET,
		"{+baseurl}/policies/defaultAppManagementPolicy", map[string]string{})
	request.Headers.TryAdd("Accept", "application/json")
	answer, err := adapter.Send(ctx, request, models.CreateTenantAppManagementPolicyFromDiscriminatorValue, nil)
	if err != nil {
		return nil, err
	}
	p, ok := answer.(models.TenantAppManagementPolicyable)
	if on := ok && p.GetIsEnabled() != nil && *p.GetIsEnabled(); !on || p.GetApplicationRestrictions() == nil {
		return nil, nil
	}
	return p.GetApplicationRestrictions().GetPasswordCredentials(), nil
}

// strictest puts the restrictions together that hold for an application of that age.
func strictest(list []models.PasswordCredentialConfigurationable, created time.Time) (forbidden bool, longest time.Duration) {
	for _, r := range list {
		if r == nil {
			continue
		}
		after, kind, state := r.GetRestrictForAppsCreatedAfterDateTime(), r.GetRestrictionType(), r.GetState()
		switch {
		case kind == nil || after != nil && created.Before(*after),
			state != nil && *state != models.ENABLED_APPMANAGEMENTRESTRICTIONSTATE:
		case *kind == models.PASSWORDADDITION_APPCREDENTIALRESTRICTIONTYPE:
			forbidden = true
		case *kind == models.PASSWORDLIFETIME_APPCREDENTIALRESTRICTIONTYPE && r.GetMaxLifetime() != nil:
			l := r.GetMaxLifetime()
			const day = 24 * time.Hour
			most := time.Duration(l.GetYears())*365*day + time.Duration(l.GetWeeks())*7*day +
				time.Duration(l.GetDays())*day + time.Duration(l.GetHours())*time.Hour
			if longest == 0 || most < longest {
				longest = most
			}
		}
	}
	return forbidden, longest
}
