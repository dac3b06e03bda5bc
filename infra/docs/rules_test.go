package docs_test

import (
	"fmt"
	"io/fs"
	"maps"
	"strings"
	"testing"
	"testing/fstest"

	"rekey/infra/docs"
)

const source = "https://example.com/reference"

// reference is one of a small tool shed; page right below uses all of it.
var reference = docs.Reference{
	Commands: []docs.Command{
		{Command: "az", Source: source, Group: true, Options: []string{"--query="}},
		{Command: "az thing make", Source: source, Required: []string{"--name -n"},
			Options: []string{"--name=", "-n=", "--tags=...", "--keep", "--open[=]", "--body="}},
		{Command: "curl", Source: source, Options: []string{"-s", "-S", "-d=", "-X="}, Arguments: -1},
		{Command: "go test", Source: source, Arguments: -1},
		{Command: "jq", Source: source, Options: []string{"-n"}, Arguments: -1},
		{Command: "openssl rand", Source: source, Options: []string{"-hex"}, Arguments: 1},
		{Command: "terraform", Source: source, Group: true, Options: []string{"-chdir="}},
		{Command: "terraform output", Source: source, Options: []string{"-raw"}, Arguments: 1},
		{Command: "tr", Source: source, Options: []string{"-d"}, Ordered: true, Arguments: 2},
	},
	Program:  []string{"REKEY_ONE", "REKEY_ONE_MORE", "REKEY_TWO"},
	Settings: []docs.Name{{Name: "AzureWebJobsHost", Source: "shared/one/one.go"}},
	Files: []docs.Name{{Name: "./.local/demo.env", Source: source, Sets: []string{"DEMO"}},
		{Name: "yours.tf", Source: source}, {Name: "shared/mine.tf", Source: source}},
}

// right is a page without a mistake.
const right = "# A `right` page, 1.0\n" + `
Run ` + "`make go N=3`, `az thing make`, `az thing`, `az thing make --tags …`; see `shared/one/one.go`, `one.go`, `shared/one`," + `
` + "`yours.tf`, `shared/*/one.go`; set `REKEY_ONE`, `_ONE_MORE`, `REKEY_TWO`, `AzureWebJobsHost`, `AzureWeb`, `REKEY_ONE_*`" + `.
[here](#a-right-page-10), <a id="set"></a>[set](#set), [the code](shared/one), [outside](https://example.com/a?b=c#d).

` + "```sh" + `
. ./.local/demo.env
NAME=$(az thing make -n "$DEMO" --keep --tags a=1 b=2 --query id --open) && export SECRET=s
az thing make --name="$NAME" --open false --body '{"name": "'"$NAME"'", "n": '$NAME'}'   # a comment
say() { curl -sSX POST -d @- "$1"; }
jq -n '{a: env.SECRET}' | say "https://example.com/${REST:-}" | tr '+/' '-_'; curl -s -- -Z; openssl rand -hex 3
A=1 jq -n env.A; curl -d @shared/one/one.go -d shared a/b shared/mine.tf
read -rs VALUE; for i in 1 2; do echo "$VALUE$i$HOME"; done
terraform -chdir=shared/one output -raw "name"; make go; go test ./shared/one/...
` + "```\n\n```json\n{\"a\": \"…\"}\n```\n\n```hcl\na = 1\n```\n\n```text\ncurl -Z\n```\n\n" +
	"```console\n$ az thing make \\\n>   -n a\nmade <a> --b\n```\n"

