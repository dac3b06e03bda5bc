package console_test

import (
	"html"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"rekey/functions/console"
	"rekey/shared/auth"
)

// installation is docs/install.md in one line a command, with values in the place of variables.
func installation(t *testing.T, known map[string]string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", "install.md"))
	if err != nil {
		t.Fatal(err)
	}
	return unquoted(regexp.MustCompile(`\$[A-Z_]+`).ReplaceAllStringFunc(string(data), func(name string) string {
		if value, ok := known[name[1:]]; ok {
			return value
		}
		return name
	}))
}

// unquoted joins lines that go on, and leaves out quotes that change nothing.
func unquoted(text string) string {
	text = regexp.MustCompile(` \\\n *`).ReplaceAllString(text, " ")
	return regexp.MustCompile(`"(\$?[0-9A-Za-z_.:/-]+)"`).ReplaceAllString(text, "$1")
}

// sentences is text without line ends and without what makes words bold or code.
func sentences(text string) string {
	return strings.Join(strings.Fields(strings.NewReplacer("*", "", "`", "").Replace(text)), " ")
}

// Pages that lead through an installation have the commands of docs/install.md, in its order, with the
// values that are known, and its words beside them.
func TestTheWordsOfTheInstallation(t *testing.T) {
	w := newWorld(t, auth.Admin)
	w.everything("billing")
	w.handler.VaultURL = "https://contoso-rekey-kv.vault.azure.net"
	unknown := map[string]string{"GRAPH": "00000003-0000-0000-c000-000000000000"}
	with := map[string]string{"GRAPH": unknown["GRAPH"], "CLIENT_ID": clientID, "ROTATED_CLIENT_ID": clientID,
		"CERTIFICATE_CLIENT_ID": clientID, "TENANT_ID": tenantID, "NAME": "contoso-rekey", "SECRET_NAME": "billing-secret",
		"AUTHORITY_HOST": "https://login.microsoftonline.com"}
	w.answer("POST", secrets+"/inspect", 200, object{"test": object{}})
	form := url.Values{"tenantId": {tenantID}, "clientId": {clientID}}
	block := regexp.MustCompile(`<p>([^<]*)</p>(?:<pre>)?<code>([^<]*)</code>(?:</pre>| )<button[^>]*>Copy</button>(?:<p class="note">([^<]*)</p>)?`)
	for from, c := range map[string]struct {
		page  page
		known map[string]string
		least int // blocks
	}{
		"### A. By its own client secret": {w.get("/console/connect?method=client-secret"), unknown, 3},
		"### B. By a certificate":         {w.get("/console/connect?method=certificate"), unknown, 4},
		"### C. By OAuth, as a person":    {w.get("/console/connect?method=oauth"), unknown, 1},
		"### A. ":                         {w.post("/console/connect/check?method=client-secret", form), with, 3},
		"## 7. The consumer":              {w.get("/console/connections/" + id), with, 4},
		"## 7.":                           {w.get("/console/targets/" + id + "/" + targetID), with, 4},
	} {
		w.shows(c.page)
		doc := installation(t, c.known)
		_, rest, ok := strings.Cut(doc, from)
		if !ok {
			t.Fatalf("the page has no %q", from)
		}
		found := block.FindAllStringSubmatch(c.page.text, -1)
		if len(found) < c.least {
			t.Errorf("%s: %d blocks", from, len(found))
		}
		for _, b := range found {
			for _, text := range []string{b[1], b[3]} {
				if !strings.Contains(sentences(doc), html.UnescapeString(text)) {
					t.Errorf("%s: docs/install.md does not say %q", from, html.UnescapeString(text))
				}
			}
			for line := range strings.SplitSeq(unquoted(html.UnescapeString(b[2])), "\n") {
				if _, rest, ok = strings.Cut(rest, line); !ok {
					t.Fatalf("%s: docs/install.md has no command %q behind those before it", from, line)
				}
			}
		}
	}
}

// The methods are called what they are in docs/install.md, and it says when to take which.
func TestWhereToBegin(t *testing.T) {
	doc := sentences(installation(t, nil))
	w := newWorld(t, auth.Admin)
	w.answer("GET", secrets, 200, object{"appConnections": []object{}})
	begin := w.get("/console/connections")
	for i, way := range console.Ways {
		if heading := "### " + string(rune('A'+i)) + ". " + way[1]; !strings.Contains(doc, heading) || !strings.Contains(doc, "| "+way[2]+" |") {
			t.Errorf("docs/install.md lacks %q, or %q", heading, way[2])
		}
		w.shows(begin, `<a href="/console/connect?method=`+way[0]+`">`+way[1]+`</a>: `+html.EscapeString(way[2]))
		w.shows(w.get("/console/connect?method="+way[0]), html.EscapeString(way[2]))
	}
	for _, hint := range []string{console.TenantFrom, console.ClientFrom, "Certificates & secrets > Client secrets, column Secret ID"} {
		if !strings.Contains(doc, hint) {
			t.Errorf("docs/install.md lacks %q", hint)
		}
		w.shows(w.get("/console/connect?method=client-secret"), html.EscapeString(hint))
	}
	for _, way := range console.Ways[1:] { // which publish nothing of their own
		if p := w.get("/console/connect?method=" + way[0]); strings.Contains(p.text, "vaultSecretName") {
			t.Errorf("%s asks for the name of a secret", way[1])
		}
	}
	w.handler.OAuth = false
	w.shows(w.get("/console"), "By OAuth, as a person (not configured: docs/install.md, step 6C)")
}
