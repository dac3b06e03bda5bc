package connection_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/serviceerror"
)

// caller sends one request with a key, as often as a test likes.
type caller struct {
	*subject
	notes rotationtest.MemoryPending
	done  int // how often it was carried out
}

var keyed = connection.Keyed{Key: "idem-1", Hash: "h"}

// connect sends the request for a connection; before and after surround what is done.
func (c *caller) connect(t *testing.T, k connection.Keyed, before, after func()) (rotation.Record, error) {
	return c.service().Once(t.Context(), k, func(id string) (rotation.Record, error) {
		c.done++
		before()
		in := c.input()
		in.ID = id
		rec, err := c.service().Create(t.Context(), in)
		after()
		return rec, err
	})
}

// once runs a test of a caller in a bubble, and looks at the promises afterwards.
func once(t *testing.T, test func(t *testing.T, c *caller)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &caller{subject: newSubject(t)}
		test(t, c)
		c.check(t)
	})
}

func (c *caller) service() *connection.Service {
	s := service(c.w)
	s.Notes = &c.notes
	return s
}

// A request that is sent again makes no second connection, and is answered with the
// first, as it is by then.
func TestOnce(t *testing.T) {
	once(t, func(t *testing.T, c *caller) {
		first, err := c.connect(t, keyed, nothing, nothing)
		if err != nil {
			t.Fatal(err)
		}
		c.id = first.ID
		c.sweep(t, 30*time.Minute)
		again, err := c.connect(t, keyed, nothing, nothing)
		if err != nil || again.ID != first.ID || c.done != 1 || again.Phase != rotation.Idle {
			t.Errorf("again: %s, %v, done %d times; want %s", again.ID, err, c.done, first.ID)
		}
		if _, err := c.connect(t, connection.Keyed{Key: keyed.Key, Hash: "other"}, nothing, nothing); kindOf(err) != connection.Conflict {
			t.Errorf("another request with the key: %v", err)
		}
		if _, err := c.service().Delete(t.Context(), c.id, connection.DeleteOptions{Revoke: true}); err != nil {
			t.Fatal(err)
		}
		for _, wait := range []time.Duration{0, time.Hour} {
			c.sweep(t, wait)
			if _, err := c.connect(t, keyed, nothing, nothing); kindOf(err) != connection.Conflict {
				t.Errorf("%s after the deletion: %v", wait, err)
			}
		}
		if c.done != 1 {
			t.Errorf("carried out %d times", c.done)
		}
	})
}

// The process that was at it dies. If it has made nothing, a repetition is refused until that
// process can't be at it any more; if it has, a repetition finds what was made.
func TestOnceAcrossDeath(t *testing.T) {
	once(t, func(t *testing.T, c *caller) {
		dies(func() { c.connect(t, keyed, runtime.Goexit, nothing) })
		_, err := c.connect(t, keyed, nothing, nothing)
		if e, ok := errors.AsType[*connection.Error](err); !ok || e.Kind != connection.Conflict || e.Code != connection.InProgress ||
			e.RetryAfter == 0 {
			t.Errorf("at once: %v", err)
		}
		time.Sleep(10 * time.Minute)
		dies(func() { c.connect(t, keyed, nothing, runtime.Goexit) })
		ids := c.w.Records()
		if c.done != 2 || len(ids) != 1 {
			t.Fatalf("carried out %d times, records %v", c.done, ids)
		}
		if rec, err := c.connect(t, keyed, nothing, nothing); err != nil || rec.ID != ids[0] || c.done != 2 {
			t.Errorf("after the second death: %s, %v, done %d times", rec.ID, err, c.done)
		}
		c.id = ids[0]
	})
}

// Of several at once one does it; each of them gets an answer.
func TestOnceAtOnce(t *testing.T) {
	once(t, func(t *testing.T, c *caller) {
		var wg sync.WaitGroup
		var mu sync.Mutex
		kinds := map[connection.Kind]int{}
		for range 5 {
			wg.Go(func() {
				_, err := c.service().Once(t.Context(), keyed, func(id string) (rotation.Record, error) {
					mu.Lock()
					c.done++
					mu.Unlock()
					in := c.input()
					in.ID = id
					return c.service().Create(t.Context(), in)
				})
				mu.Lock()
				defer mu.Unlock()
				kinds[kindOf(err)]++
			})
		}
		wg.Wait()
		if c.done != 1 || kinds[""] != 1 || kinds[connection.Conflict] != 4 {
			t.Errorf("carried out %d times: %v", c.done, kinds)
		}
	})
}

// The note was written and the answer was lost: it is ours all the same. It could not be
// written: nothing is done. What was refused may be tried again with the same key.
func TestOnceWithFaults(t *testing.T) {
	lost := &serviceerror.Error{Op: "writing", Class: serviceerror.Transient, UnknownOutcome: true}
	down := &serviceerror.Error{Op: "writing", Class: serviceerror.VaultRefused}
	once(t, func(t *testing.T, c *caller) {
		c.notes.Fail = func(string) (bool, error) { c.notes.Fail = nil; return true, lost }
		rec, err := c.connect(t, keyed, nothing, nothing)
		if err != nil || c.done != 1 {
			t.Fatalf("after a lost answer: %v, done %d times", err, c.done)
		}
		c.id = rec.ID
		c.notes.Fail = func(string) (bool, error) { return false, down }
		if _, err := c.connect(t, connection.Keyed{Key: "idem-2"}, nothing, nothing); err == nil || c.done != 1 {
			t.Errorf("without a note: %v, done %d times", err, c.done)
		}
	})
	once(t, func(t *testing.T, c *caller) {
		for _, refusal := range []*connection.Error{{Kind: connection.Invalid}, {Kind: connection.Unavailable}} {
			_, err := c.service().Once(t.Context(), keyed, func(string) (rotation.Record, error) { return rotation.Record{}, refusal })
			if err != refusal {
				t.Errorf("refused: %v", err)
			}
		}
		rec, err := c.connect(t, keyed, nothing, nothing)
		if err != nil || c.done != 1 {
			t.Errorf("after refusals: %v, done %d times", err, c.done)
		}
		c.id = rec.ID
		time.Sleep(25 * time.Hour)
		if _, err := c.connect(t, keyed, nothing, nothing); kindOf(err) != connection.Invalid || c.done != 2 {
			t.Errorf("a day later: %v, done %d times; want it to be a new request, whose name is taken", err, c.done)
		}
	})
}

