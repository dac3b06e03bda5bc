package rotation_test

import (
	"testing"
	"time"

	"rekey/shared/rotation"
	"rekey/shared/serviceerror"
)

// A client secret is identified if exactly one live one has an equal hint, and it is the
// application's (rule R14).
func TestIdentify(t *testing.T) {
	secret := func(id, hint string, ends time.Duration) rotation.Password {
		return rotation.Password{KeyID: id, Hint: hint, ExpiresAt: now.Add(ends)}
	}
	one, other, blank, over := secret("one", "abc", hour), secret("other", "abc", hour), secret("blank", "", hour), secret("over", "abc", 0)
	different := secret("different", "abd", hour)
	for _, tt := range []struct {
		name           string
		own, principal []rotation.Password
		unread         bool
		want           bool
	}{
		{"the only one", []rotation.Password{one}, nil, false, true},
		{"one among others", []rotation.Password{different, one, blank, over}, []rotation.Password{different, blank}, false, true},
		{"none", []rotation.Password{different}, nil, false, false},
		{"one without a hint is never it", []rotation.Password{blank}, nil, false, false},
		{"one that has ended is not it", []rotation.Password{over}, nil, false, false},
		{"two", []rotation.Password{one, other}, nil, false, false},
		{"another one on the service principal", []rotation.Password{one}, []rotation.Password{other}, false, false},
		{"only on the service principal", nil, []rotation.Password{other}, false, false},
		{"the service principal was not read", []rotation.Password{one}, nil, true, false},
	} {
		found, doubt := rotation.Identify(now, "abc", tt.own, tt.principal, tt.unread)
		if (found != nil) != tt.want || (doubt == "") != tt.want || tt.want && found.KeyID != "one" {
			t.Errorf("%s: %+v, %q", tt.name, found, doubt)
		}
	}
}

// What becomes of a request once it is known which credential is current, or is not known.
func TestApplyIdentified(t *testing.T) {
	given := with(idle(), origin(rotation.OriginGiven), func(r *rotation.Record) { r.Current.KeyID = "" })
	found := rotation.Outcome{Identified: &rotation.Password{KeyID: "found", ExpiresAt: now.Add(day)},
		Application: &rotation.ApplicationState{ObjectID: "o2", ClientID: idle().Target.ClientID, DisplayName: "Pay\u202eroll"}}
	denied := rotation.Outcome{Err: &serviceerror.Error{Class: serviceerror.Permission}}
	silent := rotation.Outcome{Err: &serviceerror.Error{Class: serviceerror.Transient}}
	doubt := rotation.Outcome{Doubt: "which?"}
	for _, tt := range []struct {
		name    string
		kind    rotation.RequestKind
		out     rotation.Outcome
		keyID   string
		pending bool // the request
		failed  bool // the last run
	}{
		{"found, as asked for", rotation.AskIdentify, found, "found", false, false},
		{"found for a rotation, which goes on", rotation.AskRotate, found, "found", true, false},
		{"found for an emergency, which goes on", rotation.AskEmergency, found, "found", true, false},
		{"in doubt", rotation.AskIdentify, doubt, "", false, true},
		{"in doubt for a rotation, which is refused", rotation.AskRotate, doubt, "", false, true},
		{"in doubt for an emergency, which goes on", rotation.AskEmergency, doubt, "", true, false},
		{"denied", rotation.AskIdentify, denied, "", false, true},
		{"denied for an emergency, which goes on", rotation.AskEmergency, denied, "", true, false},
		{"no answer: later", rotation.AskIdentify, silent, "", true, false},
		{"no answer for an emergency: later", rotation.AskEmergency, silent, "", true, false},
		{"found while a deletion was asked for", rotation.AskDelete, found, "found", true, false},
		{"in doubt while a deletion was asked for", rotation.AskDelete, doubt, "", true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rec, _ := rotation.DefaultRules().Apply(now, with(given.Clone(), asked(tt.kind)), rotation.IdentifyCurrent{}, tt.out)
			if rec.Current.KeyID != tt.keyID || rec.Unidentified() == (tt.keyID != "") ||
				tt.keyID != "" && (rec.Current.Origin != rotation.OriginNamed || rec.Target.ObjectID == "") {
				t.Errorf("current %+v, of %+v", rec.Current, rec.Target)
			}
			if name := rec.TargetName; (name == "Payroll") != (tt.out.Application != nil) {
				t.Errorf("the application is called %q", name)
			}
			if (rec.Request != nil) != tt.pending || (rec.LastRun != nil) != tt.failed {
				t.Errorf("request %+v, last run %+v", rec.Request, rec.LastRun)
			}
			if tt.failed && rec.LastRun.Message == "" {
				t.Error("the refusal says nothing")
			}
			if later := rec.Error != nil; later != (tt.out.Err == silent.Err) {
				t.Errorf("error %+v", rec.Error)
			}
			if tt.kind == rotation.AskEmergency && tt.keyID == "" && rec.Request.Unidentified == (tt.out.Err == silent.Err) {
				t.Errorf("request %+v", rec.Request)
			}
		})
	}
}
