// Package keyvault keeps values in Azure Key Vault; it is the [rotator.Vault] of
// production.
//
// It promises that a value travels as a [secret.Value] up to the request that
// spends it, and that nothing which the SDK prints gets out: every failure is an
// [*serviceerror.Error] made of a status, validated codes and a request id, or wraps
// [serviceerror.ErrNotFound]. SDK errors render the vault's address, the secret's name
// and the response body. Which secret a failure is about stands beside it
// ([serviceerror.Place]), from what was asked for, so that a person can be told.
//
// Writes are sent once. If one has no answer or a 5xx, its outcome is unknown and
// the caller decides: a repeated Put makes one more version with the same value
// and tags, which is harmless but a version for good, so it is the caller who
// should look first. Repeating Disable, Delete and Recover changes nothing. Reads
// are repeated once.
package keyvault

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"rekey/shared/rotator"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"rekey/shared/rotation"
)

// Config is what a Vault needs to know.
type Config struct {
	// URL of the vault: https, without path or query. Required.
	URL string
	// Credential gets tokens for the vault's own resource. Its tenant must be
	// the vault's, or allow it. Required.
	Credential azcore.TokenCredential
	// Emulated drops the SDK's check that the vault's domain is the one its
	// challenge names. Only for emulators: the check keeps tokens from being
	// sent to a foreign host.
	Emulated bool
	// Transport sends the requests. Nil: the SDK's own.
	Transport policy.Transporter
	// RetryDelay is the pause before a read is repeated, unless the vault asks
	// for another one. Default 500 ms.
	RetryDelay time.Duration
	// PollInterval is the pause between two looks at a recovery. Default 2 s.
	PollInterval time.Duration
	// Now is used to read a Retry-After that is a date. Nil: time.Now.
	Now func() time.Time
}

// maxRetryDelay is how long a read may wait for its repetition. If the vault asks
// for more, the caller is told, who has more than one vault call to plan.
const maxRetryDelay = 2 * time.Second

// Vault is one key vault. It is safe for concurrent use.
type Vault struct {
	poll   time.Duration
	host   string
	now    func() time.Time
	client func() (*azsecrets.Client, error)
}

var _ rotator.Vault = (*Vault)(nil)

// New returns a Vault. It makes no call: the client is made on first use and kept,
// because it remembers the vault's challenge, which costs one request per client.
func New(cfg Config) (*Vault, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		return nil, errors.New("the vault's URL must be https with nothing but a host, like https://name.vault.azure.net")
	}
	if cfg.Credential == nil {
		return nil, errors.New("the vault needs a credential")
	}
	now := cfg.Now
	if now == nil {
		now = time.Now
	}
	options := &azsecrets.ClientOptions{
		ClientOptions: azcore.ClientOptions{
			Transport: cfg.Transport,
			Retry: policy.RetryOptions{
				MaxRetries:    1,
				RetryDelay:    cmp.Or(cfg.RetryDelay, 500*time.Millisecond),
				MaxRetryDelay: maxRetryDelay,
			},
		},
		DisableChallengeResourceVerification: cfg.Emulated,
	}
	return &Vault{
		poll: cmp.Or(cfg.PollInterval, 2*time.Second),
		host: strings.ToLower(u.Host),
		now:  now,
		client: sync.OnceValues(func() (*azsecrets.Client, error) {
			return azsecrets.NewClient("https://"+u.Host, identity{cfg.Credential, now}, options)
		}),
	}, nil
}

// use returns the client; op names the call it is for.
func (v *Vault) use(op string) (*azsecrets.Client, error) {
	client, err := v.client()
	if err != nil {
		return nil, invalid(op, "client options")
	}
	return client, nil
}

// once makes the SDK send what is called with ctx a single time. The challenge,
// which carries nothing, does not count.
func once(ctx context.Context) context.Context {
	return policy.WithRetryOptions(ctx, policy.RetryOptions{MaxRetries: -1})
}

// Put writes a new version. See the package comment for what a repetition does.
func (v *Vault) Put(ctx context.Context, secret rotation.VaultSecret) (string, error) {
	const op = "writing a secret"
	if err := checkSecret(op, secret); err != nil {
		return "", err
	}
	client, err := v.use(op)
	if err != nil {
		return "", err
	}
	value := secret.Value.Reveal()
	p := azsecrets.SetSecretParameters{
		Value:            &value,
		SecretAttributes: &azsecrets.SecretAttributes{Enabled: &secret.Enabled},
		Tags:             map[string]*string{},
	}
	if secret.ContentType != "" {
		p.ContentType = &secret.ContentType
	}
	if !secret.ExpiresAt.IsZero() {
		p.SecretAttributes.Expires = &secret.ExpiresAt
	}
	for k, tag := range secret.Tags {
		p.Tags[k] = &tag
	}
	resp, err := client.SetSecret(once(ctx), secret.Name, p, nil)
	if err != nil {
		return "", v.at(v.failure(op, write, err), secret.Name, "")
	}
	version := versionOf(resp.ID)
	if version == "" {
		return "", &serviceerror.Error{Op: op, Class: serviceerror.Transient, UnknownOutcome: true, Detail: "answer without a version"}
	}
	return version, nil
}

