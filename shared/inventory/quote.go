package inventory

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxQuoted is how many characters of a name are shown in a sentence, an escape counted as
// what it takes.
const maxQuoted = 60

// Quote is a name as it stands in a sentence for people: in quotes, on one line, cut to 60
// characters, and with what does not print written as an escape. Everyone who may register an
// application in the tenant chooses names, so that a name may hold line breaks, or characters
// that turn the direction of writing around.
func Quote(name string) string {
	var b strings.Builder
	shown := 0
	for _, r := range name {
		quoted := strconv.Quote(string(r))
		quoted = quoted[1 : len(quoted)-1]
		if shown += utf8.RuneCountInString(quoted); shown > maxQuoted {
			b.WriteString("…")
			break
		}
		b.WriteString(quoted)
	}
	return `"` + b.String() + `"`
}

// arg is a GUID as it stands in a command; what is none does not get there.
func arg(id, what string) string {
	if ValidID(strings.ToLower(id)) {
		return id
	}
	return "<" + what + ">"
}
