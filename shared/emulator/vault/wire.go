package vault

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"time"
	"unicode/utf8"
)

// Limits of a secret, as Key Vault has them.
const (
	maxValue       = 25 * 1024 // bytes
	maxContentType = 255       // characters
	maxTags        = 15
	maxTag         = 256 // characters, of a key and of a value
	retentionDays  = 90
	maxBody        = 1 << 20
)

// attributes are a version's attributes on the wire, times as unix seconds.
type attributes struct {
	Enabled         *bool  `json:"enabled,omitempty"`
	NotBefore       *int64 `json:"nbf,omitempty"`
	Expires         *int64 `json:"exp,omitempty"`
	Created         *int64 `json:"created,omitempty"`
	Updated         *int64 `json:"updated,omitempty"`
	RecoveryLevel   string `json:"recoveryLevel,omitempty"`
	RecoverableDays int    `json:"recoverableDays,omitempty"`
}

// parameters are the body of a set or an update; what is nil was not sent.
type parameters struct {
	Value       *string            `json:"value"`
	ContentType *string            `json:"contentType"`
	Tags        *map[string]string `json:"tags"`
	Attributes  attributes         `json:"attributes"`
}

// bundle is one version in an answer.
type bundle struct {
	Value       *string           `json:"value,omitempty"`
	ID          string            `json:"id"`
	ContentType string            `json:"contentType,omitempty"`
	Attributes  attributes        `json:"attributes"`
	Tags        map[string]string `json:"tags,omitempty"`
}

// deletedBundle is a soft-deleted secret in an answer.
type deletedBundle struct {
	bundle
	RecoveryID         string `json:"recoveryId"`
	DeletedDate        int64  `json:"deletedDate"`
	ScheduledPurgeDate int64  `json:"scheduledPurgeDate"`
}

// page is one page of a list; NextLink is null on the last.
type page struct {
	Value    []bundle `json:"value"`
	NextLink *string  `json:"nextLink"`
}

// decode reads the body of a set or an update and checks what is checked for
// both. Unknown members and read-only attributes are refused: a client that sends
// them believes in something that does not happen.
func decode(w http.ResponseWriter, r *http.Request) (parameters, error) {
	var p parameters
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return p, errors.New("the content type must be application/json")
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return p, errors.New("the body is not a JSON object of the expected form")
	}
	a := p.Attributes
	if a.Created != nil || a.Updated != nil || a.RecoveryLevel != "" || a.RecoverableDays != 0 {
		return p, errors.New("created, updated, recoveryLevel and recoverableDays are read-only")
	}
	if a.NotBefore != nil && a.Expires != nil && *a.NotBefore >= *a.Expires {
		return p, errors.New("nbf must be before exp")
	}
	if p.ContentType != nil && utf8.RuneCountInString(*p.ContentType) > maxContentType {
		return p, fmt.Errorf("contentType is longer than %d characters", maxContentType)
	}
	if p.Tags != nil {
		return p, checkTags(*p.Tags)
	}
	return p, nil
}

func checkTags(tags map[string]string) error {
	if len(tags) > maxTags {
		return fmt.Errorf("there are more than %d tags", maxTags)
	}
	for k, v := range tags {
		if k == "" || utf8.RuneCountInString(k) > maxTag || utf8.RuneCountInString(v) > maxTag {
			return fmt.Errorf("a tag's name and value may have at most %d characters, and a name at least one", maxTag)
		}
	}
	return nil
}

// apply merges what was sent into ver; tags are replaced as a whole.
func (p parameters) apply(ver *version) {
	if p.ContentType != nil {
		ver.contentType = *p.ContentType
	}
	if p.Tags != nil {
		ver.tags = *p.Tags
	}
	if p.Attributes.Enabled != nil {
		ver.enabled = *p.Attributes.Enabled
	}
	if p.Attributes.NotBefore != nil {
		ver.notBefore = time.Unix(*p.Attributes.NotBefore, 0)
	}
	if p.Attributes.Expires != nil {
		ver.expires = time.Unix(*p.Attributes.Expires, 0)
	}
}

// bundle describes ver without its value. Lists of secrets leave the version out of
// the id.
func (ver *version) bundle(r *http.Request, name string, withVersion bool) bundle {
	id := "https://" + r.Host + "/secrets/" + name
	if withVersion {
		id += "/" + ver.id
	}
	return bundle{
		ID:          id,
		ContentType: ver.contentType,
		Tags:        ver.tags,
		Attributes: attributes{
			Enabled:         &ver.enabled,
			NotBefore:       unix(ver.notBefore),
			Expires:         unix(ver.expires),
			Created:         unix(ver.created),
			Updated:         unix(ver.updated),
			RecoveryLevel:   "Recoverable",
			RecoverableDays: retentionDays,
		},
	}
}

// unix gives t in unix seconds, nil for the zero time.
func unix(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	s := t.Unix()
	return &s
}
