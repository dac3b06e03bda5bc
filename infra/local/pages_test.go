package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Before the lines of docs/install.md: the emulated tenant, and what a person enters.
const entered = `. ./.local/demo.env
CLIENT_ID=$SPARE_CLIENT_ID CLIENT_SECRET=$SPARE_CLIENT_SECRET CLIENT_SECRET_KEY_ID=$SPARE_CLIENT_SECRET_KEY_ID
ORIGINAL_GRACE_HOURS=0
CURL_CA_BUNDLE=$CA_FILE
export CURL_CA_BUNDLE
`

// Before those of a certificate, and of OAuth.
const (
	enteredForCertificate = `TARGET_CLIENT_ID=$SPARE_TARGET_CLIENT_ID RETIRE_KEY_IDS=$SPARE_TARGET_KEY_ID ORIGINAL_GRACE_HOURS=48
`
	enteredForOAuth = `TARGET_CLIENT_ID=$SPARE_OTHER_CLIENT_ID RETIRE_KEY_IDS=$SPARE_OTHER_KEY_ID ORIGINAL_GRACE_HOURS=0
`
)

// revoked waits for what the page says takes some minutes.
const revoked = `until rekey "$ROTATED/rotations" | jq -e '.revocations | length > 0' > /dev/null; do sleep 1; done
`

// install runs the lines of docs/install.md that call Rekey or Entra's token endpoint, by each of the three methods with
// the proof at the end of the page, and returns what they print. The link of OAuth is opened by the lines of docs/api.md.
func install(t *testing.T, here string) string {
	t.Helper()
	needsJQ(t)
	doc, err := os.ReadFile("../../docs/install.md")
	if err != nil {
		t.Fatal(err)
	}
	proof := lines(t, string(doc), "## 8. The proof")
	script := entered + lines(t, string(doc), "## 5. Deploy") +
		lines(t, string(doc), "### A. By its own client secret") + revoked + proof +
		enteredForCertificate + lines(t, string(doc), "### B. By a certificate") + proof +
		enteredForOAuth + opened(t, lines(t, string(doc), "### C. By OAuth, as a person")) + revoked + proof
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Minute) // it waits for what is not settled at once
	defer stop()
	shell := exec.CommandContext(ctx, "bash", "-euo", "pipefail")
	shell.Dir, shell.Stdin = here, strings.NewReader(script)
	shell.Env = append(os.Environ(), "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1")
	printed, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("the lines of docs/install.md: %v\n%s\n%s", err, script, printed)
	}
	return string(printed)
}

var (
	link    = regexp.MustCompile(`(?m)^jq .*/oauth/authorize .*$`)
	browser = regexp.MustCompile(`(?m)^BUTTON=.*\n^BACK=.*\n^RESULT=.*\n^curl .*\n`)
)

// opened are the lines of OAuth with a person who opens the link.
func opened(t *testing.T, script string) string {
	t.Helper()
	doc, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	plays := strings.ReplaceAll(string(browser.Find(doc)), "./.local/cookies", "./.local/cookies-of-install")
	if plays == "" || !link.MatchString(script) {
		t.Fatalf("docs/api.md plays no browser any more, or docs/install.md has no link:\n%s", script)
	}
	return link.ReplaceAllStringFunc(script, func(line string) string { return "LINK=$(" + line + ")\n" + plays })
}

