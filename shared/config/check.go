package config

import (
	"net/url"
	"strings"
	"time"

	"rekey/shared/rotation"
)

// rules reads the durations and counts of the protocol. Outside of emulators the
// gates may be raised, not lowered, and what keeps two passes apart stays as it is:
// every process has to agree on that, also with the one that it replaces.
func (r *reader) rules(emulated bool) rotation.Rules {
	rules := rotation.DefaultRules()
	rules.Successes = r.number("REKEY_VERIFY_SUCCESSES", rules.Successes, 1, 20)
	if least := rotation.DefaultRules().Successes; !emulated && rules.Successes < least {
		r.wrong("REKEY_VERIFY_SUCCESSES", "must be at least %d, outside of REKEY_EMULATED", least)
	}
	for _, d := range []struct {
		name  string
		value *time.Duration
		least time.Duration
		fixed bool
	}{
		{"REKEY_VERIFY_SPACING", &rules.Spacing, 0, false},
		{"REKEY_VERIFY_MIN_AGE", &rules.MinAge, 0, false},
		{"REKEY_VERIFY_MIN_AGE_FIRST", &rules.MinAgeFirst, 0, false},
		{"REKEY_REVOKE_MIN_AGE", &rules.RevokeMinAge, 0, false},
		{"REKEY_SETTLE_SPACING", &rules.SettleSpacing, 0, true},
		{"REKEY_SETTLE_MIN_AGE", &rules.SettleMinAge, 0, true},
		{"REKEY_LATE_WRITE", &rules.Late, 0, true},
		{"REKEY_LEASE", &rules.Lease, time.Millisecond, true},
		{"REKEY_CALL_TIMEOUT", &rules.CallTimeout, time.Millisecond, true},
		{"REKEY_SKEW", &rules.Skew, 0, true},
	} {
		byDefault := *d.value
		*d.value = r.duration(d.name, byDefault, d.least)
		switch {
		case emulated:
		case d.fixed && *d.value != byDefault:
			r.wrong(d.name, "may be changed only with REKEY_EMULATED=true; leave it out")
		case *d.value < byDefault:
			r.wrong(d.name, "must be at least %s, outside of REKEY_EMULATED", byDefault)
		}
	}
	rules.IssueTimeout = issueTimeout(rules.CallTimeout)
	rules.Pass = pass(rules.Lease, rules.Skew)
	return rules
}

// relations checks what two settings say together.
func (r *reader) relations(c Config) {
	r.timing(c.Rules)
	// A variable that is set but wrong is reported already: here only whether it is set.
	set := func(name string) bool { return r.text(name) != "" }
	if !c.Identity.ClientSecret.IsZero() && !(set("AZURE_CLIENT_ID") && set("AZURE_TENANT_ID")) {
		r.wrong("AZURE_CLIENT_SECRET", "needs AZURE_CLIENT_ID and AZURE_TENANT_ID; for a managed identity leave it out")
	}
	if set("REKEY_AUTH_TENANT_ID") != set("REKEY_AUTH_AUDIENCE") {
		r.wrong("REKEY_AUTH_TENANT_ID", "goes together with REKEY_AUTH_AUDIENCE: set both or none")
	}
	given, named := !c.OAuth.ClientSecret.IsZero(), set("REKEY_OAUTH_CLIENT_SECRET_NAME")
	switch {
	case given && named:
		r.wrong(oauthClientSecret, "is given, and REKEY_OAUTH_CLIENT_SECRET_NAME names one in Key Vault: set only one")
	case (given || named) && !set(oauthClientID):
		r.wrong(oauthClientID, "is required for the secret of the OAuth application: write its client id")
	case !given && !named && set(oauthClientID):
		r.wrong(oauthClientSecret, "is required for the OAuth application; or name a secret in Key Vault by REKEY_OAUTH_CLIENT_SECRET_NAME")
	}
	r.consoleRelations(c)
	if c.CAFile != "" && !c.Emulated {
		r.wrong("REKEY_CA_FILE", "may be set only with REKEY_EMULATED=true; leave it out")
	}
}

// timing checks that what has to fit into a lease and into an attempt does.
func (r *reader) timing(rules rotation.Rules) {
	// An issue starts only if it, and the two calls that put its result away, end
	// before another pass could hold the lease.
	if need := rules.Skew + rules.IssueTimeout + 2*rules.CallTimeout; rules.Lease <= need {
		r.wrong("REKEY_LEASE", "must be more than REKEY_SKEW and four times REKEY_CALL_TIMEOUT, which is %s", need)
	}
	if rules.Pass <= 0 {
		r.wrong("REKEY_LEASE", "must be more than twice REKEY_SKEW")
	}
	proof := time.Duration(rules.Successes) * rules.Spacing
	// The proof is repeated in the pass that publishes.
	if rules.Pass > 0 && proof >= rules.Pass {
		r.wrong("REKEY_VERIFY_SPACING", "times REKEY_VERIFY_SUCCESSES is %s and must be less than a pass, which is %s", proof, rules.Pass)
	}
	if age := max(rules.MinAge, rules.MinAgeFirst) + proof; age >= rules.Attempt {
		r.wrong("REKEY_VERIFY_MIN_AGE",
			"and REKEY_VERIFY_MIN_AGE_FIRST, with the proof, must be less than the %s after which an attempt is given up", rules.Attempt)
	}
}

// azure are the domains under which the real services are, in all clouds. Sources:
// azcore's cloud package, Key Vault's and Storage's lists of national endpoints.
var azure = []string{
	"azure.net", "azure.com", "azure.cn", "azure.us", // vault.azure.net, vault.azure.cn, storage.azure.net
	"windows.net", "chinacloudapi.cn", "usgovcloudapi.net", "cloudapi.de", "microsoftazure.de", // core.windows.net and its like
	"microsoftonline.com", "microsoftonline.us", "microsoftonline.cn", "microsoftonline.de",
	"microsoft.com", "microsoft.us", "microsoft.de", // graph
}

// aws are the domains of AWS, in all partitions. Source: the partitions of the AWS
// SDK for Go.
var aws = []string{"amazonaws.com", "amazonaws.com.cn", "api.aws", "amazonwebservices.com.cn", "amazonaws.eu"}

// realAzure reports whether host is one of the real services'.
func realAzure(host string) bool { return within(host, azure) }

// realAWS reports whether host is one of AWS.
func realAWS(host string) bool { return within(host, aws) }

func within(host string, domains []string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	for _, domain := range domains {
		if host == domain || strings.HasSuffix(host, "."+domain) {
			return true
		}
	}
	return false
}

// emulated refuses real addresses: with REKEY_EMULATED Rekey trusts more, and
// removes credentials sooner, than real ones allow.
func (r *reader) emulated(c Config) {
	hosts := []struct{ name, host string }{
		{"REKEY_TABLE_SERVICE", (&url.URL{Host: c.TableHost}).Hostname()},
		{"REKEY_KEY_VAULT_URL", hostOf(c.KeyVaultURL)},
		{"AZURE_AUTHORITY_HOST", hostOf(c.AuthorityHost)},
		{"REKEY_GRAPH_URL", hostOf(c.GraphURL)},
	}
	for _, h := range hosts {
		if realAzure(h.host) {
			r.wrong(h.name, "is the real Azure, which REKEY_EMULATED=true does not allow: write the emulator's address")
		}
	}
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Hostname()
}
