package auth

// Refusal is why a request's credential is not good, for the log: it has nothing of what was
// sent. The caller does not learn it. By errors.Is it is [ErrUnauthenticated].
type Refusal string

// The reasons that are found before a token is verified; package openid has those of
// tokens.
const (
	NoHeader       Refusal = "there is no Authorization header"
	SeveralHeaders Refusal = "there is more than one Authorization header"
	NotBearer      Refusal = "the Authorization header is not of the form Bearer <key or token>"
	UnknownKey     Refusal = "the API key is not known: REKEY_API_KEYS has no entry with its hash"
	OtherName      Refusal = "the API key is known by another name than the client id that came with it"
	NoTokens       Refusal = "it is no API key, and no Entra tokens are accepted: REKEY_AUTH_TENANT_ID and REKEY_AUTH_AUDIENCE are not set"
	NoCaller       Refusal = "the token does not say which application asked for it, or which person"
	OtherTenant    Refusal = "the tenant is not that of REKEY_AUTH_TENANT_ID"
	CrossSite      Refusal = "the request was made by another site's page"
	NotEntra       Refusal = "App Service's header comes twice, can't be read or is not about an Entra sign-in"
)

func (r Refusal) Error() string { return string(r) }

// Is makes a Refusal an [ErrUnauthenticated].
func (r Refusal) Is(target error) bool { return target == ErrUnauthenticated }