// repository is the files around a page.
func repository(page string) fstest.MapFS {
	files := fstest.MapFS{
		"Makefile":      {Data: []byte("go: # go\n\techo $(N)\n")},
		"README.md":     {Data: []byte(right)},
		"docs/page.md":  {Data: []byte(page)},
		"docs/first.md": {Data: []byte("The variables of [the steps](steps.md) are others.\n\n```sh\nFIRST=1\n```\n")},
		"docs/steps.md": {Data: []byte("# Steps\n## Steps\n\nSome variables are of the [first](first.md).\n\n" +
			"| Variable | is |\n|---|---|\n| `LISTED`, `$DOLLAR` | x |\n\n```sh\nSTEP=1\n```\n")},
		"shared/one/one.go": {Data: []byte("package one\n")},
	}
	maps.Copy(files, fstest.MapFS{"node_modules/a.go": {}, "build/b.md": {Data: []byte("[no page](of-ours)")}})
	return files
}

func findings(t *testing.T, files fs.FS, reference docs.Reference) []string {
	t.Helper()
	found, err := docs.Check(files, reference)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]string, len(found))
	for i, f := range found {
		out[i] = f.String()
	}
	return out
}

// Every kind of mistake is found at its line, and nothing else is.
func TestMistakes(t *testing.T) {
	block := func(lines ...string) string { return "```sh\n" + strings.Join(lines, "\n") + "\n```\n" }
	for name, tt := range map[string]struct {
		page  string
		wants []string // what the findings say, in their order
	}{
		"right":                     {page: strings.ReplaceAll(right, "(shared", "(../shared")},
		"syntax":                    {block("echo 'a", "echo b"), []string{"2: the shell does not parse"}},
		"syntax within a sentence":  {"Say `curl 'a`.", []string{"1: the shell does not parse"}},
		"placeholder":               {block("curl a", "curl <your address>"), []string{"3: <your address> is no word"}},
		"placeholder in a sentence": {"`az thing make -n <name>`", []string{"1: <name> is no word"}},
		"placeholder in quotes":     {block(`curl "https://<host>/"`), []string{"2: <host> is no word"}},
		"redirection":               {page: block("curl a <in >out")},
		"tool":                      {block("kurl a"), []string{`2: the command "kurl" is not in`}},
		"subcommand":                {block("az thing make -n a", "az thing mak -n a"), []string{`3: the command "az thing mak" is not in`}},
		"group":                     {block("az thing"), []string{`2: the command "az thing" is not in`}},
		"subcommand in a sentence":  {"`az thin make`", []string{`1: the command "az thin make" is not in`}},
		"within a substitution":     {block(`echo "$(az thing mak)"`), []string{`2: the command "az thing mak" is not in`}},
		"within a pipe":             {block("curl a | az thing mak"), []string{`2: the command "az thing mak" is not in`}},
		"in a dialogue":             {"```console\n$ az thing mak\naz thing made\n```\n", []string{`2: the command "az thing mak" is not in`}},
		"option":                    {block("az thing make -n a --kept"), []string{"2: az thing make has no option --kept"}},
		"letter":                    {block("curl -sZ a"), []string{"2: curl has no option -sZ"}},
		"option of another group":   {block("terraform output --query=a"), []string{"2: terraform output has no option --query"}},
		"no value": {block("az thing make -n --keep"),
			[]string{"2: the option -n of az thing make takes a value"}},
		"a value too many": {block("az thing make -n a --keep=b"),
			[]string{"2: the option --keep of az thing make takes no value"}},
		"required":               {block("az thing make --keep"), []string{"2: az thing make needs --name or -n"}},
		"required in a sentence": {"`az thing make --keep`", []string{"1: az thing make needs --name or -n"}},
		"a word too many":        {block("az thing make -n a b"), []string{`2: az thing make takes no further word, such as "b"`}},
		"left out": {block("az thing make …"),
			[]string{"2: az thing make: a block leaves nothing out", "needs --name", "no further word"}},
		"variable":                  {block("curl $A", "A=1"), []string{"2: $A is set by no block before"}},
		"variable of its own value": {block("A=$A"), []string{"2: $A is set by no block before"}},
		"exported variable":         {block("export A"), []string{"2: $A is set by no block before"}},
		"variable of a file": {block(". ./.local/other.env", "curl $DEMO"),
			[]string{"3: $DEMO is set by no block before"}},
		"variables listed":    {page: "| variable | is |\n|---|---|\n| `A` | x |\n\n" + block("curl $A")},
		"variables of a page": {page: "The variables are those of [the steps](steps.md).\n\n" + block("curl $STEP $LISTED $DOLLAR $FIRST")},
		"page that is only linked": {"See [the steps](steps.md).\n\n" + block("curl $STEP"),
			[]string{"4: $STEP is set by no block before"}},
		"environment of jq": {block("A=1", "jq -n env.A", "export A", "jq -n env.A"),
			[]string{"3: jq reads A of its environment"}},
		"JSON": {"```json\n{\"a\":}\n```\n", []string{"2: the JSON does not parse"}},
		"JSON of an option": {block(`az thing make -n a --body '{"a": }'`),
			[]string{"2: the JSON of az thing make --body does not"}},
		"HCL": {"```hcl\na = \n```\n", []string{"2: the HCL does not parse"}},
		"a block without language": {"```\ncurl a\n```\n\n    curl -Z\n",
			[]string{"2: a block that begins with a command", "5: a block that begins"}},
		"target": {"`make og`, `make go M=1`",
			[]string{"1: the Makefile has no target og", "1: the Makefile uses no variable M"}},
		"package": {block("go test ./shared/two/..."), []string{"2: there is no ./shared/two/... in"}},
		"program": {block("./shared/two/run"), []string{"2: there is no ./shared/two/run"}},
		"file given": {block("terraform -chdir=shared/two output; curl -d @a shared/two"),
			[]string{"2: there is no shared/two in"}},
		"setting":            {"`REKEY_ONCE`", []string{"1: REKEY_ONCE is no setting"}},
		"setting in a block": {block("echo REKEY_ONCE=1"), []string{"2: REKEY_ONCE is no setting"}},
		"settings":           {"`REKEY_ON_`, `AzureWebJobsGuest`", []string{"1: REKEY_ON_ is no", "1: AzureWebJobsGuest is no"}},
		"end of a setting": {"`REKEY_ONE`, `_LESS`\n\n`..._ONE_MORE`",
			[]string{"1: _LESS ends no setting", "3: ..._ONE_MORE ends no setting"}},
		"variable like a setting": {page: block("REKEY_MINE=1", "curl $REKEY_MINE")},
		"link":                    {"a\n[b](c.md)", []string{"2: the link c.md leads to docs/c.md, which there is not"}},
		"link out": {"[b](http://example.com) [c](https://localhost/)\n\nhttp://example.com/d <https://e>",
			[]string{"1: the link http://example.com is no https", "1: the link https", "3: the link http://example.com/d",
				"3: the link https://e"}},
		"malformed link":   {"[b](https://example.com:a/)", []string{"1: the link https://example.com:a/ does not parse"}},
		"anchor":           {"# B\n[b](#a)", []string{"2: docs/page.md has no anchor #a"}},
		"anchor of a page": {"[b](steps.md#step) [c](steps.md#steps-1)", []string{"1: docs/steps.md has no anchor #step"}},
		"anchor of a file": {"[b](../shared/one/one.go#L1)", []string{"1: shared/one/one.go has no anchor #L1"}},
		"picture":          {"![b](c.png)", []string{"1: the link c.png leads to docs/c.png"}},
		"path": {"`shared/two`, `two.go`, `a.go`, `shared/*/two.go`",
			[]string{"1: there is no shared/two in", "1: there is no two.go", "1: there is no a.go", "1: there is no shared/*"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := findings(t, repository(tt.page), reference)
			for i := range max(len(got), len(tt.wants)) {
				switch {
				case i >= len(got):
					t.Errorf("nothing says %q", tt.wants[i])
				case i >= len(tt.wants):
					t.Errorf("found %q", got[i])
				case !strings.Contains(got[i], tt.wants[i]) || !strings.HasPrefix(got[i], "docs/page.md:"):
					t.Errorf("found %q, want %q", got[i], tt.wants[i])
				}
			}
		})
	}
}

