package console

import (
	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"rekey/shared/auth"
	"rekey/shared/config"
	"rekey/shared/page"
)

// signInWords are the ways of signing in.
var signInWords = map[string]string{
	auth.KindKey: "an API key", auth.KindEntra: "Microsoft Entra", auth.KindAppService: "App Service authentication",
}

// roleWords are what the roles may do.
var roleWords = map[auth.Role]string{
	auth.Read:   "looks at everything but the audit, and changes nothing",
	auth.Write:  "looks at everything but the audit" + writes,
	auth.Rotate: "looks at everything but the audit" + writes + rotates,
	auth.Admin:  "looks at everything, the audit included" + writes + rotates + "; abandons runs; accepts findings",
}

const (
	writes  = "; creates, changes and deletes connections and targets; scans tenants"
	rotates = "; rotates, and turns rotation on"
)

// settings shows what is configured, no secret of it, and who is signed in.
func settings(v *visit) error {
	facts := []page.Fact{page.Say("Signed in as", v.Shown), page.Say("By", wordOf(signInWords, v.caller.Kind)),
		page.Say("Role", v.caller.Role.String()+": "+roleWords[v.caller.Role]),
		{Name: "This session ends", Value: v.maybe(&v.Ends, "when App Service ends it")}}
	rows := make([][]g.Node, len(v.console.Settings))
	for i, s := range v.console.Settings {
		rows[i] = []g.Node{h.Code(g.Text(s.Name)), g.Text(s.Says)}
	}
	return v.show(v.document("settings", "Settings", page.Facts(facts...), h.H2(g.Text("What is configured")),
		page.Table("settings", "Ids and addresses are shown as they are; secrets never are",
			[]page.Column{{Name: "Setting"}, {Name: "Is"}}, rows),
		h.P(h.Class("note"), g.Text("Settings are the deployment's: change them there. The README has all of them."))))
}

// SettingsOf lists what is configured, in words.
func SettingsOf(c config.Config) []Setting {
	set := func(is bool, yes, no string) string {
		if is {
			return yes
		}
		return no
	}
	return []Setting{
		{"REKEY_DEPLOYMENT", c.Deployment}, {"REKEY_KEY_VAULT_URL", c.KeyVaultURL},
		{"REKEY_TABLE_SERVICE", set(c.TableURL != "", "an address, with Rekey's identity", "a connection string")},
		{"REKEY_PUBLIC_URL", set(c.PublicURL != "", c.PublicURL, "not set: no person can connect by signing in")},
		{"REKEY_API_KEYS", count(len(c.Callers.Keys), "key")},
		{"REKEY_AUTH_TENANT_ID", set(c.Callers.TenantID != "", c.Callers.TenantID, "not set")},
		{"REKEY_AUTH_AUDIENCE", set(c.Callers.Audience != "", "access tokens of Entra are accepted", "not set: API keys only")},
		{"INF_APP_CONNECTION_AZURE_CLIENT_SECRETS_CLIENT_ID", set(c.OAuth.ClientID != "", c.OAuth.ClientID, "not set: OAuth is off")},
		{"REKEY_CONSOLE_CLIENT_ID", set(c.SignIn().ClientID != "", c.SignIn().ClientID, "not set: people can't sign in by Entra")},
		{"REKEY_CONSOLE_KEY_NAME", c.Console.KeyName},
		{"REKEY_WEBHOOK_URL", set(c.Webhook.On(), "notices are sent", "not set: no notices")},
	}
}
