package serviceerror_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"rekey/shared/serviceerror"
)

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"Request_BadRequest":     "Request_BadRequest",
		"AADSTS7000215":          "AADSTS7000215",
		"3f2a-77.b":              "3f2a-77.b",
		"":                       "",
		"two words":              "",
		"https://vault/secrets":  "",
		"line\nbreak":            "",
		"trailing\n":             "",
		"q8Q~secret":             "",
		strings.Repeat("a", 100): strings.Repeat("a", 100),
		strings.Repeat("a", 101): "",
	} {
		if got := serviceerror.Printable(in); got != want {
			t.Errorf("Printable(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		header, value string
		want          time.Duration
	}{
		{"Retry-After", "17", 17 * time.Second},
		{"Retry-After", "Sun, 22 Nov 2026 12:01:30 GMT", 90 * time.Second},
		{"Retry-After", "Sun, 22 Nov 2026 11:00:00 GMT", 0},
		{"Retry-After", "2.128", 2128 * time.Millisecond},
		{"Retry-After", "NaN", 0},
		{"Retry-After", "Inf", serviceerror.MaxPause},
		{"Retry-After", "-5", 0},
		{"Retry-After", "0", 0},
		{"Retry-After", "soon", 0},
		{"Retry-After", "", 0},
		{"Retry-After", "99999999", time.Hour},
		{"Retry-After", "Sun, 22 Nov 2099 12:00:00 GMT", serviceerror.MaxPause},
		{"X-Ms-Retry-After-Ms", "250", 250 * time.Millisecond},
		{"Retry-After-Ms", "250", 250 * time.Millisecond},
	} {
		h := http.Header{}
		h.Set(test.header, test.value)
		if got := serviceerror.RetryAfter(h, now); got != test.want {
			t.Errorf("%s: %q: got %s, want %s", test.header, test.value, got, test.want)
		}
	}
	h := http.Header{"Retry-After": {"Sun, 22 Nov 2026 12:01:30 GMT"}}
	if got := serviceerror.RetryAfter(h, time.Time{}); got != 0 {
		t.Errorf("a date without a clock: %s", got)
	}
}
