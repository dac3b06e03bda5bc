package console

import (
	"regexp"
	"slices"
	"strings"
)

// field is a field of the forms: what it is called there, and what the API calls it.
type field struct{ name, label, api string }

// fields are all of them. Messages of the API are about its own names; a page has these.
var fields = []field{
	{"tenantId", "Tenant id", "tenantId"},
	{"clientId", "Client id of the application", "clientId"},
	{"clientSecret", "Client secret", "clientSecret"},
	{"clientSecretKeyId", "Key id of the client secret", "clientSecretKeyId"},
	{"certificateBody", "Certificate", "certificateBody"},
	{"privateKey", "Private key", "privateKey"},
	{"pfx", "PFX file", "pfx"},
	{"password", "Password of the PFX file", "password"},
	{"chain", "Send the certificate's chain with every sign-in", "sendCertificateChain"},
	{"name", "Name", "name"},
	{"description", "Description", "description"},
	{"projectId", "Project", "projectId"},
	{"vaultSecretName", "Name of the secret in Key Vault", "vaultSecretName"},
	{"rotate", "Rotate on a schedule", "isAutoRotationEnabled"},
	{"interval", "Every so many days", "rotationInterval"},
	{"time", "At this time of day", "rotateAt"},
	{"timeZone", "In this time zone", "timeZone"},
	{"grace", "Grace period in hours", "gracePeriodHours"},
	{"originalGrace", "Grace period of the original, in hours", "originalGracePeriodHours"},
	{"connectionId", "Through the connection", "connectionId"},
	{"retire", "Client secrets to remove", "retireKeyIds"},
	{"reason", "Reason", "reason"},
	{"until", "Until", "until"},
}

// labelOf is the label of a field.
func labelOf(name string) string {
	i := slices.IndexFunc(fields, func(f field) bool { return f.name == name })
	return fields[i].label
}

// adopting is how a page adopts, for who has the button, and adoptedByOthers for who has not.
const (
	adopting        = "“Adopt” on this page, with the role rotate (write, if rotation stays off)"
	adoptedByOthers = "who has the role rotate (write, if rotation stays off) can adopt it"
)

// phrases are what the API says of its own addresses, and what that is on a page.
var phrases = []struct {
	api   *regexp.Regexp
	words string
}{
	{regexp.MustCompile(`rotation is required when isAutoRotationEnabled is true: [^.]*\.`),
		"To rotate on a schedule, rotationInterval and rotateAt are needed."},
	{regexp.MustCompile(`rotation needs the time of day: [^.]*\.`), "rotateAt is missing."},
	{regexp.MustCompile(`(^|; )rotation: `), "$1"},
	{regexp.MustCompile(`the time zone is not an IANA name`), "timeZone is not an IANA name"},
	{regexp.MustCompile(`The first request with this Idempotency-Key is still being worked on\. Repeat it later\.`),
		"The same was asked for a moment ago, and is being worked on. Look again in half a minute."},
	{regexp.MustCompile(`Wait as long as Retry-After says\.`), "Wait a minute."},
	{regexp.MustCompile(`Retry after the time in Retry-After\.`), "Try again in a minute."},
	{regexp.MustCompile(`Read it again, and repeat the change with its version\.`),
		"Look at it as it is now; “Save” repeats your change."},
	{regexp.MustCompile(` To remove both, delete with \?revoke=true\.`), ""},
	{regexp.MustCompile(`Whether it may rotate a target is tested there: POST \.\.\./\S+/test`),
		"Whether it may rotate a target, “Test” on the target's page tells"},
	{regexp.MustCompile(`POST \.\.\./(?:\S+/)?test`), "“Test”"},
	{regexp.MustCompile(`or give its id as connectionId to sign in for it again`),
		"or sign in again on the page of the connection that has it"},
	{regexp.MustCompile(`POST \.\.\./\S+/oauth/authorize(?: with the connectionId)?`), "“Sign in again” on the connection's page"},
	{regexp.MustCompile(`POST \.\.\./azure-client-secrets/\S+/targets`), "“Add a target” on the connection's page"},
	{regexp.MustCompile(`POST \.\.\./\S*inventory/scans`), "“Scan the tenant” in the inventory"},
	{regexp.MustCompile(`POST \.\.\./inventory/\S+/adopt`), adopting},
	{regexp.MustCompile(`PATCH \.\.\./azure-client-secrets/[^\s).]+`), "“Edit” on its page"},
	{regexp.MustCompile(`GET \.\.\./inventory/\{tenantId\}/\{clientId\}`), "The application's page"},
}

// signs are of messages that name no field, and are about one all the same.
var signs = []struct {
	message *regexp.Regexp
	field   string
}{
	{regexp.MustCompile(`with the name "[^"]*" already exists`), "name"}, {regexp.MustCompile(`^The Key Vault secret`), "vaultSecretName"},
	{regexp.MustCompile(`^Entra refuses the client secret`), "clientSecret"}, {regexp.MustCompile(`with the key id`), "clientSecretKeyId"},
	{regexp.MustCompile(`^The tenant was not found`), "tenantId"}, {regexp.MustCompile(`^The application was not found`), "clientId"},
	{regexp.MustCompile(`^(?:The|A) password|has a password`), "password"},
	{regexp.MustCompile(`[Tt]he certificate`), "certificateBody"}, {regexp.MustCompile(`[Pp]rivate key`), "privateKey"},
	{regexp.MustCompile(`PFX`), "pfx"},
}

// named finds the API's names of fields: those in two words wherever they stand, since no sentence has
// them by chance, and the others where a sentence begins that says what they must be.
var named = func() *regexp.Regexp {
	var long, short []string
	for _, f := range fields {
		if strings.ToLower(f.api) == f.api {
			short = append(short, f.api)
		} else {
			long = append(long, f.api)
		}
	}
	const above = `(?:[a-z]+\.)*`
	return regexp.MustCompile(above + `\b(` + strings.Join(long, "|") + `)\b(?: \{[a-z, ]+\})?` +
		`|((?:^|[;.] ))` + above + `(` + strings.Join(short, "|") + `)( must | is missing| has the wrong )`)
}()

// inWords is a message of the API as a page has it, and the fields of forms that it is about.
func inWords(message string) (words string, about []string) {
	for _, p := range phrases {
		message = p.api.ReplaceAllString(message, p.words)
	}
	words = named.ReplaceAllStringFunc(message, func(found string) string {
		m := named.FindStringSubmatch(found)
		i := slices.IndexFunc(fields, func(f field) bool { return f.api == m[1]+m[3] })
		if !slices.Contains(about, fields[i].name) {
			about = append(about, fields[i].name)
		}
		return m[2] + "“" + fields[i].label + "”" + m[4]
	})
	for _, s := range signs {
		if len(about) == 0 && s.message.MatchString(message) {
			about = append(about, s.field)
		}
	}
	return words, about
}

// said is a message of the API as a page has it.
func said(message string) string {
	words, _ := inWords(message)
	return words
}
