package session

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"rekey/shared/audit"
	"rekey/shared/auth"
	"rekey/shared/reservation"
	"rekey/shared/rotation"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"golang.org/x/sync/singleflight"
)

// Vault keeps the keys; see [rotator.Vault].
type Vault interface {
	List(ctx context.Context, name string) ([]rotation.VaultSecret, error)
	Get(ctx context.Context, name, version string) (rotation.VaultSecret, error)
	Put(ctx context.Context, s rotation.VaultSecret) (version string, err error)
}

// Reservations are for one owner alone; see [tablestore.Store.Reserve].
type Reservations interface {
	Reserve(ctx context.Context, res reservation.Row, reclaim func(ctx context.Context, holder reservation.Row) (bool, error)) error
}

const (
	keyBytes = 32
	// KeyType is the content type of a key that Rekey made.
	KeyType = "application/vnd.rekey.console-key"

	// A key that Rekey made is marked as good for keyLife, since a policy of the vault may
	// refuse a version without an end, and followed by another one keyRenewal before that.
	keyLife    = 365 * 24 * time.Hour
	keyRenewal = 30 * 24 * time.Hour

	// keysFresh is for how long keys are used before the vault is asked again, and keysGrace for
	// how long if it does not answer.
	keysFresh = 5 * time.Minute
	keysGrace = time.Hour
	// keysPause is how long the vault is left alone after it was asked, also because a cookie
	// does not open: any visitor can make up cookies.
	keysPause   = 10 * time.Second
	keysTimeout = 10 * time.Second
	// followTimeout is how much of that the table and the vault may take to follow a key: those of
	// now have to be read all the same.
	followTimeout = 4 * time.Second
)

// Keys are what cookies are sealed with: the two newest enabled versions of a secret in Key
// Vault. The newest seals, and both open, so that a key is replaced by writing a new
// version: what the one before has sealed is good until its own end. A version that is
// disabled, or followed by two others, opens nothing more.
//
// The first to need a key makes one. Two instances may do so at once; each then reads again
// what the vault has, and both keys open. To follow a key by another one is for one instance
// alone: two would make two versions, and what the key before them has sealed would open no
// more. It needs a reservation, which no other instance gets for the ten minutes in which a
// write may still land. The others go on with the keys that there are. A version that an
// operator writes is the base64 of 32 random bytes.
//
// The fields are set once. Keys is safe for concurrent use.
type Keys struct {
	Vault        Vault
	Name         string // of the secret
	Reservations Reservations
	Trail        *audit.Trail     // has each key that is made; nil: none is kept
	Now          func() time.Time // nil: time.Now
	Log          *slog.Logger     // nil: slog.Default()

	flight singleflight.Group

	mu     sync.Mutex
	known  []secret.Value // 32 bytes each, the newest first
	read   time.Time      // when known was
	asked  time.Time      // when the vault was last asked
	failed error          // what came of that
}

// current returns the keys, the newest first, and at least one if there is no error.
func (k *Keys) current(ctx context.Context) ([]secret.Value, error) {
	if keys, _ := k.within(keysFresh); keys != nil {
		return keys, nil
	}
	return k.again(ctx)
}

// again is current after asking the vault, unless that was done a moment ago.
func (k *Keys) again(ctx context.Context) ([]secret.Value, error) {
	// A visitor who hangs up must not make it fail for the others.
	detached := context.WithoutCancel(ctx)
	done := k.flight.DoChan("", func() (any, error) { k.refresh(detached); return nil, nil })
	select {
	case <-done:
	case <-ctx.Done():
		return nil, unread
	}
	keys, err := k.within(keysGrace)
	switch {
	case keys != nil:
		return keys, nil
	case err == nil: // the clock was set back
		err = unread
	}
	return nil, err
}

// unread is the error of keys that were not read for no reason that is known.
var unread = &serviceerror.Error{Op: "reading the console's key", Class: serviceerror.Transient}

// within returns the keys if they were read at most age ago, and what came of asking last.
func (k *Keys) within(age time.Duration) ([]secret.Value, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.now().Sub(k.read) >= age {
		return nil, k.failed
	}
	return k.known, k.failed
}

