package notice_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/shared/history"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"rekey/shared/notice"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// hookURL has in its path and query what only the receiver may see.
const hookURL = "https://hooks.example.test/services/T0-hunter2?sig=hunter3"

// receiver is a webhook receiver in the place of the network. It checks each request as
// Standard Webhooks says, and keeps what it took.
type receiver struct {
	t *testing.T
	// answer decides on a notice; nil takes everything.
	answer func(r *http.Request, e notice.Event) (*http.Response, error)

	mu     sync.Mutex
	tried  []notice.Event
	taken  []notice.Event
	bodies [][]byte
	last   *http.Request
}

// status is an answer with nothing else in it.
func status(code int, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: code, Header: h, Body: io.NopCloser(strings.NewReader("the receiver's own words"))}
}

// refuseAll is a receiver that is down.
func refuseAll(*http.Request, notice.Event) (*http.Response, error) {
	return status(http.StatusServiceUnavailable), nil
}

// RoundTrip implements [http.RoundTripper].
func (r *receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodPost || req.URL.String() != hookURL {
		r.t.Errorf("%s %s: the receiver is elsewhere", req.Method, req.URL)
		return status(http.StatusNotFound), nil
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	if err := verify(req.Header, body, time.Now()); err != nil {
		r.t.Errorf("a receiver would refuse this: %v", err)
	}
	var e notice.Event
	if err := json.Unmarshal(body, &e); err != nil {
		r.t.Errorf("the body is no event: %v", err)
	}
	if id := req.Header.Get("webhook-id"); id != e.ID {
		r.t.Errorf("webhook-id is %s, the event's id %s", id, e.ID)
	}
	r.mu.Lock()
	r.tried = append(r.tried, e)
	r.bodies, r.last = append(r.bodies, body), req
	r.mu.Unlock()
	resp := status(http.StatusNoContent)
	if r.answer != nil {
		if resp, err = r.answer(req, e); err != nil {
			return nil, err
		}
	}
	if resp.StatusCode/100 == 2 {
		r.mu.Lock()
		r.taken = append(r.taken, e)
		r.mu.Unlock()
	}
	return resp, nil
}

// verify is what a receiver does, written from the standard and not from our own code.
func verify(h http.Header, body []byte, now time.Time) error {
	seconds, err := strconv.ParseInt(h.Get("webhook-timestamp"), 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
		return fmt.Errorf("the timestamp is %q", h.Get("webhook-timestamp"))
	}
	if id := h.Get("webhook-id"); id == "" || strings.Contains(id, ".") {
		return fmt.Errorf("the id is %q", id)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(referenceSecret, "whsec_"))
	if err != nil {
		return err
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", h.Get("webhook-id"), h.Get("webhook-timestamp"), body)
	for part := range strings.SplitSeq(h.Get("webhook-signature"), " ") {
		version, signature, _ := strings.Cut(part, ",")
		got, err := base64.StdEncoding.DecodeString(signature)
		if err == nil && version == "v1" && hmac.Equal(got, mac.Sum(nil)) {
			return nil
		}
	}
	return fmt.Errorf("no signature of %q fits", h.Get("webhook-signature"))
}

// messages returns what the events of a connection say, all if id is empty.
func messages(events []notice.Event, id string) (out []string) {
	for _, e := range events {
		if id == "" || e.Subject == id {
			out = append(out, e.Data.Problem.Message)
		}
	}
	return out
}

// scene is a store with connections, a receiver, and a deliverer between them.
type scene struct {
	*notice.Deliverer
	t        *testing.T
	world    *rotationtest.World
	receiver *receiver
	log      *rotationtest.Log
}

func newScene(t *testing.T) *scene {
	s := &scene{t: t, world: rotationtest.NewWorld(t), receiver: &receiver{t: t}, log: &rotationtest.Log{}}
	s.world.Latency = 10 * time.Millisecond
	s.world.AtEnd = true // nothing here publishes anything
	s.Deliverer = s.deliverer()
	return s
}

// deliverer is that of the process that is alive.
func (s *scene) deliverer() *notice.Deliverer {
	return &notice.Deliverer{
		Store: s.world.NoticePort(), URL: secret.New(hookURL), Keyring: mustParse(s.t, referenceSecret), Deployment: "test",
		Client: &http.Client{Transport: s.receiver}, Log: slog.New(slog.NewJSONHandler(s.log, nil)),
	}
}

// connect creates a connection.
func (s *scene) connect(id string) {
	s.t.Helper()
	_, err := s.world.StorePort().Create(s.t.Context(), rotation.Record{ID: id, Version: 1, Name: "name of " + id, Project: "p",
		Target: rotation.Application{TenantID: "t", ClientID: "c"}})
	if err != nil {
		s.t.Fatal(err)
	}
}

// tell commits events of a connection that a person has to be told of, all in one.
func (s *scene) tell(id string, messages ...string) {
	s.t.Helper()
	var events []rotation.Event
	for _, m := range messages {
		events = append(events, rotation.Event{At: time.Now(), Kind: history.Attention,
			Class: serviceerror.Permission, Message: m, Notice: true})
	}
	store := s.world.StorePort()
	rec, err := store.Load(s.t.Context(), id)
	if err == nil {
		rec.Version++
		_, err = store.Commit(s.t.Context(), rec, events...)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// round delivers, and wants no error.
func (s *scene) round() notice.Round {
	s.t.Helper()
	did, err := s.Deliver(s.t.Context())
	if err != nil {
		s.t.Fatalf("Deliver: %v", err)
	}
	return did
}

// pending returns what is left in the store.
func (s *scene) pending() []notice.Notice {
	s.t.Helper()
	all, err := s.world.NoticePort().Undelivered(context.Background(), 10_000)
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

func (s *scene) wantTaken(id string, want ...string) {
	s.t.Helper()
	if got := messages(s.receiver.taken, id); !slices.Equal(got, want) {
		s.t.Errorf("%s: the receiver took %q, want %q", id, got, want)
	}
}

// wantQuiet fails if the log shows what no reader of it may see.
func (s *scene) wantQuiet() {
	s.t.Helper()
	for _, secret := range []string{"hunter2", "hunter3", referenceSecret,
		strings.TrimPrefix(referenceSecret, "whsec_"), "the receiver's own words"} {
		if strings.Contains(s.log.String(), secret) {
			s.t.Errorf("the log shows %q: %s", secret, s.log)
		}
	}
}