// The commands that the program tells people are checked as far as it is known what it fills in.
func TestAdvice(t *testing.T) {
	files := repository("")
	maps.Copy(files, fstest.MapFS{
		"shared/two/two.go": {Data: []byte("package two\n" + `
var a, b, c = "Run az thing make --name " + id + " --keep. Or (az thing make --keep), then openssl rand -hex 3.", 1 + 1, '"' + "openssl"

func f() string { return fmt.Sprintf("az thing %s --kept; az %s; az thing make --lost; az thing.", a) + "It says:" +
	" az thing make --kept, az thing mak" }
`)},
		"shared/two/two_test.go": {Data: []byte("package two\n\nvar a = `az thing mak`\n")},
		"infra/one/one.tf": {Data: []byte("a \"b\" {\n  c = \"az thing make --name ${a.b} --query a\"\n" +
			"  d = \"${a} az thing mak ${b}\"\n}\n")},
	})
	got := findings(t, files, reference)
	want := []string{"infra/one/one.tf:3: the command \"az thing mak\" is not in", "shared/two/two.go:5: az thing make has no option --kept",
		"shared/two/two.go:5: the command \"az thing mak\" is not in", "shared/two/two.go:5: az thing make has no option --lost"}
	if len(got) != len(want) {
		t.Fatalf("found %q, want %q", got, want)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("found %q, want %q", got[i], want[i])
		}
	}
	for _, name := range []string{"shared/two/two.go", "infra/one/one.tf"} {
		files[name] = &fstest.MapFile{Data: []byte("az {")}
		if _, err := docs.Check(files, reference); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s can't be read: %v", name, err)
		}
		delete(files, name)
	}
}

