package stack_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"rekey/shared/emulator/directory"
	"rekey/shared/emulator/stack"
)

// exchange is a request as an SDK was measured to send it, and what the services are
// known to answer. Each fact was measured; what only clients can get wrong is left to
// the adapters' tests.
type exchange struct {
	fact    string   // what was measured
	request string   // request line and headers, with {placeholders}
	body    string   // likewise
	status  int      // of the answer
	answer  []string // regular expressions that its header lines or its body match; with "!" first, do not
}

// golden replays exchanges against one service.
type golden struct {
	t      *testing.T
	fill   *strings.Replacer
	handle http.Handler
}

// measured is when the measurements were made, more or less: the requests have dates.
var measured = time.Date(2026, 11, 22, 18, 0, 0, 0, time.UTC)

// newGolden starts the emulators with one sample, whose names are the placeholders.
func newGolden(t *testing.T) (*stack.Stack, *strings.Replacer) {
	s := start(t, stack.Config{Now: func() time.Time { return measured }})
	app, err := s.AddSample("billing")
	if err != nil {
		t.Fatal(err)
	}
	c := client{t, s}
	token := func(clientID, secret, resource string) string {
		status, token := c.token(clientID, secret, resource)
		if token == "" {
			t.Fatalf("no token for %s: %d", resource, status)
		}
		return token
	}
	return s, strings.NewReplacer(
		"{tenant}", app.TenantID, "{TENANT}", strings.ToUpper(app.TenantID),
		"{client}", app.ClientID, "{object}", app.ObjectID, "{secret}", url.QueryEscape(app.Secret), "{key}", app.KeyID,
		"{graph token}", token(app.ClientID, app.Secret, directory.ResourceGraph),
		"{vault token}", token(s.OwnClientID(), s.OwnSecret(), directory.ResourceKeyVault),
		"{table token}", token(s.OwnClientID(), s.OwnSecret(), directory.ResourceStorage),
	)
}

func (g golden) replay(exchanges []exchange) {
	for _, e := range exchanges {
		g.t.Run(e.fact, func(t *testing.T) {
			body := g.fill.Replace(e.body)
			head := strings.ReplaceAll(strings.TrimSpace(g.fill.Replace(e.request)), "\n", "\r\n")
			if !strings.Contains(head, "Transfer-Encoding") {
				head += fmt.Sprintf("\r\nContent-Length: %d", len(body))
			}
			r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head + "\r\n\r\n" + body)))
			if err != nil {
				t.Fatal(err)
			}
			rec := httptest.NewRecorder()
			g.handle.ServeHTTP(rec, r)
			var got bytes.Buffer
			rec.Header().Write(&got)
			got.WriteString("\n" + rec.Body.String())
			if rec.Code != e.status {
				t.Errorf("status %d, want %d\n%s", rec.Code, e.status, &got)
			}
			for _, pattern := range e.answer {
				want, not := strings.CutPrefix(pattern, "!")
				if found := regexp.MustCompile(`(?m)` + g.fill.Replace(want)).MatchString(got.String()); found == not {
					t.Errorf("%s: found %v in\n%s", pattern, found, &got)
				}
			}
		})
	}
}

func zipped(body string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, body)
	z.Close()
	return b.String()
}

// azidentity's headers, as MSAL sends them.
const msal = `
User-Agent: azsdk-go-azidentity/v1.15.0 (go1.26.8; linux)
Client-Request-Id: 6f0ff5a4-7b0b-4d3c-9b6d-2f0a4e9a5c11
Return-Client-Request-Id: false
X-Client-Sku: MSAL.Go
X-Client-Ver: 1.10.1
X-Client-Os: linux
X-Client-Cpu: amd64`

func TestGoldenEntra(t *testing.T) {
	s, fill := newGolden(t)
	const token = "POST /{tenant}/oauth2/v2.0/token HTTP/1.1\nHost: 127.0.0.1:8443" +
		"\nContent-Type: application/x-www-form-urlencoded; charset=utf-8" + msal
	const scope = "&scope=https%3A%2F%2Fgraph.microsoft.com%2F.default+openid+offline_access+profile"
	golden{t, fill, s.Directory.Authority()}.replay([]exchange{
		{"discovery has a trailing question mark, and an issuer on the authority's own host and port",
			"GET /{tenant}/v2.0/.well-known/openid-configuration? HTTP/1.1\nHost: 127.0.0.1:8443" + msal, "",
			200, []string{
				`"token_endpoint":"https://127\.0\.0\.1:8443/{tenant}/oauth2/v2\.0/token"`,
				`"authorization_endpoint":"https://127\.0\.0\.1:8443/{tenant}/oauth2/v2\.0/authorize"`,
				`"issuer":"https://127\.0\.0\.1:8443/{tenant}/v2\.0"`,
			}},
		{"the token endpoint keeps the tenant's case",
			"GET /{TENANT}/v2.0/.well-known/openid-configuration? HTTP/1.1\nHost: 127.0.0.1:8443" + msal, "",
			200, []string{`"token_endpoint":"https://127\.0\.0\.1:8443/{TENANT}/oauth2/v2\.0/token"`}},
		{"MSAL adds the OpenID scopes; an answer without scope grants all that was asked for",
			token, "client_id={client}&client_secret={secret}&grant_type=client_credentials" + scope,
			200, []string{`"access_token":"[^"]+"`, `"expires_in":3600\b`, `!"scope"`}},
		{"kiota's default of continuous access evaluation sends claims",
			token,
			"claims=%7B%22access_token%22%3A%7B%22xms_cc%22%3A%7B%22values%22%3A%5B%22CP1%22%5D%7D%7D%7D" +
				"&client_id={client}&client_secret={secret}&grant_type=client_credentials" + scope,
			200, []string{`"access_token":"[^"]+"`}},
		{"the body of a refusal has error_codes",
			token, "client_id={client}&client_secret=wrong&grant_type=client_credentials" + scope,
			401, []string{`"error":"invalid_client"`, `"error_codes":\[7000215\]`, `"error_description":"AADSTS7000215: .*\\r\\nTrace ID: `,
				`"timestamp":"2026-11-22 18:00:00Z"`}},
	})
}

