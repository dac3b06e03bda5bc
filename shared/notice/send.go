package notice

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"rekey/shared/serviceerror"
)

// maxAnswer is how much of an answer is read, so that its connection can be used again.
// What is in it means nothing to Rekey.
const maxAnswer = 16 << 10

// outcome is how a request ended.
type outcome struct {
	status     int           // 0: there was no answer
	reason     string        // why there was none; of fixed texts only, since errors show addresses
	retryAfter time.Duration // what the receiver asked for; 0: nothing
}

func (o outcome) taken() bool { return o.status >= 200 && o.status < 300 }

// down reports whether the receiver takes nothing at all at the moment, so that
// there is no point in sending it more. Any other refusal is of this notice alone.
func (o outcome) down() bool {
	return o.status == 0 || o.status >= 500 || o.status == http.StatusTooManyRequests ||
		o.status == http.StatusRequestTimeout || o.status == http.StatusGone
}

// pause is for how long the receiver wants to be left alone; 0 if it did not say.
func (o outcome) pause() time.Duration {
	if o.status == http.StatusGone {
		return longest
	}
	if o.down() {
		return o.retryAfter
	}
	return 0
}

// send sends n once. Its error is of what comes before the request.
func (d *Deliverer) send(ctx context.Context, keys Keys, n Notice) (outcome, error) {
	text, err := body(d.Deployment, n)
	if err != nil {
		return outcome{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, d.timeout())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.URL.Reveal(), bytes.NewReader(text))
	if err != nil {
		return outcome{}, errors.New("the webhook's URL is not valid")
	}
	at := d.now()
	r.Header.Set("Content-Type", MediaType)
	r.Header.Set("User-Agent", "rekey")
	r.Header.Set("webhook-id", n.ID)
	r.Header.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
	r.Header.Set("webhook-signature", keys.Sign(n.ID, at, text))
	resp, err := d.client().Do(r)
	if err != nil {
		return outcome{reason: unanswered(err)}, nil
	}
	defer resp.Body.Close()
	// The status has been read: how the rest of the answer ends changes nothing.
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer))
	return outcome{status: resp.StatusCode, retryAfter: serviceerror.RetryAfter(resp.Header, d.now())}, nil
}

// client is the one that was given, except that it follows no redirects: a receiver that
// has moved is an operator's to find, and a signed body is for one address only.
func (d *Deliverer) client() *http.Client {
	c := http.Client{}
	if d.Client != nil {
		c.Transport = d.Client.Transport
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &c
}

// unanswered says in fixed words why a request had no answer.
func unanswered(err error) string {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "the receiver's certificate is not trusted"
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "the receiver's name can't be resolved"
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return "no answer in time"
	}
	return "no answer"
}
