package catalog_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/shared/connection"
	"rekey/shared/inventory"
	"rekey/shared/inventory/catalog"
	"rekey/shared/serviceerror"
)

// acceptedOf are the findings of an item that are accepted, with their key ids.
func acceptedOf(i catalog.Item) (all []string) {
	for _, f := range i.Findings {
		if f.Accepted != nil {
			all = append(all, strings.TrimSuffix(string(f.Kind)+" "+f.KeyID, " "))
		}
	}
	slices.Sort(all)
	return all
}

func wantAccepted(t *testing.T, i catalog.Item, want ...string) {
	t.Helper()
	if got := acceptedOf(i); !slices.Equal(got, want) {
		t.Errorf("accepted are %v, want %v", got, want)
	}
}

// A finding is accepted with a reason, by name, until its time is over or it is taken back; the log
// has it, and the application shows for good who did it.
func TestAcceptances(t *testing.T) {
	d := newDeployment(t, tenant)
	a := app(tenant, 1, 3, 4, -10)
	d.put(t, a)
	one, two := a.Credentials[0].KeyID, a.Credentials[1].KeyID
	wantAccepted(t, d.accept(t, a.Key, inventory.EndsIn7Days, strings.ToUpper(one)), "ends-in-7-days "+one)
	item := d.accept(t, a.Key, inventory.EndsIn7Days, "")
	wantAccepted(t, item, "ends-in-7-days "+one, "ends-in-7-days "+two)
	if f := item.Findings[len(item.Findings)-1].Accepted; f == nil || f.By != "boss" || f.Reason != "it is replaced in August" ||
		!f.At.Equal(start) {
		t.Errorf("accepted by %+v", f)
	}
	d.now = d.now.Add(time.Hour)
	item, _, err := d.TakeBack(t.Context(), a.Key, catalog.Acceptance{Kind: inventory.EndsIn7Days, By: "chief (Ada)", Caller: "chief",
		From: "192.0.2.8"})
	if err != nil {
		t.Fatal(err)
	}
	wantAccepted(t, item, "ends-in-7-days "+one)
	if was := item.Accepted; len(was) != 2 || was[1].EndedBy != "chief (Ada)" || !was[1].Until.Equal(d.now) || was[1].By != "boss" {
		t.Errorf("the trail is %+v", was)
	}
	_, _, err = d.TakeBack(t.Context(), a.Key, catalog.Acceptance{Kind: inventory.EndsIn7Days, By: "chief"})
	refused(t, err, connection.NotFound, "no such acceptance")
	for _, line := range []string{
		`msg="finding accepted" caller=boss from=192.0.2.7 tenant=` + tenant + ` application=` + a.ClientID +
			` finding=ends-in-7-days keyId=` + one,
		`msg="acceptance taken back" caller=chief from=192.0.2.8`,
	} {
		if !strings.Contains(d.log.String(), line) {
			t.Errorf("the log has no line %s:\n%s", line, d.log.String())
		}
	}
	if strings.Contains(d.log.String(), "August") || strings.Contains(d.log.String(), "Ada") {
		t.Error("the log has what the caller wrote, or a person's name")
	}
	d.now = start.Add(2 * day)
	d.accept(t, a.Key, inventory.Expired, "")
	d.now = start.Add(31 * day)
	item, _, _ = d.Get(t.Context(), a.Key)
	wantAccepted(t, item) // its time is over
	if len(item.Accepted) != 3 {
		t.Errorf("the trail is %+v", item.Accepted)
	}
}

// Of the same finding and credential one acceptance holds: the last. The same one again changes
// nothing.
func TestAnAcceptanceReplacesTheOneBefore(t *testing.T) {
	d := newDeployment(t, tenant)
	a := app(tenant, 1, 3)
	d.put(t, a)
	d.accept(t, a.Key, inventory.EndsIn7Days, "")
	again := d.accept(t, a.Key, inventory.EndsIn7Days, "")
	if len(again.Accepted) != 1 {
		t.Errorf("the same request again: %+v", again.Accepted)
	}
	shorter := accepting(inventory.EndsIn7Days, "")
	shorter.Until, shorter.By = start.Add(day), "chief"
	item, _, err := d.Accept(t.Context(), a.Key, shorter)
	if err != nil || len(item.Accepted) != 2 || item.Accepted[0].EndedBy != "chief" {
		t.Fatalf("%+v, %v", item.Accepted, err)
	}
	d.now = start.Add(day)
	item, _, _ = d.Get(t.Context(), a.Key)
	wantAccepted(t, item) // not until the end of the one before
}

