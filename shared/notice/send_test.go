package notice_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rekey/shared/history"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"rekey/shared/notice"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// over delivers one notice over a real connection and returns what was logged.
func over(t *testing.T, url string, transport http.RoundTripper) (notice.Round, string) {
	t.Helper()
	w := rotationtest.NewWorld(t)
	w.Latency = 0
	log := &rotationtest.Log{}
	_, err := w.StorePort().Create(t.Context(), rotation.Record{ID: "one", Version: 1},
		rotation.Event{At: time.Now(), Notice: true, Kind: history.Attention})
	if err != nil {
		t.Fatal(err)
	}
	d := &notice.Deliverer{Store: w.NoticePort(), URL: secret.New(url), Keyring: mustParse(t, referenceSecret), Deployment: "test",
		Client: &http.Client{Transport: transport}, Log: slog.New(slog.NewJSONHandler(log, nil))}
	did, err := d.Deliver(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return did, log.String()
}

// Why a request had no answer is said in words of our own: net/http's show the address.
func TestWhyThereWasNoAnswer(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	for name, test := range map[string]struct{ url, says string }{
		"an unknown authority": {server.URL, "certificate is not trusted"},
		"no receiver":          {closed.URL, `"reason":"no answer"`},
		"no such name":         {"https://receiver.invalid", "can't be resolved"},
	} {
		did, log := over(t, test.url+"/hunter2?sig=hunter3", nil)
		if did.Delivered != 0 || !strings.Contains(log, test.says) || strings.Contains(log, "hunter") {
			t.Errorf("%s: %+v, log %s; want %q", name, did, log, test.says)
		}
	}
}

// A redirect is not followed, an endless answer is not read to its end, and what it
// says does not matter.
func TestRealReceiver(t *testing.T) {
	var requests atomic.Int32
	mux := http.NewServeMux()
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/here", http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("/here", func(w http.ResponseWriter, r *http.Request) { requests.Add(1) })
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		for n := 0; n < 64<<20; n += 4096 {
			if _, err := io.WriteString(w, strings.Repeat("x", 4096)); err != nil {
				return // the client has hung up
			}
		}
		t.Error("64 MiB of an answer were read")
	})
	server := httptest.NewTLSServer(mux)
	defer server.Close()
	transport := server.Client().Transport
	if did, _ := over(t, server.URL+"/moved", transport); did.Failed != 1 || requests.Load() != 0 {
		t.Errorf("after a redirect: %+v, %d requests to its target", did, requests.Load())
	}
	if did, _ := over(t, server.URL+"/endless", transport); did.Delivered != 1 {
		t.Errorf("an endless answer: %+v", did)
	}
}

// Each kind of event says what state its connection is in, and what to do.
func TestStateAndAdvice(t *testing.T) {
	for _, test := range []struct {
		event  rotation.Event
		state  string
		advice string // a word of it
	}{
		{rotation.Event{Kind: history.Attention, Class: serviceerror.Permission, Message: "m"},
			notice.StateAttention, "Application.ReadWrite.OwnedBy"},
		{rotation.Event{Kind: history.Lost, Class: serviceerror.CredentialLost, Message: "m"}, notice.StateAttention, "reconnect"},
		{rotation.Event{Kind: history.Expiring, Message: "m"}, notice.StateAttention, "rotation on"},
		{rotation.Event{Kind: history.ByHand, KeyID: "k", Message: "m"}, notice.StateAttention, "key id"},
		{rotation.Event{Kind: "something.new", Message: "m"}, notice.StateAttention, "history"},
		{rotation.Event{Kind: history.Recovered, Message: "m"}, notice.StateRecovered, "Nothing"},
		{rotation.Event{Kind: history.SignInBack}, notice.StateRecovered, "Nothing"},
	} {
		var body []byte
		receive := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { body, _ = io.ReadAll(r.Body) })
		w := rotationtest.NewWorld(t)
		w.Latency = 0
		test.event.At, test.event.Notice = time.Now(), true
		if _, err := w.StorePort().Create(t.Context(), rotation.Record{ID: "one", Version: 1}, test.event); err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(receive)
		d := &notice.Deliverer{Store: w.NoticePort(), URL: secret.New(server.URL), Keyring: mustParse(t, referenceSecret),
			Log: slog.New(slog.DiscardHandler)}
		_, err := d.Deliver(t.Context())
		server.Close()
		var e notice.Event
		if err != nil || json.Unmarshal(body, &e) != nil {
			t.Fatalf("%s: %v, body %s", test.event.Kind, err, body)
		}
		if e.Type != "rekey."+test.event.Kind || e.Data.State != test.state || !strings.Contains(e.Data.Advice, test.advice) ||
			e.Data.KeyID != test.event.KeyID {
			t.Errorf("%s: %s", test.event.Kind, body)
		}
		if (e.Data.Problem != nil) != (test.state == notice.StateAttention) {
			t.Errorf("%s: problem %+v", test.event.Kind, e.Data.Problem)
		}
	}
}
