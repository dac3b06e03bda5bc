package rotationtest

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/shared/index"
	"rekey/shared/rotation"
)

// found are the names of what a query finds, page by page.
func (s storeTest) found(t *testing.T, q index.Query) string {
	t.Helper()
	var names []string
	for _, at := range s.pages(t, q) {
		name, _, _ := strings.Cut(at, " ")
		names = append(names, name)
	}
	return fmt.Sprint(names)
}

func (s storeTest) targetPages(t *testing.T) {
	project := rand.Text()
	s.listed(t, project, "connection", "")
	for _, name := range []string{"b", "", "a", ""} { // a target need not have a name
		s.listed(t, project, name, "via")
	}
	for _, limit := range []int{1, 3, 100} {
		if got := s.found(t, index.Query{Targets: true, Project: &project, Limit: limit}); got != "[  a b]" {
			t.Errorf("pages of %d: %s", limit, got)
		}
	}
	all := s.pages(t, index.Query{Targets: true, Project: &project, Limit: 2})
	_, id, _ := strings.Cut(all[0], " ")
	if got := s.found(t, index.Query{Targets: true, Project: &project, Limit: 2, AfterID: id}); got != "[ a b]" {
		t.Errorf("behind the first of those without a name: %s", got)
	}
}

func (s storeTest) searches(t *testing.T) {
	project, other := rand.Text(), rand.Text()
	for i, name := range []string{"billing-eu", "billing-us", "shop", "zürich"} {
		rec := s.listed(t, project, name, "")
		s.listed(t, other, name, "")
		rec.VaultName, rec.Phase = "Vault-"+name, rotation.Idle
		rec.Target.ClientID, rec.TargetName = fmt.Sprintf("app-%d", i), fmt.Sprintf("Application %d", i)
		rec.Policy.Enabled = i < 2
		if i == 1 {
			rec.Error, rec.Phase = &rotation.Failure{}, rotation.Verifying
		}
		rec.Current = &rotation.Credential{KeyID: fmt.Sprintf("KEY-%d", i)}
		s.commit(t, rec)
	}
	for text, want := range map[string]string{
		"": "[billing-eu billing-us shop zürich]", "BILLING-": "[billing-eu billing-us]", "ing-u": "[billing-us]", "vault-s": "[shop]",
		"APP-3": "[zürich]", "tion 2": "[shop]", "key-0": "[billing-eu]", "ZÜR": "[zürich]", "no-ne": "[]", "eu\nbilling": "[]",
	} {
		for _, limit := range []int{1, 2, 100} {
			if got := s.found(t, index.Query{Project: &project, Text: index.Fold(text), Limit: limit}); got != want {
				t.Errorf("%q, pages of %d: %s, want %s", text, limit, got, want)
			}
		}
	}
	for state, want := range map[string]string{
		index.Active: "[billing-eu billing-us]", index.Paused: "[shop zürich]", index.Running: "[billing-us]", index.Failing: "[billing-us]",
	} {
		if got := s.found(t, index.Query{Project: &project, State: state, Limit: 1}); got != want {
			t.Errorf("%s: %s, want %s", state, got, want)
		}
	}
	both := index.Query{Project: &project, Text: "g-us", State: index.Paused, Limit: 9}
	if got := s.found(t, both); got != "[]" {
		t.Errorf("both: %s", got)
	}
}

