package host

import (
	"net/http"
	"net/url"
	"strings"
)

// OwnPage reports whether r was sent by a page of ours, such as by a form on it. Browsers say
// where a request comes from in Sec-Fetch-Site; older ones at least in Origin, which is then
// compared with publicURL, the address under which browsers reach us. That can't be seen in
// the request: the Functions host replaces the Host header. A request that says neither is
// refused, and without publicURL one that has only Origin.
// Source: w3.org/TR/fetch-metadata.
func OwnPage(r *http.Request, publicURL string) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin"
	}
	u, err := url.Parse(publicURL)
	return err == nil && u.Host != "" && strings.EqualFold(r.Header.Get("Origin"), u.Scheme+"://"+u.Host)
}
