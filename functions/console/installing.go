package console

import (
	"regexp"
	"slices"
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"rekey/shared/page"
)

// These are the words and commands of docs/install.md that pages show as well, in its order. A test
// holds the pages against it.

// way is a method to connect by: what it is called, and when to take it.
type way struct{ method, name, takes string }

// ways are all of them, in the order of step 6.
var ways = []way{
	{"client-secret", "By its own client secret",
		"One application, which then rotates its own client secret. No identity can change more than its own registration: prefer it."},
	{"certificate", "By a certificate", "Several applications, rotated by one that you make for it, which signs in with a certificate."},
	{"oauth", "By OAuth, as a person", "Several applications, rotated as a person who owns them and signs in."},
}

// Where a person finds ids.
const (
	tenantFrom = "Microsoft Entra ID > Overview"
	clientFrom = "App registrations > All applications > the application > Application (client) ID"
)

// block is commands of one purpose, and what they print. The first lines may say what is yours to replace.
type block struct{ says, lines, prints string }

const (
	permissionOf = `az ad app permission add --id "$CLIENT_ID" --api "$GRAPH" --api-permissions "$ROLE_ID"=Role`
	consentTo    = `az ad app permission admin-consent --id "$CLIENT_ID"`
	principalOf  = `PRINCIPAL_ID=$(az ad sp show --id "$CLIENT_ID" --query id -o tsv)`
	clientToFill = "CLIENT_ID=00000000-0000-0000-0000-000000000000      # " + clientFrom + "\n"
	personToFill = `PERSON_ID=$(az ad user show --id ada@contoso.com --query id -o tsv)`
	vaultToFill  = "VAULT=contoso-vault      # the name of the key vault\n"
	targetToFill = "TARGET_" + clientToFill
	servedBy     = `az ad sp show --id "$TARGET_CLIENT_ID" --query id -o tsv || ` +
		`az ad sp create --id "$TARGET_CLIENT_ID" --query id -o tsv` + "\n"
	ownerOf  = `az ad app owner add --id "$TARGET_CLIENT_ID" --owner-object-id "$PRINCIPAL_ID"`
	keyIDsOf = `az ad app credential list --id "$CLIENT_ID" ` +
		`--query "[].{keyId:keyId, name:displayName, hint:hint, ends:endDateTime}" -o table`
)

