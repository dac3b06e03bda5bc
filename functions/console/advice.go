package console

import (
	"regexp"
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"rekey/shared/page"
)

// commands finds the commands in an advice. What stands in quotes is a name, which may look like one:
// a stranger has chosen it.
var commands = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|\baz (?:ad|keyvault) [a-z-]+(?: [a-z-]+)*` +
	`(?: --[a-z-]+(?: (?:@?<[^>]*>|[^\s().,;"<-][^\s().,;"<]*))?)+`)

// placeholders are what a person has to put into an advice's command: the variable that takes its place, and the
// line that says it.
var placeholders = []struct{ in, variable, line string }{
	{"@<certificate.pem>", `"@$CERTIFICATE_FILE"`, "CERTIFICATE_FILE=cert.pem      # its public part"},
	{"<key id>", `"$KEY_ID"`, "KEY_ID=00000000-0000-0000-0000-000000000000      # below, under Credentials"},
	{"<object id of a person>", `"$PERSON_ID"`, personToFill},
}

// runnable are the lines of a command; false: it has something to put in for which there is no variable.
func runnable(command string) (lines string, ok bool) {
	for _, p := range placeholders {
		if strings.Contains(command, p.in) {
			lines += p.line + "\n"
			command = strings.ReplaceAll(command, p.in, p.variable)
		}
	}
	return lines + command, !strings.Contains(command, "<")
}

// advice is an advice of the API with commands to copy.
func advice(text string) g.Node {
	text = said(text)
	var nodes []g.Node
	at := 0
	for _, m := range commands.FindAllStringIndex(text, -1) {
		if text[m[0]] == '"' {
			continue
		}
		lines, ok := runnable(text[m[0]:m[1]])
		command := page.Copyable(lines, "the command")
		if !ok { // a shell would read it as a file
			command = h.Code(g.Text(lines))
		}
		nodes = append(nodes, g.Text(text[at:m[0]]), command)
		at = m[1]
		if rest := text[at:]; rest == "." || strings.HasPrefix(rest, ". ") { // it would stand alone behind the button
			at++
		}
	}
	return g.Group(append(nodes, g.Text(text[at:])))
}
