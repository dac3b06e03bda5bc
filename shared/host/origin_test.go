package host

import (
	"net/http/httptest"
	"testing"
)

func TestOrigin(t *testing.T) {
	const local = "127.0.0.1:40000"
	for _, test := range []struct {
		name, peer string
		forwarded  []string
		want       string
	}{
		{"Lambda", "203.0.113.9:0", nil, "203.0.113.9"},
		{"Lambda, IPv6", "[2001:db8::1]:0", nil, "2001:db8::1"},
		{"Lambda, header of the client's", "203.0.113.9:0", []string{"198.51.100.1"}, "203.0.113.9"},
		{"Functions host", local, []string{"203.0.113.9"}, "203.0.113.9"},
		{"with a port", local, []string{"203.0.113.9:51234"}, "203.0.113.9"},
		{"IPv6 with a port", local, []string{"[2001:db8::1]:51234"}, "2001:db8::1"},
		{"IPv6 in brackets", local, []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"mapped", local, []string{"::ffff:203.0.113.9"}, "203.0.113.9"},
		{"appended to a forged one", local, []string{"198.51.100.1, 203.0.113.9:51234"}, "203.0.113.9"},
		{"added in a header of its own", local, []string{"198.51.100.1", "203.0.113.9"}, "203.0.113.9"},
		{"no header", local, nil, ""},
		{"no address", local, []string{"unknown"}, ""},
		{"nothing behind the comma", local, []string{"203.0.113.9, "}, ""},
		{"text as a zone", local, []string{"fe80::1%<script>"}, ""},
		{"a line break", local, []string{"203.0.113.9\nx"}, ""},
		{"no peer", "", []string{"203.0.113.9"}, ""},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = test.peer
		for _, v := range test.forwarded {
			r.Header.Add("X-Forwarded-For", v)
		}
		if got := Origin(r); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}