func TestGoldenGraph(t *testing.T) {
	s, fill := newGolden(t)
	const kiota = "\nHost: graph.microsoft.com\nAuthorization: Bearer {graph token}\nUser-Agent: kiota-go/1.5.4" +
		"\nAccept: application/json\nSdkversion: graph-go-core/1.4.0 (hostOS=linux; hostArch=amd64; runtimeEnvironment=go1.26.8;)" +
		"\nClient-Request-Id: 6f0ff5a4-7b0b-4d3c-9b6d-2f0a4e9a5c11"
	const post = "POST /v1.0/applications/{object}/addPassword HTTP/1.1\nContent-Type: application/json" + kiota
	const bytes = `{"passwordCredential":{"displayName":"x","endDateTime":"2026-11-22T18:21:52Z"}}`
	whole := []string{`"code":"[A-Za-z_]+"`, `"message":"[^"]+"`, `"date":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"`}
	golden{t, fill, s.Directory.Graph()}.replay([]exchange{
		{"the SDK's bytes of addPassword; times have seven digits of a second", post, bytes,
			200, []string{`"endDateTime":"2026-11-22T18:21:52\.0000000Z"`, `"startDateTime":"2026-11-22T18:00:00\.0000000Z"`, `"displayName":"x"`,
				`"secretText":"[^"]{16,64}"`, `"customKeyIdentifier":null`}},
		{"an empty request body is {}; the end is two years away", post, `{}`,
			200, []string{`"endDateTime":"2028-11-22T18:00:00\.0000000Z"`, `"displayName":null`}},
		{"bodies are compressed by default", post + "\nContent-Encoding: gzip", zipped(bytes),
			200, []string{`"displayName":"x"`}},
		{"a retry may say gzip of a body that is not", post + "\nContent-Encoding: gzip\nRetry-Attempt: 1", bytes,
			400, append(whole, `"code":"Request_BadRequest"`)},
		{"without compression the body is chunked", post + "\nTransfer-Encoding: chunked",
			fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(bytes), bytes),
			200, []string{`"displayName":"x"`}},
		{"each attempt adds another client-request-id",
			post + "\nClient-Request-Id: 11111111-7b0b-4d3c-9b6d-2f0a4e9a5c11\nRetry-Attempt: 1", bytes,
			200, []string{`^Client-Request-Id: 6f0ff5a4-7b0b-4d3c-9b6d-2f0a4e9a5c11`}},
		{"a host that is not allowed gets a request without a token",
			"GET /v1.0/applications/{object} HTTP/1.1\nHost: graph.microsoft.com", "",
			401, append(whole, `"code":"InvalidAuthenticationToken"`)},
		{"an error has a code and a message, whatever it is", "GET /v1.0/nonsense HTTP/1.1" + kiota, "", 400, whole},
		{"literal dollars and commas, encoded spaces and quotes",
			"GET /v1.0/applications?$count=true&$filter=appId%20eq%20%27{client}%27&$select=id,appId HTTP/1.1" + kiota, "",
			200, []string{`"@odata.count":1\b`, `"value":\[\{"appId":"{client}","id":"{object}"\}\]`}},
		{"the error's date has no zone", "GET /v1.0/applications(appId='{tenant}') HTTP/1.1" + kiota, "",
			404, append(whole, `"code":"Request_ResourceNotFound"`, `"date":"2026-11-22T18:00:00"`)},
	})
}

