package session_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/auth"
	"rekey/shared/reservation"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"
	"rekey/shared/session"
)

// fleet is several instances over one vault and one table, in the time of synctest.
type fleet struct {
	*testing.T
	memory    *rotationtest.World
	key       secret.Value // an API key
	instances []*session.Manager
}

func newFleet(t *testing.T, n int) *fleet {
	t.Helper()
	f := &fleet{T: t, memory: rotationtest.NewWorld(t)}
	key, hash, err := auth.NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	entry, err := auth.ParseKey("ci:read:" + hash)
	if err != nil {
		t.Fatal(err)
	}
	f.key = key
	for range n {
		f.instances = append(f.instances, &session.Manager{
			Callers: &auth.Authenticator{Keys: []auth.Key{entry}}, Deployment: "test", PublicURL: public, Log: slog.New(slog.DiscardHandler),
			Keys: &session.Keys{Vault: f.memory.VaultPort(), Name: keyName, Reservations: f.memory.StorePort(), Log: slog.New(slog.DiscardHandler)},
		})
	}
	return f
}

// signIn returns the cookie of a session that an instance has begun.
func (f *fleet) signIn(m *session.Manager) *http.Cookie {
	f.Helper()
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, session.SignInPath, nil)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	m.SignInByKey(w, r, f.key, "")
	cookies := w.Result().Cookies()
	if len(cookies) != 1 {
		f.Fatal("not signed in")
	}
	return cookies[0]
}

// opens asks all instances at once with a session, and returns how many let it in.
func (f *fleet) opens(cookie *http.Cookie) (n int) {
	var all sync.WaitGroup
	in := make([]bool, len(f.instances))
	for i, m := range f.instances {
		all.Go(func() {
			r := httptest.NewRequest(http.MethodGet, session.Base, nil)
			r.AddCookie(cookie)
			_, refused := m.Authenticate(httptest.NewRecorder(), r)
			in[i] = refused == nil
		})
	}
	all.Wait()
	for _, ok := range in {
		if ok {
			n++
		}
	}
	return n
}

func (f *fleet) versions() int {
	f.Helper()
	all, err := f.memory.VaultPort().List(f.Context(), keyName)
	if err != nil {
		f.Fatal(err)
	}
	return len(all)
}

// Instances that find at the same moment that the key ends soon make one that follows it, and not
// one each: what the key of now has sealed would open no more.
func TestOneInstanceRenewsTheKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 4)
		f.signIn(f.instances[0])
		time.Sleep(335*24*time.Hour - time.Minute)
		cookie := f.signIn(f.instances[0])
		time.Sleep(10 * time.Minute)
		for look := range 4 {
			if in, n := f.opens(cookie), f.versions(); in != len(f.instances) || n != 2 {
				t.Errorf("look %d: %d of %d instances know the session; %d versions, want 2", look, in, len(f.instances), n)
			}
			time.Sleep(6 * time.Minute)
		}
	})
}

// While the instance that makes the key may still be doing so the others go on with the key of now;
// if it has died, one of them does it ten minutes later.
func TestTheInstanceThatRenewsDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 3)
		f.signIn(f.instances[0])
		time.Sleep(335*24*time.Hour - time.Minute)
		cookie := f.signIn(f.instances[0])
		time.Sleep(6 * time.Minute)
		dead := reservation.Row{Kind: reservation.ConsoleKey, Value: keyName, Owner: "dead", At: time.Now()}
		if err := f.memory.StorePort().Reserve(t.Context(), dead, nil); err != nil {
			t.Fatal(err)
		}
		if in, n := f.opens(cookie), f.versions(); in != len(f.instances) || n != 1 {
			t.Errorf("at once: %d instances know the session; %d versions", in, n)
		}
		time.Sleep(10*time.Minute + time.Second)
		if in, n := f.opens(cookie), f.versions(); in != len(f.instances) || n != 2 {
			t.Errorf("ten minutes later: %d instances know the session; %d versions", in, n)
		}
	})
}

// A write that has no answer may land late. No instance makes another key meanwhile.
func TestTheRenewalLandsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2)
		f.signIn(f.instances[0])
		time.Sleep(335*24*time.Hour - time.Minute)
		cookie := f.signIn(f.instances[0])
		late := &lateVault{Vault: f.memory.VaultPort()}
		for _, m := range f.instances {
			m.Keys.Vault = late
		}
		time.Sleep(6 * time.Minute)
		for range 2 { // looks while it is on its way
			if in := f.opens(cookie); in != len(f.instances) || late.puts != 1 {
				t.Errorf("%d instances know the session; %d writes", in, late.puts)
			}
			time.Sleep(4*time.Minute + 30*time.Second)
		}
		late.land(t.Context())
		time.Sleep(6 * time.Minute)
		if in, n := f.opens(cookie), f.versions(); in != len(f.instances) || n != 2 || late.puts != 1 {
			t.Errorf("landed: %d instances know the session; %d versions in %d writes", in, n, late.puts)
		}
	})
}

// The instance that gets the reservation looks again: the write of the one that had it before may have
// landed since it looked.
func TestTheRenewalLandsAtTheLastMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 1)
		m := f.instances[0]
		f.signIn(m)
		time.Sleep(335*24*time.Hour - time.Minute)
		cookie := f.signIn(m)
		time.Sleep(6 * time.Minute)
		late := &lateVault{Vault: m.Keys.Vault, held: rotation.VaultSecret{Name: keyName, Enabled: true, ContentType: session.KeyType,
			ExpiresAt: time.Now().AddDate(1, 0, 0), Value: secret.New(newKey('2'))}}
		m.Keys.Reservations = landing{m.Keys.Reservations, late}
		if in, n := f.opens(cookie), f.versions(); in != 1 || n != 2 {
			t.Errorf("%d instances know the session; %d versions", in, n)
		}
	})
}

// landing lets a write land while a reservation is made.
type landing struct {
	session.Reservations
	late *lateVault
}

func (l landing) Reserve(ctx context.Context, res reservation.Row, reclaim func(context.Context, reservation.Row) (bool, error)) error {
	l.late.land(ctx)
	return l.Reservations.Reserve(ctx, res, reclaim)
}

// lateVault applies writes when it is told to, and answers none.
type lateVault struct {
	session.Vault
	mu   sync.Mutex
	puts int
	held rotation.VaultSecret
}

func (v *lateVault) Put(_ context.Context, s rotation.VaultSecret) (string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.puts++
	v.held = s
	return "", &serviceerror.Error{Op: "writing", Class: serviceerror.Transient, UnknownOutcome: true}
}

func (v *lateVault) land(ctx context.Context) { _, _ = v.Vault.Put(ctx, v.held) }

// stuck is a table that does not answer.
type stuck struct{}

func (stuck) Reserve(ctx context.Context, _ reservation.Row, _ func(context.Context, reservation.Row) (bool, error)) error {
	<-ctx.Done()
	return ctx.Err()
}

// A table that does not answer locks no person out while the key ends soon: who signs in looks why.
func TestTheTableDoesNotAnswerWhileTheKeyEndsSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2)
		f.signIn(f.instances[0])
		time.Sleep(335*24*time.Hour + time.Minute)
		f.instances[1].Keys.Reservations = stuck{} // and has read no key so far
		begin := time.Now()
		if in := f.opens(f.signIn(f.instances[1])); in != 2 {
			t.Errorf("%d of 2 instances know the session", in)
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}