// Get reads one version, or the latest if version is empty.
func (v *Vault) Get(ctx context.Context, name, version string) (rotation.VaultSecret, error) {
	const op = "reading a secret"
	if err := checkName(op, name); err != nil {
		return rotation.VaultSecret{}, err
	}
	if version != "" {
		if err := checkVersion(op, version); err != nil {
			return rotation.VaultSecret{}, err
		}
	}
	client, err := v.use(op)
	if err != nil {
		return rotation.VaultSecret{}, err
	}
	resp, err := client.GetSecret(ctx, name, version, nil)
	if err != nil {
		err = v.at(v.failure(op, read, err), name, version)
		if version != "" && errors.Is(err, serviceerror.ErrNotFound) { // it was written once
			err = v.missing(ctx, op, name, version)
		}
		return rotation.VaultSecret{}, err
	}
	if resp.Value == nil {
		return rotation.VaultSecret{}, &serviceerror.Error{Op: op, Class: serviceerror.Transient, Detail: "answer without a value"}
	}
	s := describe(name, resp.ID, resp.ContentType, resp.Attributes, resp.Tags)
	s.Value = secret.New(*resp.Value)
	return s, nil
}

// List returns every version of name, newest first, without values. Age is known
// in whole seconds, and the vault lists by version id, so versions made in the
// same second come in an order that says nothing about their age; callers that
// have to tell two such versions apart look at the tags. That the first entry is
// the one that a Get without a version returns is certain only if it is alone in
// its second.
func (v *Vault) List(ctx context.Context, name string) ([]rotation.VaultSecret, error) {
	const op = "listing a secret's versions"
	if err := checkName(op, name); err != nil {
		return nil, err
	}
	client, err := v.use(op)
	if err != nil {
		return nil, err
	}
	var all []rotation.VaultSecret
	for pager := client.NewListSecretPropertiesVersionsPager(name, nil); pager.More(); {
		page, err := pager.NextPage(ctx)
		if err != nil {
			err = v.failure(op, read, err)
			if errors.Is(err, serviceerror.ErrNotFound) {
				return nil, nil
			}
			return nil, err
		}
		for _, p := range page.Value {
			if p != nil {
				all = append(all, describe(name, p.ID, p.ContentType, p.Attributes, p.Tags))
			}
		}
	}
	slices.SortStableFunc(all, func(a, b rotation.VaultSecret) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return all, nil
}

// Disable switches one version off.
func (v *Vault) Disable(ctx context.Context, name, version string) error {
	const op = "disabling a secret's version"
	if err := checkName(op, name); err != nil {
		return err
	}
	if err := checkVersion(op, version); err != nil {
		return err
	}
	client, err := v.use(op)
	if err != nil {
		return err
	}
	off := false
	p := azsecrets.UpdateSecretPropertiesParameters{SecretAttributes: &azsecrets.SecretAttributes{Enabled: &off}}
	if _, err := client.UpdateSecretProperties(once(ctx), name, version, p, nil); err != nil {
		return v.at(v.failure(op, write, err), name, version)
	}
	return nil
}

// Delete soft-deletes the secret. The vault may take some seconds for it, in which
// the secret can be neither read nor written. Nil also if it is not there or
// another deletion is under way.
func (v *Vault) Delete(ctx context.Context, name string) error {
	const op = "deleting a secret"
	if err := checkName(op, name); err != nil {
		return err
	}
	client, err := v.use(op)
	if err != nil {
		return err
	}
	_, err = client.DeleteSecret(once(ctx), name, nil)
	if err == nil {
		return nil
	}
	err = v.failure(op, write, err)
	if e, ok := errors.AsType[*serviceerror.Error](err); errors.Is(err, serviceerror.ErrNotFound) || ok && e.Detail == beingDeleted {
		return nil
	}
	return err
}

// describe turns what the SDK says about a version into ours, without the value.
func describe(name string, id *azsecrets.ID, contentType *string, a *azsecrets.SecretAttributes,
	tags map[string]*string,
) rotation.VaultSecret {
	s := rotation.VaultSecret{Name: name, Version: versionOf(id), Tags: plain(tags)}
	if contentType != nil {
		s.ContentType = *contentType
	}
	if a == nil {
		return s
	}
	s.Enabled = a.Enabled != nil && *a.Enabled
	if a.Expires != nil {
		s.ExpiresAt = a.Expires.UTC()
	}
	if a.Created != nil {
		s.CreatedAt = a.Created.UTC()
	}
	return s
}

// versionOf returns the version in id, empty if there is none. The SDK's own
// method takes the id apart the same way, and panics on nil.
func versionOf(id *azsecrets.ID) string {
	if id == nil {
		return ""
	}
	return id.Version()
}

// plain returns tags without pointers, never nil.
func plain(tags map[string]*string) map[string]string {
	out := make(map[string]string, len(tags))
	for k, v := range tags {
		if v != nil {
			out[k] = *v
		}
	}
	return out
}

// invalid is what the vault would refuse and is therefore not sent.
func invalid(op, detail string) error {
	return &serviceerror.Error{Op: op, Class: serviceerror.Invalid, Detail: detail}
}
