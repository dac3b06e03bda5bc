package rotation_test

import (
	"fmt"
	"slices"
	"testing"

	"rekey/shared/rotation"
)

// Two claims on one application, by kind and by who they are of: which exclude each other
// (rule R11). It is the same from both sides.
func TestWhichClaimsExcludeEachOther(t *testing.T) {
	row := func(kind rotation.ClaimKind, app, owner, via string) rotation.ClaimRow {
		return rotation.ClaimRow{Claim: rotation.Claim{ID: owner, Kind: kind, App: app}, Owner: owner, Via: via}
	}
	for _, tt := range []struct {
		name string
		a, b rotation.ClaimRow
		want bool
	}{
		{"exclusive and exclusive", row(rotation.Exclusive, "app", "a", ""), row(rotation.Exclusive, "app", "b", ""), true},
		{"exclusive and shared", row(rotation.Exclusive, "app", "a", ""), row(rotation.Shared, "app", "b", ""), true},
		{"shared and shared", row(rotation.Shared, "app", "a", ""), row(rotation.Shared, "app", "b", ""), false},
		{"of different applications", row(rotation.Exclusive, "app", "a", ""), row(rotation.Exclusive, "other", "b", ""), false},
		{"of one connection", row(rotation.Exclusive, "app", "a", ""), row(rotation.Exclusive, "app", "a", ""), false},
		{"of one connection that also signs in", row(rotation.Exclusive, "app", "a", ""), row(rotation.Shared, "app", "a", ""), false},
		{"a target and its own connection, which signs in",
			row(rotation.Exclusive, "app", "t", "a"), row(rotation.Shared, "app", "a", ""), false},
		{"a target and its own connection, which rotates",
			row(rotation.Exclusive, "app", "t", "a"), row(rotation.Exclusive, "app", "a", ""), true},
		{"a target and another connection, which signs in", row(rotation.Exclusive, "app", "t", "a"), row(rotation.Shared, "app", "b", ""), true},
		{"two targets of one connection", row(rotation.Exclusive, "app", "t", "a"), row(rotation.Exclusive, "app", "u", "a"), true},
	} {
		if tt.a.Excludes(tt.b) != tt.want || tt.b.Excludes(tt.a) != tt.want {
			t.Errorf("%s: %t and %t, want %t", tt.name, tt.a.Excludes(tt.b), tt.b.Excludes(tt.a), tt.want)
		}
	}
}