func TestAcceptancesThatAreRefused(t *testing.T) {
	d := newDeployment(t, tenant)
	a := app(tenant, 1, 3)
	d.put(t, a)
	for name, tt := range map[string]struct {
		change func(*catalog.Acceptance)
		kind   connection.Kind
		says   string
	}{
		"an unknown finding": {func(in *catalog.Acceptance) { in.Kind = "rusty" }, connection.Invalid,
			"finding must be one of ends-in-7-days"},
		"no finding":         {func(in *catalog.Acceptance) { in.Kind = "" }, connection.Invalid, "finding must be one of"},
		"what is no trouble": {func(in *catalog.Acceptance) { in.Kind = inventory.Managed }, connection.Invalid, "finding must be one of"},
		"no reason":          {func(in *catalog.Acceptance) { in.Reason = " \u00a0" }, connection.Invalid, "reason is missing"},
		"a long reason": {func(in *catalog.Acceptance) { in.Reason = strings.Repeat("ä", 257) }, connection.Invalid,
			"reason must be at most 256"},
		"two lines":             {func(in *catalog.Acceptance) { in.Reason = "one\ntwo" }, connection.Invalid, "reason must be one line"},
		"from right to left":    {func(in *catalog.Acceptance) { in.Reason = "a\u202Eb" }, connection.Invalid, "reason must be one line"},
		"a key id that's none":  {func(in *catalog.Acceptance) { in.KeyID = "k" }, connection.Invalid, "keyId must be a UUID"},
		"no end":                {func(in *catalog.Acceptance) { in.Until = time.Time{} }, connection.Invalid, "until must be"},
		"an end in the past":    {func(in *catalog.Acceptance) { in.Until = start }, connection.Invalid, "until must be"},
		"more than a year":      {func(in *catalog.Acceptance) { in.Until = start.Add(366*day + 1) }, connection.Invalid, "at most a year"},
		"what it does not have": {func(in *catalog.Acceptance) { in.Kind = inventory.Ownerless }, connection.Conflict, "no such finding now"},
		"of another credential": {func(in *catalog.Acceptance) { in.KeyID = numbered(7) }, connection.Conflict, "no such finding now"},
	} {
		in := accepting(inventory.EndsIn7Days, "")
		tt.change(&in)
		_, _, err := d.Accept(t.Context(), a.Key, in)
		if refused(t, err, tt.kind, tt.says); err == nil {
			t.Error(name)
		}
	}
	in := accepting(inventory.EndsIn7Days, "")
	in.Until, in.Reason = start.Add(366*day), strings.Repeat("ä", 256)
	if _, _, err := d.Accept(t.Context(), a.Key, in); err != nil {
		t.Errorf("just within: %v", err)
	}
	for key, says := range map[inventory.Key]string{
		{TenantID: other, ClientID: a.ClientID}: "no inventory of this tenant", {TenantID: tenant, ClientID: numbered(5)}: "no such application",
	} {
		_, _, err := d.Accept(t.Context(), key, accepting(inventory.EndsIn7Days, ""))
		refused(t, err, connection.NotFound, says)
		_, _, err = d.Get(t.Context(), key)
		refused(t, err, connection.NotFound, says)
	}
	_, _, err := d.TakeBack(t.Context(), inventory.Key{TenantID: tenant, ClientID: numbered(5)}, accepting(inventory.EndsIn7Days, ""))
	refused(t, err, connection.NotFound, "no such application")
}

// What is kept is bounded: what ended first makes room, and what holds never does.
func TestAcceptancesAreBounded(t *testing.T) {
	d := newDeployment(t, tenant)
	a := app(tenant, 1, slices.Repeat([]float64{3}, catalog.MaxAcceptances+1)...)
	d.put(t, a)
	for i := range catalog.MaxAcceptances {
		d.accept(t, a.Key, inventory.EndsIn7Days, a.Credentials[i].KeyID)
	}
	_, _, err := d.Accept(t.Context(), a.Key, accepting(inventory.EndsIn7Days, a.Credentials[catalog.MaxAcceptances].KeyID))
	refused(t, err, connection.Conflict, "too many acceptances")
	for i := range 3 {
		d.now = d.now.Add(time.Minute)
		if _, _, err := d.TakeBack(t.Context(), a.Key, catalog.Acceptance{Kind: inventory.EndsIn7Days, KeyID: a.Credentials[i+1].KeyID,
			By: "b"}); err != nil {
			t.Fatal(err)
		}
	}
	item := d.accept(t, a.Key, inventory.EndsIn7Days, a.Credentials[catalog.MaxAcceptances].KeyID)
	if n := len(item.Accepted); n != catalog.MaxAcceptances || len(acceptedOf(item)) != catalog.MaxAcceptances-2 ||
		slices.ContainsFunc(item.Accepted, func(k inventory.Acceptance) bool { return k.KeyID == a.Credentials[1].KeyID }) {
		t.Errorf("%d are kept, %d hold: %+v", n, len(acceptedOf(item)), item.Accepted)
	}
}

// Of two callers at the same time one is told to come again.
func TestTwoWhoAcceptAtOnce(t *testing.T) {
	d := newDeployment(t, tenant)
	a := app(tenant, 1, 3)
	d.put(t, a)
	d.store.Hook = func(call string, do func() error) error {
		if call == "Accept" {
			return fmt.Errorf("accepting: %w", serviceerror.ErrConflict)
		}
		return do()
	}
	_, _, err := d.Accept(t.Context(), a.Key, accepting(inventory.EndsIn7Days, ""))
	refused(t, err, connection.Conflict, "Another caller")
	if e, _ := errors.AsType[*connection.Error](err); e == nil || e.RetryAfter == 0 {
		t.Errorf("%+v does not say when to come again", err)
	}
}