// The loop of the proof ends when all is settled, and not for an answer that says nothing of it, or for none.
func TestSettles(t *testing.T) {
	needsJQ(t)
	doc, err := os.ReadFile("../../docs/install.md")
	if err != nil {
		t.Fatal(err)
	}
	_, loop, found := strings.Cut(string(doc), "```sh\nsettles() {")
	loop, _, _ = strings.Cut(loop, "```")
	if !found {
		t.Fatal("docs/install.md has no loop to wait with any more")
	}
	const unsettled = `{"target":{"rotation":{"settled":false,"state":"verifying","rotationStatus":"failed"}}}`
	for name, c := range map[string]struct {
		answers string // of one look after the other; the last goes on
		looks   int
		settled bool
		last    string // is in the last line
	}{
		"at once":       {`{"appConnection":{"rotation":{"settled":true}}}`, 1, true, `{"settled":true,`},
		"later":         {unsettled + "\n" + unsettled + "\n" + `{"target":{"rotation":{"settled":true}}}`, 3, true, `{"settled":true,`},
		"never":         {unsettled, 20, false, `"rotationStatus":"failed"`},
		"refused":       {`{"statusCode":401,"message":"The API key is not known."}`, 1, false, "The API key is not known."},
		"not reachable": {``, 20, false, ""},
		"failed":        {`{"target":{"rotation":{"settled":false,"state":"idle","rotationStatus":"failed"}}}`, 1, false, `"failed"`},
		"no connection": {`{"appConnections":[]}`, 1, false, "go back to step 6"},
	} {
		shell := exec.CommandContext(t.Context(), "bash", "-c", "ROTATED=/x\nsleep() { n=$((n + 1)); }\nn=1\n"+
			`rekey() { head -n "$n" answers | tail -n 1; }`+"\nsettles() {"+loop)
		shell.Dir = t.TempDir()
		if err := os.WriteFile(filepath.Join(shell.Dir, "answers"), []byte(c.answers), 0o600); err != nil {
			t.Fatal(err)
		}
		printed, err := shell.Output()
		shown := strings.Split(strings.TrimSuffix(string(printed), "\n"), "\n")
		if looks := len(shown); looks != c.looks || (err == nil) != c.settled || !strings.Contains(shown[looks-1], c.last) {
			t.Errorf("%s: %d looks, %v: %s", name, looks, err, printed)
		}
	}
}

func needsJQ(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("jq"); err != nil {
		t.Skip("jq is missing: the lines of docs/install.md and docs/api.md need it")
	}
}

var (
	shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")
	// What goes to Azure itself, makes what demo.env has already, or takes longer than a look at it is worth: another
	// rotation is among the lines of docs/api.md, and TestSettles has the loop.
	elsewhere = regexp.MustCompile(`(?m)\b(az|terraform|sam|openssl|read) |\bsettles\b|^[A-Z_]+=("?0000|\d)|rotate-credentials`)
	local     = regexp.MustCompile(`\b(rekey|signs_in)\b|^ROTATED=`)
)

// lines are the blocks of one section that can be run against emulated services.
func lines(t *testing.T, doc, heading string) (script string) {
	t.Helper()
	_, section, found := strings.Cut(doc, "\n"+heading+"\n")
	section, _, _ = strings.Cut(section, "\n##")
	for _, block := range shellBlock.FindAllStringSubmatch(section, -1) {
		if local.MatchString(block[1]) && !elsewhere.MatchString(block[1]) {
			script += block[1]
		}
	}
	if !found || script == "" {
		t.Fatalf("docs/install.md has no lines under %q any more", heading)
	}
	return script
}

// paste runs the shell lines of docs/api.md from the one that reads demo.env to the end of
// their section, in a folder that has it, and returns what they print.
func paste(t *testing.T, here string) string {
	t.Helper()
	needsJQ(t)
	doc, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(doc), "```sh\n. ./.local/demo.env")
	section, _, ends := strings.Cut(section, "\n## ")
	if !found || !ends {
		t.Fatal("docs/api.md has no lines to paste any more")
	}
	script := ". ./.local/demo.env"
	for i, part := range strings.Split(section, "```") {
		if i%2 == 0 { // text and code alternate, code first
			script += strings.TrimPrefix(part, "sh\n") + "\n"
		}
	}
	shell := exec.Command("sh", "-eu")
	shell.Dir, shell.Stdin = here, strings.NewReader(script)
	shell.Env = append(os.Environ(), "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1")
	printed, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("the lines of docs/api.md: %v\n%s\n%s", err, script, printed)
	}
	return string(printed)
}

func leadsTo(t *testing.T, printed string, all ...string) {
	t.Helper()
	for _, words := range all {
		if !strings.Contains(printed, words) {
			t.Errorf("the lines do not lead to %q:\n%s", words, printed)
		}
	}
}