func TestGoldenVault(t *testing.T) {
	s, fill := newGolden(t)
	const host = "\nHost: name.vault.azure.net"
	const bearer = host + "\nAuthorization: Bearer {vault token}\nContent-Type: application/json"
	golden{t, fill, s.Vault}.replay([]exchange{
		{"the first request has neither token nor body; the challenge's path is the tenant",
			"PUT /secrets/app?api-version=2026-04-01 HTTP/1.1" + host, "",
			401, []string{`^Www-Authenticate: Bearer authorization="https://[^/"]+/{tenant}", resource="https://vault\.azure\.net"`,
				`"code":"Unauthorized"`}},
		{"then it is sent again with both",
			"PUT /secrets/app?api-version=2026-04-01 HTTP/1.1" + bearer, `{"attributes":{"enabled":true},"tags":{},"value":"v"}`,
			200, []string{`"id":"https://name\.vault\.azure\.net/secrets/app/[0-9a-f]{32}"`, `"value":"v"`}},
		{"the latest version is asked for by a trailing slash",
			"GET /secrets/app/?api-version=2026-04-01 HTTP/1.1" + bearer, "",
			200, []string{`"value":"v"`}},
	})
	if n, calls := len(s.Vault.Versions("app")), s.Calls()["vault.set"]; n != 1 || calls != 1 {
		t.Errorf("%d versions after %d calls; the challenged request counts for nothing", n, calls)
	}
}

func TestGoldenTable(t *testing.T) {
	s, fill := newGolden(t)
	const headers = "\nHost: account.table.core.windows.net\nAuthorization: Bearer {table token}\nX-Ms-Version: 2019-02-02" +
		"\nUser-Agent: azsdk-go-aztables/v1.4.1 (go1.26.8; linux)\nAccept: application/json;odata=minimalmetadata\nDataserviceversion: 3.0"
	const json = headers + "\nContent-Type: application/json"
	// A transaction as aztables v1.4.1 writes it.
	batch := func(operations ...string) string {
		var b strings.Builder
		b.WriteString("--batch_1\nContent-Type: multipart/mixed; boundary=changeset_1\n\n")
		for _, o := range operations {
			b.WriteString("--changeset_1\nContent-Transfer-Encoding: binary\nContent-Type: application/http\n\n" + o + "\n")
		}
		b.WriteString("--changeset_1--\n\n--batch_1--\n")
		return strings.ReplaceAll(b.String(), "\n", "\r\n")
	}
	inner := func(method, key, condition, body string) string {
		return fmt.Sprintf("%s https://account.table.core.windows.net/rekey(PartitionKey='p',RowKey='%s') HTTP/1.1"+
			"\nAccept: application/json\nContent-Length: %d\nContent-Type: application/json\nDataServiceVersion: %s\nx-ms-version: \n\n%s",
			method, key, len(body), condition, body)
	}
	const remove = "DELETE https://account.table.core.windows.net/rekey(PartitionKey='p',RowKey='b')" +
		"?%24format=application%2Fjson%3Bodata%3Dminimalmetadata HTTP/1.1" +
		"\nAccept: application/json;odata=minimalmetadata\nDataServiceVersion: \nIf-Match: *\nx-ms-version: \n\n"
	const post = "POST /$batch HTTP/1.1" + headers + "\nContent-Type: multipart/mixed; boundary=batch_1"
	const a, stale = `{"PartitionKey":"p","RowKey":"a"}`, "\nIf-Match: W/\"datetime'2020-01-01T00%3A00%3A00.0000000Z'\""
	golden{t, fill, s.Table}.replay([]exchange{
		{"the table", "POST /Tables HTTP/1.1" + json, `{"TableName":"rekey"}`, 201, nil},
		{"a replace without If-Match in a transaction is an upsert", post, batch(inner("PUT", "a", "", a)), 202,
			[]string{`^HTTP/1\.1 204 No Content`}},
		{"so is a merge", post, batch(inner("PATCH", "b", "", `{"PartitionKey":"p","RowKey":"b"}`)), 202,
			[]string{`^HTTP/1\.1 204 No Content`}},
		{"0.9, 7: a transaction that fails is a 202; the inner answer has status and code, and the number of the operation", post,
			batch(inner("PATCH", "b", "", `{"PartitionKey":"p","RowKey":"b"}`), inner("PATCH", "a", stale, a)),
			202, []string{`^HTTP/1\.1 412 Precondition Failed`, `"code":"UpdateConditionNotSatisfied"`, `"value":"1:`}},
		{"an update without IfMatch sends a star; the mode is merge",
			"PATCH /rekey(PartitionKey='p',RowKey='a') HTTP/1.1" + json + "\nIf-Match: *", a, 204, []string{`^Etag: W/"datetime'`}},
		{"a delete in a transaction sends a star", post, batch(remove), 202, []string{`^HTTP/1\.1 204 No Content`}},
		{"quotes are doubled outside of transactions", "PATCH /rekey(PartitionKey='p',RowKey='p%27%27q') HTTP/1.1" + json,
			`{"PartitionKey":"p","RowKey":"p'q"}`, 204, nil},
		{"and not within, where the key is malformed", post,
			batch(inner("PATCH", "p%27r", "", `{"PartitionKey":"p","RowKey":"p'r"}`)), 501, nil},
	})
	keys := ""
	for _, row := range s.Table.Rows("") {
		keys += row.RowKey + " "
	}
	if keys != "a p'q " {
		t.Errorf("rows %s", keys)
	}
}
