package serviceerror

import (
	"net/http"
	"regexp"
	"strconv"
	"time"
)

// MaxPause is the longest pause that a service is believed to mean. The documented ones are minutes;
// what fails for longer has to be shown (promise P8).
const MaxPause = time.Hour

var printable = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,100}$`)

// Printable returns s if it has the form of an error code or a request id, else
// nothing.
func Printable(s string) string {
	if printable.MatchString(s) {
		return s
	}
	return ""
}

// RetryAfter is how long a service asked to wait: x-ms-retry-after-ms or
// retry-after-ms in milliseconds, which Azure's storage prefers, or Retry-After in
// seconds (Graph's documentation shows fractions) or as a date (RFC 9110, 10.2.3). 0 if it did not say, or nothing that means
// anything; at most [MaxPause]. Without a clock (now is zero) a date means nothing.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	for _, in := range []struct {
		header string
		unit   time.Duration
	}{{"X-Ms-Retry-After-Ms", time.Millisecond}, {"Retry-After-Ms", time.Millisecond}, {"Retry-After", time.Second}} {
		if n, err := strconv.ParseFloat(h.Get(in.header), 64); err == nil && n > 0 {
			return time.Duration(min(n*float64(in.unit), float64(MaxPause)))
		}
	}
	if at, err := http.ParseTime(h.Get("Retry-After")); err == nil && !now.IsZero() {
		return min(max(0, at.Sub(now)), MaxPause)
	}
	return 0
}
