package page

import (
	"net/url"
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"
)

// Address is where a link or a form leads: a path of Rekey's own, or an https address.
// Escaping alone would let javascript: through, which runs.
type Address struct{ text string }

// Path is an address of our own with its query. Segments are escaped; empty ones and dots are
// the caller's mistake and lead to the root.
func Path(base string, segments ...string) Address {
	text := base
	for _, s := range segments {
		if s == "" || s == "." || s == ".." {
			return Address{base}
		}
		text += "/" + url.PathEscape(s)
	}
	return Address{text}
}

// With is the address with a query, after the one that it has.
func (a Address) With(q url.Values) Address {
	if len(q) == 0 {
		return a
	}
	if strings.Contains(a.text, "?") {
		return Address{a.text + "&" + q.Encode()}
	}
	return Address{a.text + "?" + q.Encode()}
}

// Fragment is a place in the same page, or in the page at the address.
func (a Address) Fragment(id string) Address { return Address{a.text + "#" + url.PathEscape(id)} }

// Here is an address of our own that stands as a caller has checked it; one that is no path leads
// to the root.
func Here(path string) Address {
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\\t\r\n") {
		return Address{"/"}
	}
	return Address{path}
}

// Elsewhere is an address of another site. Not ok: it is not https, and no link is made.
func Elsewhere(link string) (a Address, ok bool) {
	u, err := url.Parse(link)
	if err != nil || u.Scheme != "https" || u.Host == "" || !strings.HasPrefix(link, "https://") {
		return Address{}, false
	}
	return Address{link}, true
}

// IsZero reports whether there is none.
func (a Address) IsZero() bool { return a.text == "" }

// String is the address.
func (a Address) String() string { return a.text }

// Href is the attribute of a link.
func (a Address) Href() g.Node { return h.Href(a.text) }

func (a Address) src() g.Node { return h.Src(a.text) }

// Action is the attribute of a form.
func (a Address) Action() g.Node { return h.Action(a.text) }