// What no page uses is to leave the reference, and every setting of the program is told.
func TestUnused(t *testing.T) {
	more := reference
	more.Commands = append([]docs.Command{{Command: "az thing keep", Source: source}}, reference.Commands...)
	more.Settings = append([]docs.Name{{Name: "AzureWebJobsGuest", Source: source}}, reference.Settings...)
	more.Files = append([]docs.Name{{Name: "mine.tf", Source: source}}, reference.Files...)
	more.Program = append([]string{"REKEY_THREE"}, reference.Program...)
	got := findings(t, repository(""), more)
	want := []string{"README.md:0: no page tells the setting REKEY_THREE: describe it",
		`infra/docs/commands.yaml:0: no page uses "az thing keep": remove the entry`,
		`infra/docs/names.yaml:0: no page uses "AzureWebJobsGuest": remove the entry`,
		`infra/docs/names.yaml:0: no page uses "mine.tf": remove the entry`}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("found %q, want %q", got, want)
	}
}

// An entry that could check nothing, or does not say where it is from, is refused.
func TestReference(t *testing.T) {
	for says, entry := range map[string]docs.Command{
		"no name":             {Source: source},
		"listed twice":        {Command: "curl", Source: source},
		"no source":           {Command: "new", Source: "by heart"},
		"hyphen":              {Command: "new", Source: source, Options: []string{"name="}},
		"none of its options": {Command: "new", Source: source, Options: []string{"--name="}, Required: []string{"--id"}},
	} {
		more := reference
		more.Commands = append([]docs.Command{entry}, reference.Commands...)
		if _, err := docs.Check(repository(""), more); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
	for _, name := range []docs.Name{{Name: "new"}, {Name: "new", Source: "shared/two/two.go"}} {
		more := reference
		more.Settings = []docs.Name{name}
		if _, err := docs.Check(repository(""), more); err == nil || !strings.Contains(err.Error(), "no source") {
			t.Errorf("%v: %v", name, err)
		}
	}
}
