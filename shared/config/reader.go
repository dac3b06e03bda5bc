package config

import (
	"cmp"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"rekey/shared/secret"

	"rekey/shared/auth"
)

var (
	deploymentForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?$`)
	guidForm       = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	tenantForm     = regexp.MustCompile(`^[0-9a-zA-Z][0-9a-zA-Z.-]{0,252}$`)
	vaultNameForm  = regexp.MustCompile(`^[0-9a-zA-Z-]{1,127}$`)
)

// reader reads variables and collects what is wrong with them.
type reader struct {
	lookup     func(string) (string, bool)
	errs       []error
	unresolved map[string]bool // variables that hold a reference in place of a value
}

// wrong notes a mistake: the variable's name, and what to write. Of a reference that was not
// resolved nothing more can be said.
func (r *reader) wrong(name, format string, args ...any) {
	if !r.unresolved[name] {
		r.errs = append(r.errs, fmt.Errorf(name+": "+format, args...))
	}
}

// text returns a variable without the space around it.
func (r *reader) text(name string) string { return strings.TrimSpace(r.value(name)) }

// secret returns a variable as it is: a secret may begin or end with anything.
func (r *reader) secret(name string) secret.Value { return secret.New(r.value(name)) }

// reference is how a Key Vault reference begins. App Service and Functions put the secret's
// value in its place; where they can't read it, the process gets the reference itself.
// Source: learn.microsoft.com/azure/app-service/app-service-key-vault-references.
const reference = "@microsoft.keyvault("

// value returns a variable. One that holds a reference is noted, once, and is returned as it
// is, so that it counts as set.
func (r *reader) value(name string) string {
	s, _ := r.lookup(name)
	if !strings.HasPrefix(strings.ToLower(strings.TrimSpace(s)), reference) || r.unresolved[name] {
		return s
	}
	r.wrong(name, "is a Key Vault reference that was not resolved. Give the app's identity the role Key Vault Secrets User on that vault, "+
		"let the vault's network rules admit the app, check the secret's name, and restart; the portal shows the reference's status "+
		"under Environment variables")
	if r.unresolved == nil {
		r.unresolved = map[string]bool{}
	}
	r.unresolved[name] = true
	return s
}

// required notes that a variable is missing; if it is set but wrong, that is noted
// already.
func (r *reader) required(name, value, form string) string {
	if r.text(name) == "" {
		r.wrong(name, "is required: write %s", form)
	}
	return value
}

func (r *reader) match(name, byDefault string, form *regexp.Regexp, words string) string {
	s := r.text(name)
	if s == "" {
		return byDefault
	}
	if !form.MatchString(s) {
		r.wrong(name, "must be %s", words)
		return byDefault
	}
	return s
}

func (r *reader) boolean(name string) bool {
	switch r.text(name) {
	case "true":
		return true
	case "false", "":
	default:
		r.wrong(name, "must be true or false")
	}
	return false
}

// appService reads whether App Service's authentication is on. The variable is the
// platform's, so that no value of it is a mistake; the Functions host reads it by .NET's
// bool.TryParse, and so in any case. Source: Azure/azure-functions-host,
// IsEasyAuthEnabled. In front of Lambda nothing takes a client's header away, so there
// the variable, if it is set, means nothing.
func (r *reader) appService() bool {
	return strings.EqualFold(r.text("WEBSITE_AUTH_ENABLED"), "true") && !r.onLambda()
}

func (r *reader) number(name string, byDefault, least, most int) int {
	s := r.text(name)
	if s == "" {
		return byDefault
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < least || n > most {
		r.wrong(name, "must be a number from %d to %d", least, most)
		return byDefault
	}
	return n
}

// duration reads a duration of at least least.
func (r *reader) duration(name string, byDefault, least time.Duration) time.Duration {
	s := r.text(name)
	if s == "" {
		return byDefault
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < least {
		r.wrong(name, "must be a duration of at least %s, like %s", least, byDefault)
		return byDefault
	}
	return d
}

// parseURL reads an absolute URL without user, query and fragment. It does not
// repeat what it cannot read: people put secrets into URLs.
func parseURL(s string) (*url.URL, bool) {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return nil, false
	}
	return u, true
}

// origin reads an https URL with nothing but a host, and returns it without a
// slash at its end; empty if it is wrong, so that nothing more is said about it.
func (r *reader) origin(name, byDefault string) string {
	s := r.text(name)
	if s == "" {
		return byDefault
	}
	u, ok := parseURL(s)
	if !ok || u.Scheme != "https" || strings.Trim(u.Path, "/") != "" {
		r.wrong(name, "must be https:// and a host, without a path or query")
		return ""
	}
	return "https://" + u.Host
}

// publicURL reads the address for browsers. Plain http is for loopback only, where
// no other machine sees the traffic and browsers allow it. It has no path: the cookies of the
// console and of OAuth are for the whole host, so that two deployments below one host would take
// each other's, and its links begin at the root.
func (r *reader) publicURL(name string) string {
	s := r.text(name)
	if s == "" {
		return ""
	}
	u, ok := parseURL(s)
	if !ok || u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())) {
		r.wrong(name, "must be an https URL without a query, or http on localhost")
		return ""
	}
	if strings.Trim(u.EscapedPath(), "/") != "" {
		r.wrong(name, "must have no path: give Rekey a host name of its own, such as https://rekey.example.com "+
			"(in front of an API Gateway stage or a proxy, a domain that leads to Rekey's root)")
		return ""
	}
	return strings.TrimRight(u.String(), "/")
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// keys reads the entries of API keys. An entry is named by its place only, as it
// may be a key that was put there by mistake.
func (r *reader) keys(name string) []auth.Key {
	var keys []auth.Key
	place := map[[32]byte]int{}
	n := 0
	for entry := range strings.SplitSeq(r.text(name), ",") {
		n++
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		k, err := auth.ParseKey(entry)
		if err != nil {
			r.wrong(name, "entry %d: %w", n, err)
			continue
		}
		if first, ok := place[k.Hash]; ok {
			r.wrong(name, "entry %d: the hash is the same as in entry %d; give each caller a key of its own", n, first)
			continue
		}
		place[k.Hash] = n
		keys = append(keys, k)
	}
	return keys
}

// table reads the table service: an https URL or a connection string. host, with
// its port, is what it will be reached at, empty if that is wrong already.
func (r *reader) table(name string, emulated bool) (address string, connection secret.Value, host string) {
	const form = "the table service's https URL, like https://name.table.core.windows.net, or a storage connection string"
	s := r.required(name, r.text(name), form)
	if s == "" {
		return "", secret.Value{}, ""
	}
	if !strings.Contains(s, "=") {
		u, ok := parseURL(s)
		if !ok || u.Scheme != "https" {
			r.wrong(name, "must be %s", form)
			return "", secret.Value{}, ""
		}
		r.pathless(name, u, emulated)
		return strings.TrimRight(u.String(), "/"), secret.Value{}, u.Host
	}
	endpoint, ok := tableEndpoint(s)
	if !ok {
		r.wrong(name, "as a connection string must have AccountName, AccountKey and, unless it is the default, TableEndpoint or EndpointSuffix")
		return "", secret.Value{}, ""
	}
	if endpoint.Scheme != "https" && !emulated {
		r.wrong(name, "must use https, outside of REKEY_EMULATED")
	}
	r.pathless(name, endpoint, emulated)
	return "", secret.New(s), endpoint.Host
}

// pathless refuses an address with a path: it would become part of every request's, and the
// service answers those as if there were no such table. Only Azurite has the account in it.
func (r *reader) pathless(name string, u *url.URL, emulated bool) {
	if strings.Trim(u.Path, "/") != "" && !emulated {
		r.wrong(name, "must be the address of the table service without a path: Rekey names its table itself")
	}
}

// audience reads what tokens of callers have to be for. Where it is a client id, or the
// identifier URI that Entra makes of one, it is written in lower case, as in tokens.
func (r *reader) audience(name string) string {
	s := r.text(name)
	switch {
	case strings.HasSuffix(s, "/.default"):
		r.wrong(name, "must be the audience of tokens, without /.default, which belongs to the scope that clients ask for")
	case strings.ContainsAny(s, " ,;"):
		r.wrong(name, "must be one audience: the client id of the API's registration, or its identifier URI")
	}
	const scheme = "api://"
	if id := s[min(len(scheme), len(s)):]; guidForm.MatchString(s) || guidForm.MatchString(id) && strings.EqualFold(s[:len(scheme)], scheme) {
		return strings.ToLower(s)
	}
	return s
}

// tableEndpoint says where a connection string leads, by aztables' rules. A shared
// access signature is not accepted: it ends, and then Rekey stands still.
func tableEndpoint(s string) (*url.URL, bool) {
	parts := map[string]string{}
	for part := range strings.SplitSeq(strings.TrimRight(s, ";"), ";") {
		k, v, ok := strings.Cut(part, "=")
		if !ok {
			return nil, false
		}
		parts[k] = v
	}
	if parts["AccountName"] == "" || parts["AccountKey"] == "" {
		return nil, false
	}
	endpoint := parts["TableEndpoint"]
	if endpoint == "" {
		endpoint = cmp.Or(parts["DefaultEndpointsProtocol"], "https") + "://" + parts["AccountName"] + ".table." +
			cmp.Or(parts["EndpointSuffix"], "core.windows.net")
	}
	u, ok := parseURL(endpoint)
	return u, ok && (u.Scheme == "https" || u.Scheme == "http")
}
