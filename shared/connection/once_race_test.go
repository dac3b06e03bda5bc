package connection_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"rekey/shared/connection"
	"rekey/shared/rotation"
)

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