// A rotation that is asked for again is one rotation, also when others came after it.
func TestRotateOnce(t *testing.T) {
	once(t, func(t *testing.T, c *caller) {
		if _, err := c.create(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.sweep(t, 30*time.Minute)
		rotate := func(key string, after func()) (rotation.Record, error) {
			return c.service().Once(t.Context(), connection.Keyed{Key: key, Rotates: c.id}, func(id string) (rotation.Record, error) {
				c.done++
				rec, err := c.service().Rotate(t.Context(), c.id, connection.RotateOptions{ID: id, Grace: new(time.Duration)})
				after()
				return rec, err
			})
		}
		dies(func() { rotate("idem-1", runtime.Goexit) })
		for range 2 {
			if rec, err := rotate("idem-1", nothing); err != nil || c.done != 1 || rec.ID != c.id {
				t.Errorf("the same: %v, done %d times", err, c.done)
			}
			c.sweep(t, 30*time.Minute)
		}
		first, _ := c.w.Record(c.id)
		if _, err := rotate("idem-2", nothing); err != nil || c.done != 2 {
			t.Errorf("another: %v, done %d times", err, c.done)
		}
		c.sweep(t, 30*time.Minute)
		second, _ := c.w.Record(c.id)
		if second.Current.KeyID == first.Current.KeyID {
			t.Error("the second rotation did not happen")
		}
		if rec, err := rotate("idem-2", nothing); err != nil || c.done != 2 || rec.Current.KeyID != second.Current.KeyID {
			t.Errorf("the second again: %v, done %d times", err, c.done)
		}
		if _, err := rotate("idem-1", nothing); err != nil || c.done != 2 {
			t.Errorf("the first after the second: %v, done %d times", err, c.done)
		}
	})
}

// overtaken lets something happen right before the first note is written.
type overtaken struct {
	connection.Notes
	do func()
}

func (o *overtaken) PutPending(ctx context.Context, key string, value []byte, expires time.Time, etag string) (string, error) {
	if do := o.do; do != nil {
		o.do = nil
		do()
	}
	if !expires.After(time.Now()) {
		return "", errors.New("a note that has expired when it is written")
	}
	return o.Notes.PutPending(ctx, key, value, expires, etag)
}

// A request that is overtaken between looking for the note and writing it gets what came of
// the other request, whether there was no note before or one that is too old to count.
func TestOnceOvertaken(t *testing.T) {
	for _, before := range []bool{false, true} {
		once(t, func(t *testing.T, c *caller) {
			if before {
				dies(func() { c.connect(t, keyed, runtime.Goexit, nothing) })
				time.Sleep(time.Hour)
				c.done = 0
			}
			var first rotation.Record
			s := c.service()
			s.Notes = &overtaken{s.Notes, func() {
				var err error
				if first, err = c.connect(t, keyed, nothing, nothing); err != nil {
					t.Errorf("the other one: %v", err)
				}
			}}
			second, err := s.Once(t.Context(), keyed, func(string) (rotation.Record, error) {
				c.done++
				return rotation.Record{}, errors.New("carried out twice")
			})
			if err != nil || second.ID != first.ID || c.done != 1 {
				t.Errorf("got %s, want %s; carried out %d times; %v", second.ID, first.ID, c.done, err)
			}
			c.id = first.ID
		})
	}
}

// A request without a key is carried out whenever it comes, also where no keys are kept;
// one with a key is refused there, rather than carried out perhaps twice.
func TestOnceWithoutNotes(t *testing.T) {
	once(t, func(t *testing.T, c *caller) {
		s := service(c.w)
		done := 0
		do := func(id string) (rotation.Record, error) {
			done++
			if id != "" {
				t.Errorf("the id is %q", id)
			}
			return rotation.Record{}, nil
		}
		for range 2 {
			if _, err := s.Once(t.Context(), connection.Keyed{Hash: "h"}, do); err != nil {
				t.Error(err)
			}
		}
		_, err := s.Once(t.Context(), keyed, do)
		refusal(t, err, connection.Invalid, "Idempotency-Key")
		if done != 2 {
			t.Errorf("carried out %d times, want twice", done)
		}
	})
}

// A request that was made although it was answered otherwise is found by its repetition.
func TestOnceMadeAllTheSame(t *testing.T) {
	once(t, func(t *testing.T, c *caller) {
		var made rotation.Record
		_, err := c.service().Once(t.Context(), keyed, func(id string) (rotation.Record, error) {
			in := c.input()
			in.ID = id
			rec, err := c.service().Create(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			made = rec
			return rec, &connection.Error{Kind: connection.Unavailable, Message: "interrupted"}
		})
		if kindOf(err) != connection.Unavailable {
			t.Fatalf("got %v", err)
		}
		again, err := c.connect(t, keyed, nothing, nothing)
		if err != nil || again.ID != made.ID || c.done != 0 {
			t.Errorf("again: %s, want %s; carried out %d times more; %v", again.ID, made.ID, c.done, err)
		}
		c.id = made.ID
	})
}
