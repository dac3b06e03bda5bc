package sts

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// The published examples of AWS's Signature Version 4 test suite.
func TestPublishedSignatures(t *testing.T) {
	const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	const credential = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
	for _, tt := range []struct{ name, method, target, body, authorization string }{
		{"get-vanilla", "GET", "/", "",
			"SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		{"get-vanilla-query-order-key-case", "GET", "/?Param2=value2&Param1=value1", "",
			"SignedHeaders=host;x-amz-date, Signature=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
		{"post-x-www-form-urlencoded", "POST", "/", "Param1=value1",
			"SignedHeaders=content-type;host;x-amz-date, Signature=ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
	} {
		r := httptest.NewRequest(tt.method, tt.target, strings.NewReader(tt.body))
		r.Host = "example.amazonaws.com"
		r.Header = http.Header{"X-Amz-Date": {"20150830T123600Z"}, "Content-Type": {"application/x-www-form-urlencoded"}}
		a, ok := parseAuthorization(credential + tt.authorization)
		if !ok {
			t.Fatalf("%s: the authorization was not read", tt.name)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		if got := a.sign(r, body, secret); got != a.signature {
			t.Errorf("%s: signature %s, published is %s; of\n%s", tt.name, got, a.signature, a.canonical(r, body))
		}
	}
}

func TestAuthorizationForms(t *testing.T) {
	const good = "AWS4-HMAC-SHA256 Credential=A/20150830/r/sts/aws4_request, SignedHeaders=host, Signature=ab"
	if _, ok := parseAuthorization(good); !ok {
		t.Fatal("the right form is refused")
	}
	for _, bad := range []string{
		"", "Bearer x",
		strings.Replace(good, "AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256", 1),
		strings.Replace(good, "aws4_request", "aws3_request", 1),
		strings.Replace(good, "/r/", "/", 1),
		strings.Replace(good, ", Signature=ab", "", 1),
		strings.Replace(good, "Signature=ab", "Signature=", 1),
		good + ", Signature=cd", good + ", More=1", good + ", more",
	} {
		if _, ok := parseAuthorization(bad); ok {
			t.Errorf("accepted %q", bad)
		}
	}
}
