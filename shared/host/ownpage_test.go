package host

import (
	"net/http"
	"testing"
)

func TestOwnPage(t *testing.T) {
	const public = "https://rekey.example/prefix"
	for _, tt := range []struct {
		site, origin, public string
		want                 bool
	}{
		{"same-origin", "", public, true},
		{"same-origin", "null", public, true}, // a page whose policy withholds the referrer
		{"same-origin", "", "", true},
		{"same-site", "https://rekey.example", public, false},
		{"cross-site", "https://rekey.example", public, false},
		{"none", "", public, false}, // typed into the address bar: no form
		{"Same-Origin", "", public, false},
		{"", "https://rekey.example", public, true},
		{"", "https://Rekey.example", public, true},
		{"", "https://rekey.example", "https://Rekey.Example", true},
		{"", "http://localhost:7071", "http://localhost:7071", true},
		{"", "http://rekey.example", public, false},
		{"", "https://rekey.example:8443", public, false},
		{"", "https://rekey.example.evil.example", public, false},
		{"", "https://evil.example", public, false},
		{"", "null", public, false},
		{"", "", public, false},
		{"", "https://rekey.example", "", false},
		{"", "://", "", false},
		{"", "://", "not an address", false},
	} {
		r := &http.Request{Method: http.MethodPost, Host: "127.0.0.1:40000", Header: http.Header{}}
		for name, value := range map[string]string{"Sec-Fetch-Site": tt.site, "Origin": tt.origin} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		if got := OwnPage(r, tt.public); got != tt.want {
			t.Errorf("Sec-Fetch-Site %q, Origin %q, public URL %q: %v", tt.site, tt.origin, tt.public, got)
		}
	}
}