func (k *Keys) refresh(ctx context.Context) {
	now := k.now()
	k.mu.Lock()
	since := now.Sub(k.asked)
	tooSoon := !k.asked.IsZero() && since >= 0 && since < keysPause
	if !tooSoon {
		k.asked = now
	}
	k.mu.Unlock()
	if tooSoon {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, keysTimeout)
	defer cancel()
	keys, err := k.fetch(ctx)
	if err != nil {
		err = fmt.Errorf("reading the console's key %s in Key Vault: %w", k.Name, err)
		k.log().WarnContext(ctx, "the console's key can't be read", "reason", err.Error())
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.failed = err; err == nil {
		k.known, k.read = keys, now
	}
}

// fetch reads the keys. Where there is none, or the newest ends soon, it makes one and looks
// again, because another instance may have made one at the same time.
func (k *Keys) fetch(ctx context.Context) ([]secret.Value, error) {
	usable, foreign, err := k.usable(ctx)
	switch {
	case err != nil:
	case len(usable) == 0 && foreign:
		err = errors.New("no version is enabled, and there are some that Rekey did not make: " +
			"write a version that is the base64 of 32 random bytes, or name another secret")
	case len(usable) == 0:
		if usable, err = k.make(ctx, "there was none"); err == nil && len(usable) == 0 {
			err = errors.New("it was made, and is not there")
		}
	case k.ending(usable[0]):
		usable = k.follow(ctx, usable)
	}
	if err != nil {
		return nil, err
	}
	var keys []secret.Value
	for _, v := range usable[:min(2, len(usable))] {
		s, err := k.Vault.Get(ctx, k.Name, v.Version)
		if err != nil {
			return nil, err
		}
		raw, err := base64.StdEncoding.DecodeString(s.Value.Reveal())
		if err != nil || len(raw) != keyBytes {
			return nil, errors.New("version " + v.Version + " is not the base64 of 32 bytes: disable it, or name another secret")
		}
		keys = append(keys, secret.New(string(raw)))
	}
	return keys, nil
}

// usable returns the versions that may be used, the newest first, and whether there are any
// that Rekey did not make.
func (k *Keys) usable(ctx context.Context) (usable []rotation.VaultSecret, foreign bool, err error) {
	all, err := k.Vault.List(ctx, k.Name)
	foreign = slices.ContainsFunc(all, func(v rotation.VaultSecret) bool { return v.ContentType != KeyType })
	return slices.DeleteFunc(all, func(v rotation.VaultSecret) bool { return !v.Enabled }), foreign, err
}

// ending reports whether a key of ours ends soon. What an operator wrote is theirs to follow.
func (k *Keys) ending(v rotation.VaultSecret) bool {
	return v.ContentType == KeyType && k.now().Add(keyRenewal).After(v.ExpiresAt)
}

// follow makes the key that follows one that ends soon, unless another instance does, and
// returns the versions that may be used then. Where it can't, those of now go on: there is a
// month left.
//
// The reservation is never given back. If this instance dies, or its write has no answer,
// another one may try when ten minutes have passed, as the key still ends soon then; if it has
// not, the next key is due in eleven months.
func (k *Keys) follow(ctx context.Context, usable []rotation.VaultSecret) []rotation.VaultSecret {
	ctx, cancel := context.WithTimeout(ctx, followTimeout)
	defer cancel()
	alone := reservation.Row{Kind: reservation.ConsoleKey, Value: k.Name, Owner: rand.Text(), At: k.now().UTC()}
	err := k.Reservations.Reserve(ctx, alone, func(context.Context, reservation.Row) (bool, error) { return true, nil })
	if errors.Is(err, serviceerror.ErrExists) {
		return usable
	}
	var now []rotation.VaultSecret
	if err == nil {
		now, _, err = k.usable(ctx) // one that had the reservation before may have made it since
	}
	if err == nil && len(now) > 0 && k.ending(now[0]) {
		now, err = k.make(ctx, "the one before ends soon")
	}
	if err != nil {
		k.log().WarnContext(ctx, "the console's key ends soon and can't be renewed", "reason", err.Error())
	}
	if err != nil || len(now) == 0 {
		return usable
	}
	return now
}

// make writes a key and returns the versions that may be used then.
func (k *Keys) make(ctx context.Context, why string) ([]rotation.VaultSecret, error) {
	_, err := k.Vault.Put(ctx, rotation.VaultSecret{
		Name: k.Name, Value: newKey(), ContentType: KeyType, Enabled: true, ExpiresAt: k.now().Add(keyLife).UTC().Truncate(time.Second),
	})
	if err != nil && !serviceerror.UnknownOutcome(err) {
		return nil, err
	}
	if err == nil {
		k.log().InfoContext(ctx, "made a key of the console", "reason", why)
		k.Trail.Add(ctx, audit.By(auth.Caller{}, audit.KeyMade, "", why))
	}
	usable, _, err := k.usable(ctx)
	return usable, err
}

func newKey() secret.Value {
	var b [keyBytes]byte
	rand.Read(b[:]) // never fails
	return secret.New(base64.StdEncoding.EncodeToString(b[:]))
}

func (k *Keys) now() time.Time {
	if k.Now != nil {
		return k.Now()
	}
	return time.Now()
}

func (k *Keys) log() *slog.Logger { return cmp.Or(k.Log, slog.Default()) }