// firstOf are what an application needs before it is connected, by method (step 6).
var firstOf = map[string][]block{
	"client-secret": {
		{"It gets the permission to change what it owns, and becomes an owner of itself:",
			clientToFill + strings.ReplaceAll(servedBy+permissionOf+"\n"+principalOf+"\n"+ownerOf, "TARGET_", ""), ""},
		{"Consent, by a Global Administrator:", consentTo, ""},
		{"Its key id tells Rekey which client secret to revoke.", keyIDsOf, ""},
	},
	"certificate": {
		{"The application that signs in with the certificate, its permission, and the service principal that becomes an owner:",
			"CERTIFICATE_CLIENT_ID=$(az ad app create --display-name contoso-rotator --sign-in-audience AzureADMyOrg --query appId -o tsv)\n" +
				`PRINCIPAL_ID=$(az ad sp create --id "$CERTIFICATE_CLIENT_ID" --query id -o tsv)` + "\n" + ofCertificate(permissionOf), ""},
		{"Consent, by a Global Administrator:", ofCertificate(consentTo), ""},
		{"The certificate: an RSA key, and its public part in Entra.", "CERTIFICATE_FILE=cert.pem\nCERTIFICATE_KEY_FILE=key.pem\n" +
			`openssl req -x509 -newkey rsa:3072 -sha256 -days 365 -nodes -subj "/CN=contoso-rotator" ` +
			`-keyout "$CERTIFICATE_KEY_FILE" -out "$CERTIFICATE_FILE"` + "\n" +
			`az ad app credential reset --id "$CERTIFICATE_CLIENT_ID" --append --cert "@$CERTIFICATE_FILE" \` + "\n" +
			`  --end-date "$(openssl x509 -in "$CERTIFICATE_FILE" -noout -enddate | cut -d = -f 2)" --query appId -o tsv`, ""},
		{"The application to rotate, which the other comes to own:",
			targetToFill + servedBy + ownerOf + "\n" + strings.ReplaceAll(keyIDsOf, "$", "$TARGET_"), ""},
	},
	"oauth": {{"The application to rotate. The person who signs in owns it, or is Cloud Application Administrator or Application " +
		"Administrator.",
		targetToFill + personToFill + "\n" + servedBy +
			`az ad app owner add --id "$TARGET_CLIENT_ID" --owner-object-id "$PERSON_ID"`, ""}},
}

func ofCertificate(lines string) string {
	return strings.ReplaceAll(lines, "$CLIENT_ID", "$CERTIFICATE_CLIENT_ID")
}

// consumer is what lets a consumer read one secret (step 7).
var consumer = []block{
	{"The identity, and its role:", "CONSUMER_GROUP=contoso-payments\nCONSUMER=contoso-payments-web\n" +
		`CONSUMER_PRINCIPAL_ID=$(az webapp identity assign --resource-group "$CONSUMER_GROUP" --name "$CONSUMER" ` +
		"--query principalId -o tsv)\n" +
		`VAULT_ID=$(az keyvault show --name "$VAULT" --query id -o tsv)` + "\n" +
		`az role assignment create --role "Key Vault Secrets User" --assignee-object-id "$CONSUMER_PRINCIPAL_ID" \` + "\n" +
		`  --assignee-principal-type ServicePrincipal --scope "$VAULT_ID/secrets/$SECRET_NAME" --query id -o tsv`, ""},
	{"The setting, and whether App Service could read it:",
		`az webapp config appsettings set --resource-group "$CONSUMER_GROUP" --name "$CONSUMER" --query "[].name" -o tsv \` + "\n" +
			`  --settings "CLIENT_SECRET=@Microsoft.KeyVault(SecretUri=$VAULT_URL/secrets/$SECRET_NAME/)"` + "\n" +
			`CONSUMER_ID=$(az webapp show --resource-group "$CONSUMER_GROUP" --name "$CONSUMER" --query id -o tsv)` + "\n" +
			`az rest --method get --url ` +
			`"$CONSUMER_ID/config/configreferences/appsettings/CLIENT_SECRET?api-version=2022-03-01" --query properties.status -o tsv`,
		"It prints Resolved; another word is the reason, such as AccessToKeyVaultDenied."},
}

// proof shows that what is published works, and that the old one is gone (step 8).
var proof = []block{
	{"The new value is read, and signs in.", "signs_in() {\n" +
		`  curl -sS "$AUTHORITY_HOST/$TENANT_ID/oauth2/v2.0/token" -d grant_type=client_credentials -d "client_id=$ROTATED_CLIENT_ID" \` + "\n" +
		`    --data-urlencode client_secret@- -d "scope=https://graph.microsoft.com/.default" | ` +
		"jq -r '.token_type // .error_description'\n}\n" +
		`az keyvault secret show --vault-name "$VAULT" --name "$SECRET_NAME" --query value -o tsv | tr -d '\n' | signs_in`, "It prints Bearer."},
	{"The old one is gone, some minutes after its grace period is over.",
		`az ad app credential list --id "$ROTATED_CLIENT_ID" --query "[].{keyId:keyId, name:displayName}" -o table`,
		"The table has the key id of the new one, whose name begins with rekey/, and no more that of the old one."},
}

// values are what takes the place of variables.
type values map[string]string

var (
	assigned = regexp.MustCompile(`(?m)^([A-Z_]+)=[^$\n]*\n`)
	variable = regexp.MustCompile(`"\$[A-Z_]+"|\$[A-Z_]+`)
	plain    = regexp.MustCompile(`^[0-9A-Za-z.:/-]+$`)
)

// fill puts in what is known. A value of which a shell could make something else is not.
func (known values) fill(lines string) string {
	of := func(name string) (string, bool) {
		value := known[strings.Trim(name, `"$`)]
		return value, plain.MatchString(value)
	}
	if _, ok := of("VAULT"); !ok && plain.MatchString(known["VAULT_URL"]) { // its address says as much
		lines = strings.ReplaceAll(lines, `--vault-name "$VAULT" --name "$SECRET_NAME"`, `--id "$VAULT_URL/secrets/$SECRET_NAME"`)
	}
	if _, ok := of("VAULT"); !ok && strings.Contains(lines, `"$VAULT"`) {
		lines = vaultToFill + lines
	}
	lines = assigned.ReplaceAllStringFunc(lines, func(line string) string {
		if _, ok := of(line[:strings.Index(line, "=")]); ok {
			return ""
		}
		return line
	})
	return variable.ReplaceAllStringFunc(lines, func(name string) string {
		if value, ok := of(name); ok {
			return value
		}
		return name
	})
}

// copyable are blocks with what is known.
func (known values) copyable(blocks []block) g.Node {
	known["GRAPH"], known["ROLE_ID"] = graph, roleIDs["Application.ReadWrite.OwnedBy"]
	return g.Map(blocks, func(b block) g.Node {
		return g.Group{h.P(g.Text(b.says)), page.Copyable(known.fill(b.lines), "the commands"),
			g.If(b.prints != "", h.P(h.Class("note"), g.Text(b.prints)))}
	})
}

// folded is a part of a page that opens by its summary.
func folded(id, summary string, open bool, nodes ...g.Node) g.Node {
	return h.Details(h.ID(id), g.If(open, g.Attr("open", "")), h.Summary(g.Text(summary)), g.Group(nodes))
}

// first is what has to be there before a connection by a method.
func (f *sheet) first(method string) g.Node {
	i := slices.IndexFunc(ways, func(w way) bool { return w.method == method })
	return g.Group{h.P(h.Class("note"), g.Text(ways[i].takes)), folded("first", "What has to be there first, with the commands", false,
		g.Attr("data-checked", ""), // a check knows the client id that was entered
		values{"CLIENT_ID": strings.TrimSpace(f.entered("clientId"))}.copyable(firstOf[method]))}
}

// wayIn are the methods to begin with.
func (v *visit) wayIn() g.Node {
	return h.Ul(g.Map(ways, func(w way) g.Node {
		name := g.Node(page.Link(connectAt(w.method), w.name))
		if w.method == "oauth" && !v.console.OAuth {
			name = g.Text(w.name + notConfigured)
		}
		return h.Li(name, g.Text(": "+w.takes))
	}))
}

const notConfigured = " (not configured: docs/install.md, step 6C)"
