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

// advice is an advice of the API with commands to copy.
func advice(text string) g.Node {
	text = said(text)
	var nodes []g.Node
	at := 0
	for _, m := range commands.FindAllStringIndex(text, -1) {
		if text[m[0]] == '"' {
			continue
		}
		command := page.Copyable(text[m[0]:m[1]], "the command")
		if strings.Contains(text[m[0]:m[1]], "<") { // something is to be put in first: a shell would read it as a file
			command = h.Code(g.Text(text[m[0]:m[1]]))
		}
		nodes = append(nodes, g.Text(text[at:m[0]]), command)
		at = m[1]
	}
	return g.Group(append(nodes, g.Text(text[at:])))
}
