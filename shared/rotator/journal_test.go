package rotator_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"rekey/shared/rotation"
	"rekey/shared/rotator"
)

// oneRecord is a store with one record, which takes every commit.
type oneRecord struct{ rec rotation.Record }

func (s *oneRecord) Load(context.Context, string) (rotation.Record, error) { return s.rec.Clone(), nil }

func (s *oneRecord) Commit(_ context.Context, rec rotation.Record, _ ...rotation.Event) (rotation.Record, error) {
	s.rec = rec.Clone()
	return rec, nil
}

// A record keeps the ids of the API's last commits, since another request may commit between
// one whose answer is lost and the look whether it has happened (rule R9). It keeps eight.
func TestTheIDsOfTheLastChangesAreKept(t *testing.T) {
	var store oneRecord
	n := 0
	j := rotator.AsAPI(rotator.Journal{Records: &store, NewID: func() string { n++; return fmt.Sprint(n) }, Timeout: time.Minute})
	var all []string
	for i := range 12 {
		all = append(all, fmt.Sprint(i+1))
		if _, err := j.Update(t.Context(), store.rec, func(*rotation.Record) ([]rotation.Event, error) { return nil, nil }); err != nil {
			t.Fatal(err)
		}
		if want := all[max(0, len(all)-8):]; !slices.Equal(store.rec.Changes, want) {
			t.Errorf("after %d changes the record has %v, want %v", i+1, store.rec.Changes, want)
		}
	}
}