// What a record must have claimed, by what is going on (rule R11).
func TestUses(t *testing.T) {
	const own, away = "t billing", "t former"
	off := func(rec rotation.Record) rotation.Record { rec.Policy.Enabled = false; return rec }
	over := func(r *rotation.Record) { r.Request = &rotation.Request{Kind: rotation.AskRebind, Target: former} }
	rebinds := func(r *rotation.Record) { r.Run.Target = former }
	removal := func(kind rotation.RemovalKind) change {
		return func(r *rotation.Record) { r.Removals = []rotation.Removal{{Kind: kind, Target: former, KeyID: "k"}} }
	}
	revoke := func(r *rotation.Record) { r.Request.Revoke = true }
	method := func(m string) change {
		return func(r *rotation.Record) { r.Auth, r.Method, r.Actor = &rotation.Auth{}, m, former }
	}
	nothing := func(r *rotation.Record) { r.Target, r.Current = rotation.Application{}, nil }
	for _, tt := range []struct {
		name              string
		rec               rotation.Record
		exclusive, shared []string
	}{
		{"it rotates itself", idle(), []string{own}, []string{own}},
		{"it rotates nothing", off(idle()), nil, []string{own}},
		{"rotated by hand", with(off(idle()), asked(rotation.AskRotate)), []string{own}, []string{own}},
		{"in an emergency", with(off(idle()), asked(rotation.AskEmergency)), []string{own}, []string{own}},
		{"a run", off(verifying()), []string{own}, []string{own}},
		{"something replaced is to be removed", with(off(idle()), removal(rotation.RemoveReplaced)), []string{away}, []string{own}},
		{"an orphan is to be removed", with(off(idle()), removal(rotation.RemoveOrphan)), []string{away}, []string{own}},
		{"the last one is to be removed", with(off(idle()), removal(rotation.RemoveLast)), []string{away}, []string{own}},
		{"it goes over", with(off(idle()), over), nil, []string{own, away}},
		{"it goes over and rotates", with(idle(), over), []string{own, away}, []string{own, away}},
		{"it is going over", with(off(rebinding()), rebinds), nil, []string{own, away}},
		{"and is rotated by hand", with(off(rebinding()), rebinds, asked(rotation.AskRotate)), []string{own, away}, []string{own, away}},
		{"it is deleted", with(off(idle()), asked(rotation.AskDelete)), nil, []string{own}},
		{"it is deleted with what it issued", with(off(idle()), asked(rotation.AskDelete), revoke), []string{own}, []string{own}},
		{"it is deleted with what was given",
			with(off(idle()), origin(rotation.OriginNamed), asked(rotation.AskDelete), revoke), nil, []string{own}},
		{"during a deletion", deleting(), []string{own}, []string{own}},
		{"a target", through(idle()), []string{own}, nil},
		{"a target with rotation off", off(through(idle())), []string{own}, nil},
		{"it signs in with a client secret of another", with(off(idle()), method(rotation.MethodSecret)), []string{own}, []string{away}},
		{"it signs in with one and rotates nothing", with(off(idle()), method(rotation.MethodSecret), nothing), nil, []string{away}},
		{"it signs in with a certificate", with(off(idle()), method("certificate"), nothing), nil, nil},
		{"a person signs in, and it rotates", with(off(idle()), method("oauth")), []string{own}, nil},
	} {
		var exclusive, shared []string
		for _, c := range tt.rec.Uses() {
			if c.Kind == rotation.Exclusive {
				exclusive = append(exclusive, c.App)
			} else {
				shared = append(shared, c.App)
			}
		}
		slices.Sort(exclusive)
		slices.Sort(shared)
		if !slices.Equal(exclusive, tt.exclusive) || !slices.Equal(shared, tt.shared) {
			t.Errorf("%s: exclusive %q, want %q; shared %q, want %q", tt.name, exclusive, tt.exclusive, shared, tt.shared)
		}
	}
}

// A claim is dropped when nothing needs it any more. While other credentials are being taken
// over, the ones that they replace are still to be removed.
func TestClaimsAreDroppedWhenNothingNeedsThem(t *testing.T) {
	var rows []rotation.ClaimRow
	for i, c := range []rotation.Claim{
		{Kind: rotation.Exclusive, App: billing.Key()}, {Kind: rotation.Shared, App: billing.Key()},
		{Kind: rotation.Exclusive, App: former.Key()}, {Kind: rotation.Shared, App: former.Key()},
	} {
		c.ID = fmt.Sprint(i)
		rows = append(rows, rotation.ClaimRow{Claim: c, Owner: "c"})
	}
	off := func(r *rotation.Record) { r.Policy.Enabled = false }
	for _, tt := range []struct {
		name string
		rec  rotation.Record
		keep string
	}{
		{"it rotates", idle(), "01"},
		{"it does not", with(idle(), off), "1"},
		{"something is to be removed", with(idle(), off, func(r *rotation.Record) { r.Removals = []rotation.Removal{{Target: former}} }), "12"},
		{"it goes over",
			with(idle(), off, func(r *rotation.Record) { r.Request = &rotation.Request{Kind: rotation.AskRebind, Target: former} }), "013"},
		{"it is going over", with(rebinding(), off, func(r *rotation.Record) { r.Run.Target = former }), "013"},
	} {
		rec := tt.rec
		rec.AddClaims(rows)
		was := rec.Clone()
		rec.DropClaims()
		kept := ""
		for _, c := range rec.Claimed {
			kept += c.ID
		}
		if kept != tt.keep || len(was.Dropped(&rec)) != len(rows)-len(tt.keep) || len(rec.Unclaimed()) != 0 {
			t.Errorf("%s: %s are kept, want %s; dropped are %v, unclaimed %v", tt.name, kept, tt.keep, was.Dropped(&rec), rec.Unclaimed())
		}
	}
}
