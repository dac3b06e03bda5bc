package directory

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// Person does what a person does with the pages of [Directory.Authority], for tests
// without a browser: it reads the form of the page and sends it, as a browser would.
type Person struct {
	UserID string // object id
	// Organization ticks "Consent on behalf of your organization" on the sign-in page.
	Organization bool
	// Client reaches the directory; nil is http.DefaultClient. It follows no
	// redirects here.
	Client *http.Client
}

// ErrorPage is what Entra showed to the person in place of sending it back to the
// application: the text, which begins with the AADSTS number.
type ErrorPage struct{ Text string }

// Error returns the text.
func (e *ErrorPage) Error() string { return e.Text }

// Approve opens an address that an application sends people to, signs in and
// approves. It returns where the browser is sent: the redirect URI with the answer,
// which may be an error, also where an administrator's approval is needed and the
// person goes back without. The error may be an [*ErrorPage].
func (p Person) Approve(ctx context.Context, address string) (*url.URL, error) {
	return p.decide(ctx, address, "approve")
}

// Decline is [Person.Approve] with the other button.
func (p Person) Decline(ctx context.Context, address string) (*url.URL, error) {
	return p.decide(ctx, address, "decline")
}

var (
	formAction  = regexp.MustCompile(`<form method="post" action="([^"]*)">`)
	hiddenField = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
	returnLink  = regexp.MustCompile(`<a id="return" href="([^"]*)">`)
	errorText   = regexp.MustCompile(`(?s)<p id="error">(.*?)</p>`)
)

func (p Person) decide(ctx context.Context, address, decision string) (*url.URL, error) {
	opened, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("opening the page: the address is malformed")
	}
	page, to, err := p.send(ctx, http.MethodGet, opened, nil)
	if err != nil || to != nil {
		return to, err
	}
	action := formAction.FindStringSubmatch(page)
	if action == nil {
		return nil, errors.New("opening the page: it has no form")
	}
	form := url.Values{"decision": {decision}, "user": {p.UserID}}
	if p.Organization {
		form.Set("organization", "true")
	}
	for _, field := range hiddenField.FindAllStringSubmatch(page, -1) {
		form.Add(html.UnescapeString(field[1]), html.UnescapeString(field[2]))
	}
	target, err := opened.Parse(html.UnescapeString(action[1]))
	if err != nil {
		return nil, errors.New("sending the form: its action is malformed")
	}
	page, to, err = p.send(ctx, http.MethodPost, target, form)
	if err != nil || to != nil {
		return to, err
	}
	back := returnLink.FindStringSubmatch(page)
	if back == nil {
		return nil, errors.New("sending the form: the answer is neither a redirect nor a way back")
	}
	return url.Parse(html.UnescapeString(back[1]))
}

// send returns the page, or where the browser is sent to.
func (p Person) send(ctx context.Context, method string, address *url.URL, form url.Values) (page string, to *url.URL, err error) {
	r, err := http.NewRequestWithContext(ctx, method, address.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return "", nil, err
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if p.Client != nil {
		client.Transport, client.Timeout = p.Client.Transport, p.Client.Timeout
	}
	response, err := client.Do(r)
	if err != nil {
		return "", nil, err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusFound {
		to, err = response.Location()
		return "", to, err
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return "", nil, fmt.Errorf("reading the page: %w", err)
	}
	if shown := errorText.FindSubmatch(data); shown != nil {
		return "", nil, &ErrorPage{html.UnescapeString(string(shown[1]))}
	}
	if response.StatusCode != http.StatusOK {
		return "", nil, fmt.Errorf("opening the page: status %d", response.StatusCode)
	}
	return string(data), nil, nil
}