func (s storeTest) urgent(t *testing.T) {
	project := rand.Text()
	needs := func(at time.Time) string {
		return s.found(t, index.Query{Project: &project, Attention: at, Limit: 1}) +
			s.found(t, index.Query{Project: &project, Targets: true, Attention: at, Limit: 1})
	}
	ends := storeEpoch.Add(time.Millisecond)
	var late rotation.Record
	for _, name := range []string{"b-b", "a", "later", "well"} {
		for _, via := range []string{"", "via"} {
			rec := s.listed(t, project, name+via, via)
			switch name {
			case "well":
			case "later":
				rec.Current = &rotation.Credential{ExpiresAt: ends.AddDate(0, 0, 15)}
			default:
				rec.ByHand = []rotation.ByHand{{KeyID: "k"}}
			}
			rec = s.commit(t, rec)
			if name == "b-b" && via == "" {
				late = rec
			}
		}
	}
	for at, want := range map[time.Time]string{
		ends: "[a b-b][avia b-bvia]", ends.AddDate(0, 0, 1).Add(-1): "[a b-b][avia b-bvia]",
		ends.AddDate(0, 0, 1): "[a b-b later][avia b-bvia latervia]",
	} {
		if got := needs(at); got != want {
			t.Errorf("at %v: %s, want %s", at, got, want)
		}
	}
	late.ByHand = nil
	late = s.commit(t, late)
	if got := needs(ends); got != "[a][avia b-bvia]" {
		t.Errorf("after one was repaired: %s", got)
	}
	late.Stale.Problem = "transient"
	late = s.commit(t, late)
	if got := s.found(t, index.Query{Attention: ends, Project: &project, Text: "b-b", Limit: 5}); got != "[b-b]" {
		t.Errorf("searched among them: %s", got)
	}
	if err := s.Remove(t.Context(), late); err != nil {
		t.Fatal(err)
	}
	if got := needs(ends); got != "[a][avia b-bvia]" {
		t.Errorf("after one was removed: %s", got)
	}
}

// ahead counts in a time of its own, since the table may have the records of other tests.
func (s storeTest) ahead(t *testing.T) {
	key := rand.Text()
	from := time.Date(1601, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(key[0]) * 1000 * time.Hour)
	to := from.Add(100 * time.Hour)
	at := func(hours int) time.Time { return from.Add(time.Duration(hours) * time.Hour) }
	make := func(i, due, ends int, enabled bool) rotation.Record {
		rec := s.listed(t, key, fmt.Sprint(i), "")
		rec.Phase, rec.NextSlot, rec.Policy.Enabled = rotation.Idle, at(due), enabled
		rec.Target = rotation.Application{TenantID: "T", ClientID: "C"}
		rec.Current = &rotation.Credential{KeyID: fmt.Sprintf("%s-%d", key, i), ExpiresAt: at(ends), Since: at(due).AddDate(0, -1, 0)}
		return s.commit(t, rec)
	}
	first := make(0, 1, 99, true)
	make(1, 0, 100, true)
	make(2, 5, 50, false)
	make(3, -1, -1, true)
	counted := func() string {
		t.Helper()
		ahead, err := s.Ahead(t.Context(), from, to)
		if err != nil || !ahead.Whole {
			t.Fatalf("%+v, %v", ahead, err)
		}
		var text []string
		for _, d := range ahead.Due {
			text = append(text, d.Sub(from).String())
		}
		for _, e := range ahead.Ends {
			text = append(text, e.Credential[strings.LastIndex(e.Credential, "-"):]+" "+e.At.Sub(from).String())
		}
		if slices.ContainsFunc(ahead.Ends, func(e index.End) bool { return e.Credential[:4] != "t c " }) {
			t.Errorf("%+v", ahead.Ends)
		}
		return strings.Join(text, ", ")
	}
	if got := counted(); got != "0s, 1h0m0s, -2 50h0m0s, -0 99h0m0s" {
		t.Errorf("counted %s", got)
	}
	first.NextSlot, first.Current.ExpiresAt = at(10), at(300)
	first = s.commit(t, first)
	if got := counted(); got != "0s, 10h0m0s, -2 50h0m0s" {
		t.Errorf("after a rotation: %s", got)
	}
	if err := s.Remove(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if got := counted(); got != "0s, -2 50h0m0s" {
		t.Errorf("after a removal: %s", got)
	}
	failed := make(4, -1, -1, true)
	failed.Error = &rotation.Failure{Count: 1, At: at(-1), RetryAt: at(20)}
	s.commit(t, failed)
	if got := counted(); got != "0s, 20h0m0s, -2 50h0m0s" {
		t.Errorf("of one that is tried again: %s", got)
	}
}
