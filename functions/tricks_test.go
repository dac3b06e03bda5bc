package functions_test

import (
	"fmt"
	"strings"
)

// trick is a way of asking for something else than it looks like, for a proxy on the
// way or for us. What it makes of the path is sent as it stands.
type trick struct {
	name    string
	path    func(string) string // nil: as it is
	headers string              // lines, each with its end
}

// at returns a path with sep in the place of its last slash.
func at(path, sep string) string {
	i := strings.LastIndexByte(path, '/')
	return path[:i] + sep + path[i+1:]
}

var tricks = []trick{
	{name: "as it is"},
	{name: "a double slash before", path: func(p string) string { return "/" + p }},
	{name: "a double slash within", path: func(p string) string { return at(p, "//") }},
	{name: "an encoded slash", path: func(p string) string { return at(p, "%2f") }},
	{name: "a slash encoded twice", path: func(p string) string { return at(p, "%252F") }},
	{name: "a backslash", path: func(p string) string { return at(p, `\`) }},
	{name: "an encoded backslash", path: func(p string) string { return at(p, "%5c") }},
	{name: "a slash behind", path: func(p string) string { return p + "/" }},
	{name: "a dot behind", path: func(p string) string { return p + "." }},
	{name: "an encoded dot behind", path: func(p string) string { return p + "%2e" }},
	{name: "a dot segment", path: func(p string) string { return at(p, "/./") }},
	{name: "a dot segment behind", path: func(p string) string { return p + "/." }},
	{name: "an encoded dot segment", path: func(p string) string { return at(p, "/%2e/") }},
	{name: "up and down", path: func(p string) string { return at(p, "/x/../") }},
	{name: "up and down, encoded", path: func(p string) string { return at(p, "/x/%2e%2E/") }},
	{name: "up and down, all encoded", path: func(p string) string { return at(p, "%2fx%2f%2e%2e%2f") }},
	{name: "from what is open", path: func(p string) string { return "/health/.." + p }},
	{name: "from what is open, encoded", path: func(p string) string { return "/health%2f..%2f" + p[1:] }},
	{name: "from the pages", path: func(p string) string { return "/organization/app-connections/azure/oauth/../../../.." + p }},
	{name: "upper case", path: strings.ToUpper},
	{name: "a letter encoded", path: func(p string) string { return fmt.Sprintf("%s%%%02x", p[:len(p)-1], p[len(p)-1]) }},
	{name: "a path parameter", path: func(p string) string { return p + ";/health" }},
	{name: "a zero byte", path: func(p string) string { return p + "%00/health" }},
	{name: "a line's end", path: func(p string) string { return p + "%0d%0aX-Injected:%20yes" }},
	{name: "an overlong slash", path: func(p string) string { return at(p, "%c0%af") }},
	{name: "a wide slash", path: func(p string) string { return at(p, "%ef%bc%8f") }},
	{name: "an extension", path: func(p string) string { return p + ".json" }},
	{name: "a fragment", path: func(p string) string { return p + "%23/health" }},
	{name: "an address", path: func(p string) string { return "http://evil.example" + p }},
	{name: "a method in the query", path: func(p string) string { return p + "?_method=GET&method=GET&x-http-method=GET" }},
	{name: "a key in the query", path: func(p string) string { return p + "?code=master&access_token=x&api_key=x" }},
	{name: "another method: GET", headers: "X-HTTP-Method-Override: GET\r\nX-HTTP-Method: GET\r\nX-Method-Override: GET\r\n_method: GET\r\n"},
	{name: "another method: DELETE",
		headers: "X-HTTP-Method-Override: DELETE\r\nX-HTTP-Method: DELETE\r\nX-Method-Override: DELETE\r\n_method: DELETE\r\n"},
	{name: "another address",
		headers: "X-Original-URL: /health\r\nX-Rewrite-URL: /health\r\nX-Forwarded-Uri: /health\r\nX-Forwarded-Path: /health\r\n"},
	{name: "another host",
		headers: "X-Forwarded-Host: localhost\r\nX-Forwarded-Server: localhost\r\nX-Host: localhost\r\n" +
			"Forwarded: for=127.0.0.1;host=localhost;proto=https\r\n"},
	{name: "from this machine",
		headers: "X-Forwarded-For: 127.0.0.1\r\nX-Real-IP: 127.0.0.1\r\nClient-IP: 127.0.0.1\r\nTrue-Client-IP: 127.0.0.1\r\n"},
	{name: "from the host", headers: "X-Azure-Functions-InvocationId: " + unknownID + "\r\nX-ms-invocation-id: " + unknownID +
		"\r\nX-Functions-Key: master\r\nX-MS-SITE-RESTRICTED-TOKEN: x\r\n"},
	{name: "of a page",
		headers: "Origin: https://evil.example\r\nAccess-Control-Request-Method: DELETE\r\nAccess-Control-Request-Headers: authorization\r\n"},
	{name: "a cookie", headers: "Cookie: AppServiceAuthSession=x; Authorization=Bearer x; rekey=admin\r\n"},
}
