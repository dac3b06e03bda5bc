package graph

import (
	"context"
	"regexp"
	"time"

	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"github.com/google/uuid"
	abstractions "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoft/kiota-abstractions-go/serialization"
	"github.com/microsoftgraph/msgraph-sdk-go/applications"
	"github.com/microsoftgraph/msgraph-sdk-go/models"

	"rekey/shared/rotation"
)

// open checks what every call needs before it is sent.
func (d *Directory) open(c *call, token rotation.Token) (abstractions.RequestAdapter, error) {
	if token.Value.IsZero() {
		return nil, &serviceerror.Error{Op: c.op, Class: serviceerror.CredentialInvalid}
	}
	adapter, err := d.adapter(token)
	if err != nil {
		return nil, c.failure(err)
	}
	return adapter, nil
}

// begin is open for a call about the application or service principal with that id.
func (d *Directory) begin(c *call, token rotation.Token, id string) (abstractions.RequestAdapter, error) {
	if !guid.MatchString(id) {
		return nil, &serviceerror.Error{Op: c.op, Class: serviceerror.ApplicationMissing}
	}
	return d.open(c, token)
}

var guid = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`)

// item is the SDK's builder for the application with that object id.
func item(objectID string, adapter abstractions.RequestAdapter) *applications.ApplicationItemRequestBuilder {
	return applications.NewApplicationItemRequestBuilderInternal(map[string]string{"application%2Did": objectID}, adapter)
}

// Application reads app; see [rotator.Directory].
func (d *Directory) Application(ctx context.Context, token rotation.Token, app rotation.Application) (rotation.ApplicationState, error) {
	c := &call{op: "reading the application"}
	id := app.ObjectID
	if id == "" {
		id = app.ClientID
	}
	adapter, err := d.begin(c, token, id)
	if err != nil {
		return rotation.ApplicationState{}, err
	}
	properties := []string{"id", "appId", "displayName", "signInAudience", "passwordCredentials"}
	var found models.Applicationable
	if app.ObjectID != "" {
		found, err = item(id, adapter).Get(c.into(ctx), &applications.ApplicationItemRequestBuilderGetRequestConfiguration{
			QueryParameters: &applications.ApplicationItemRequestBuilderGetQueryParameters{Select: properties},
		})
	} else {
		found, err = byClientID[models.Applicationable](c.into(ctx), adapter, "applications", id, properties,
			models.CreateApplicationFromDiscriminatorValue)
	}
	if err != nil {
		return rotation.ApplicationState{}, c.failure(err)
	}
	if found == nil || text(found.GetId()) == "" {
		return rotation.ApplicationState{}, c.incomplete()
	}
	return rotation.ApplicationState{
		ObjectID:       text(found.GetId()),
		ClientID:       text(found.GetAppId()),
		DisplayName:    text(found.GetDisplayName()),
		SignInAudience: text(found.GetSignInAudience()),
		Passwords:      passwords(found.GetPasswordCredentials()),
	}, nil
}

// ServicePrincipal reads the service principal of app, by its client id: whether it may sign in, and the client
// secrets that sit on it. Rekey does not rotate those; it has to know them in order to tell what a given secret is.
func (d *Directory) ServicePrincipal(ctx context.Context, token rotation.Token, app rotation.Application,
) (own []rotation.Password, enabled bool, err error) {
	c := &call{op: "reading the service principal"}
	adapter, err := d.begin(c, token, app.ClientID)
	if err != nil {
		return nil, false, err
	}
	found, err := byClientID[models.ServicePrincipalable](c.into(ctx), adapter, "servicePrincipals", app.ClientID,
		[]string{"id", "accountEnabled", "passwordCredentials"}, models.CreateServicePrincipalFromDiscriminatorValue)
	if err != nil {
		return nil, false, c.failure(err)
	}
	if found == nil || text(found.GetId()) == "" {
		return nil, false, c.incomplete()
	}
	enabled = found.GetAccountEnabled() == nil || *found.GetAccountEnabled()
	return passwords(found.GetPasswordCredentials()), enabled, nil
}

// byClientID reads one object of set by its alternate key.
func byClientID[T serialization.Parsable](ctx context.Context, adapter abstractions.RequestAdapter, set, clientID string,
	properties []string, create serialization.ParsableFactory,
) (T, error) {
	request := abstractions.NewRequestInformationWithMethodAndUrlTemplateAndPathParameters(abstractions.GET,
		"{+baseurl}/"+set+"(appId='{appId}'){?%24select}", map[string]string{"appId": clientID})
	request.AddQueryParameters(struct {
		Select []string `uriparametername:"%24select"`
	}{properties})
	request.Headers.TryAdd("Accept", "application/json")
	answer, err := adapter.Send(ctx, request, create, nil)
	found, _ := answer.(T)
	return found, err
}

// Owners returns the object ids of the owners of app: of service principals and of
// users. app.ObjectID is required.
func (d *Directory) Owners(ctx context.Context, token rotation.Token, app rotation.Application) (objectIDs []string, err error) {
	c := &call{op: "listing the owners"}
	adapter, err := d.begin(c, token, app.ObjectID)
	if err != nil {
		return nil, err
	}
	ctx = c.into(ctx)
	page, err := item(app.ObjectID, adapter).Owners().Get(ctx, &applications.ItemOwnersRequestBuilderGetRequestConfiguration{
		QueryParameters: &applications.ItemOwnersRequestBuilderGetQueryParameters{Select: []string{"id"}},
	})
	for err == nil && page != nil {
		for _, owner := range page.GetValue() {
			if owner != nil && text(owner.GetId()) != "" {
				objectIDs = append(objectIDs, text(owner.GetId()))
			}
		}
		next := text(page.GetOdataNextLink())
		if next == "" {
			return objectIDs, nil
		}
		page, err = applications.NewItemOwnersRequestBuilder(next, adapter).Get(ctx, nil)
	}
	if err != nil {
		return nil, c.failure(err)
	}
	return nil, c.incomplete()
}

// AddPassword issues a client secret; see [rotator.Directory]. It is sent once. A
// success whose answer lacks the key id or the value is one of unknown outcome.
func (d *Directory) AddPassword(ctx context.Context, token rotation.Token, app rotation.Application, marker string,
	expires time.Time,
) (rotation.Issued, error) {
	c := &call{op: "adding a password", write: true}
	adapter, err := d.begin(c, token, app.ObjectID)
	if err != nil {
		return rotation.Issued{}, err
	}
	expires = expires.UTC().Truncate(time.Second)
	asked := models.NewPasswordCredential()
	asked.SetDisplayName(&marker)
	asked.SetEndDateTime(&expires)
	body := applications.NewItemAddPasswordPostRequestBody()
	body.SetPasswordCredential(asked)
	issued, err := item(app.ObjectID, adapter).AddPassword().Post(c.into(ctx), body, nil)
	if err != nil {
		return rotation.Issued{}, c.failure(err)
	}
	if issued == nil || issued.GetKeyId() == nil || *issued.GetKeyId() == uuid.Nil || text(issued.GetSecretText()) == "" {
		return rotation.Issued{}, c.incomplete()
	}
	if end := issued.GetEndDateTime(); end != nil {
		expires = end.UTC()
	}
	return rotation.Issued{
		KeyID:     issued.GetKeyId().String(),
		Value:     secret.New(*issued.GetSecretText()),
		Hint:      text(issued.GetHint()),
		ExpiresAt: expires,
	}, nil
}

// RemovePassword removes a client secret; see [rotator.Directory]. It is sent once.
func (d *Directory) RemovePassword(ctx context.Context, token rotation.Token, app rotation.Application, keyID string) error {
	c := &call{op: "removing a password", write: true}
	adapter, err := d.begin(c, token, app.ObjectID)
	if err != nil {
		return err
	}
	id, err := uuid.Parse(keyID)
	if err != nil {
		return &serviceerror.Error{Op: c.op, Class: serviceerror.Invalid}
	}
	body := applications.NewItemRemovePasswordPostRequestBody()
	body.SetKeyId(&id)
	if err := item(app.ObjectID, adapter).RemovePassword().Post(c.into(ctx), body, nil); err != nil {
		return c.failure(err)
	}
	return nil
}

func passwords(list []models.PasswordCredentialable) []rotation.Password {
	var shown []rotation.Password
	for _, p := range list {
		if p == nil || p.GetKeyId() == nil {
			continue // there is no way to name it
		}
		shown = append(shown, rotation.Password{
			KeyID:       p.GetKeyId().String(),
			DisplayName: text(p.GetDisplayName()),
			Hint:        text(p.GetHint()),
			StartsAt:    moment(p.GetStartDateTime()),
			ExpiresAt:   moment(p.GetEndDateTime()),
		})
	}
	return shown
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func moment(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}
