//go:build consolecheck

package consolecheck

import (
	"net/http"
	"testing"

	"rekey/shared/emulator/directory"
	"rekey/shared/emulator/fault"
)

// user is a person who uses the console in one way, and what is there for them to act on.
type user struct {
	*tab
	things *things
}

// things are what the actions act on.
type things struct {
	billing, platform, one, two subject
	people, target              string // ids
	intranet                    directory.Application
	certificate                 certificate
}

// actions are everything that a person can do, in an order in which each finds what it needs.
var actions = []struct {
	name string
	do   func(u *user)
}{
	{"a key that is none is refused", (*user).wrongKey},
	{"sign in by key, back to the page", func(u *user) { u.signIn(u.name, "/console/settings") }},
	{"no such page", (*user).nowhere},
	{"nothing is connected", func(u *user) { u.open("/console"); u.inspected("Nothing is connected yet.") }},
	{"check before connecting", (*user).check},
	{"connect by client secret, refused", (*user).connectRefused},
	{"connect by client secret", (*user).connectBySecret},
	{"connect by certificate", (*user).connectByCertificate},
	{"connect by signing in", (*user).connectByPerson},
	{"connect by signing in, declined", (*user).declined},
	{"sign in again for a connection", (*user).reconnect},
	{"find and filter", (*user).find},
	{"test", (*user).test},
	{"dry run", (*user).dryRun},
	{"rotate", (*user).rotate},
	{"emergency, another name typed", (*user).emergencyRefused},
	{"emergency", (*user).emergency},
	{"abandon", (*user).abandon},
	{"pause", func(u *user) { u.button(u.things.billing, "pause", "Rotation is off."); u.rotates(false) }},
	{"resume", func(u *user) { u.button(u.things.billing, "resume", "Rotation is on."); u.rotates(true) }},
	{"edit", (*user).edit},
	{"several at once", (*user).several},
	{"several at once, none chosen", (*user).none},
	{"all of a page chosen", (*user).chooseAll},
	{"scan", (*user).scanTenant},
	{"inventory, filtered", (*user).filter},
	{"CSV", (*user).csv},
	{"accept a finding", (*user).accept},
	{"let it count again", (*user).reject},
	{"adopt", (*user).adopt},
	{"rotate a target", (*user).rotateTarget},
	{"add a target, refused", (*user).targetRefused},
	{"zone", (*user).zone},
	{"history", func(u *user) {
		u.open(u.path("connections", u.things.billing.ID, "history"))
		u.inspected("by " + u.name)
	}},
	{"audit of the deployment", func(u *user) {
		u.open("/console")
		u.follow("nav a[href='/console/audit']")
		u.inspected(u.name)
	}},
	{"audit", func(u *user) { u.link(u.things.billing, "audit", u.name) }},
	{"delete, another name typed", (*user).deleteRefused},
	{"delete and keep", (*user).deleteKeep},
	{"delete and revoke", (*user).deleteRevoke},
	{"sign out", func(u *user) {
		u.open("/console")
		u.follow("form[action='/console/sign-out'] button")
		u.inspected("You have signed out")
	}},
}

// Every action, by mouse, by keyboard alone, and without JavaScript.
func TestActions(t *testing.T) {
	for _, how := range ways {
		t.Run(how.name, func(t *testing.T) {
			w := newWorld(t, nil, nil)
			w.neglect(20)
			b, made := w.tab(how), w.things()
			for _, a := range actions {
				t.Run(a.name, func(t *testing.T) {
					u := &user{b.in(t), made}
					a.do(u)
					u.quiet()
				})
			}
			w.everywhere()
		})
	}
}

func (w *world) things() *things {
	w.Helper()
	return &things{certificate: w.certificate(), intranet: w.add(directory.Settings{DisplayName: "intranet \u202Egnp.exe"})}
}

// inspected looks at a page, where the way has scripts and the mouse: pages are the same in each.
func (u *user) inspected(texts ...string) {
	u.Helper()
	u.shows(texts...)
	if u.scripts && !u.keyboard {
		u.inspect(nil)
	}
}

// button opens the page of a connection and presses a button that leads back to it.
func (u *user) button(s subject, action, says string) {
	u.Helper()
	at := u.path("connections", s.ID)
	u.open(at)
	u.follow("form[action='" + at + "/" + action + "'] button")
	u.inspected(says)
}

// link opens the page of a connection and follows a link below it.
func (u *user) link(s subject, below string, texts ...string) {
	u.Helper()
	at := u.path("connections", s.ID)
	u.open(at)
	u.follow("main a[href='" + at + "/" + below + "']")
	u.inspected(texts...)
}

// send presses the button of the form that goes to an address.
func (u *user) send(action string, texts ...string) {
	u.Helper()
	u.follow("form[action='" + action + "'] button[type=submit]:not(.plain)")
	u.inspected(texts...)
}

func (u *user) wrongKey() {
	u.open("/console/targets?text=x")
	u.enter("#key", "rk_nothing")
	u.follow("#by-key")
	u.inspected("API key")
	if !u.has("#message") {
		u.Errorf("nothing is said: %s", u.text("body"))
	}
}

func (u *user) nowhere() {
	u.open("/console/nowhere")
	u.inspected("There is no such page.")
}

func (u *user) find() {
	u.open("/console")
	u.follow("nav a[href='/console/connections']")
	u.enter("form[role=search] input[type=search]", "billing")
	u.follow("form[role=search] button")
	u.inspected("billing")
	if u.has("a[href='" + u.path("connections", u.things.people) + "']") {
		u.Error("what does not fit is shown")
	}
	u.follow("tbody a[href='" + u.path("connections", u.things.billing.ID) + "']")
	u.inspected("Published", "@Microsoft.KeyVault(SecretUri=")
	u.open("/console/connections")
	u.enter("form[role=search] input[type=search]", "no-such-name")
	u.follow("form[role=search] button")
	u.inspected()
	if u.has("tbody tr") {
		u.Error("what does not fit is shown")
	}
}

func (u *user) test() { u.link(u.things.billing, "test", "It can rotate.") }

func (u *user) dryRun() { u.link(u.things.billing, "plan", "Nothing was done.", "addPassword") }

func (u *user) rotate() {
	before := u.connection(u.things.billing.ID).Rotation.Current.KeyID
	u.button(u.things.billing, "rotate", "The rotation ")
	if now := u.settled(u.things.billing.ID).Rotation.Current.KeyID; now == before {
		u.Error("nothing was rotated")
	}
	u.open(u.path("connections", u.things.billing.ID))
	u.inspected("by "+u.name, "in its grace period")
}

func (u *user) emergencyRefused() {
	u.link(u.things.billing, "emergency", "to confirm")
	u.enter("#confirm", "another")
	u.send(u.path("connections", u.things.billing.ID, "emergency"), "Nothing was done.")
}

func (u *user) emergency() {
	before := u.connection(u.things.billing.ID).Rotation.Current.KeyID
	u.link(u.things.billing, "emergency", "to confirm")
	u.enter("#confirm", "billing")
	u.send(u.path("connections", u.things.billing.ID, "emergency"), "The emergency rotation ")
	if now := u.settled(u.things.billing.ID).Rotation.Current.KeyID; now == before {
		u.Error("nothing was rotated")
	}
}

// abandon gives a run up that Graph does not let get further.
func (u *user) abandon() {
	u.services.Break(func(op string, _ *http.Request) *fault.Effect {
		if op == "graph.addPassword" {
			return &fault.Effect{Status: http.StatusServiceUnavailable}
		}
		return nil
	})
	defer u.services.Break(nil)
	u.call(http.MethodPost, secrets+"/"+u.things.billing.ID+"/rotate-credentials", object{}, nil)
	u.until("the run is under way", func() bool { return u.connection(u.things.billing.ID).Rotation.State == "issuing" })
	u.open(u.path("connections", u.things.billing.ID))
	u.inspected("A rotation is under way")
	u.link(u.things.billing, "abandon", "is removed from Entra")
	u.send(u.path("connections", u.things.billing.ID, "abandon"), "abandoned.")
}

func (u *user) rotates(want bool) {
	u.Helper()
	if got := u.connection(u.things.billing.ID).IsAutoRotationEnabled; got != want {
		u.Errorf("it rotates: %v", got)
	}
}

func (u *user) edit() {
	s := u.settled(u.things.billing.ID)
	u.link(s, "edit", "New credentials")
	u.enter("#interval", "0")
	u.enter("#description", "said by "+u.name)
	u.enter("#timeZone", "Nowhere/None")
	if u.enter("#interval", "7"); u.scripts { // the browser itself refuses what the field can't be
		u.enter("#grace", "12")
	}
	u.send(u.path("connections", s.ID, "edit"), "zone")
	u.enter("#timeZone", "Asia/Tokyo")
	u.send(u.path("connections", s.ID, "edit"), "Saved.")
	if got := u.connection(s.ID); got.Description == nil || *got.Description != "said by "+u.name || got.Rotation.TimeZone != "Asia/Tokyo" {
		u.Errorf("saved: %+v", got)
	}
}

func (u *user) several() {
	u.things.one, u.things.two = u.connect("first-of-two"), u.connect("second-of-two")
	for _, what := range []string{"pause", "resume", "rotate"} {
		u.open("/console/connections")
		for _, s := range []subject{u.things.one, u.things.two} {
			u.press("input[name=chosen][value='/" + s.ID + "']")
		}
		u.follow("button[name=what][value=" + what + "]")
		if what == "rotate" { // it is shown first
			u.inspected("Rotate several now")
			u.send("/console/several")
		}
		u.inspected("Done for all that were chosen")
		for _, s := range []subject{u.things.one, u.things.two} {
			if now := u.settled(s.ID); now.IsAutoRotationEnabled == (what == "pause") ||
				(now.Rotation.Current.KeyID != s.Rotation.Current.KeyID) != (what == "rotate") {
				u.Errorf("after %s of several: %+v, was %+v", what, now.Rotation, s.Rotation)
			}
		}
	}
}

func (u *user) none() {
	u.open("/console/connections")
	u.follow("button[name=what][value=pause]")
	u.inspected("Nothing was chosen")
}

func (u *user) chooseAll() {
	u.open("/console/connections")
	for _, all := range []bool{true, false} {
		if u.scripts { // which choose in place
			u.press("a[data-chooses]")
		} else {
			u.follow("a[data-chooses]")
		}
		if is := ask[[]bool](u.tab, `s => { const all = [...document.querySelectorAll(s)].map(b => b.checked);
			return [all.length > 1, all.every(c => c), all.some(c => c)] }`, "input[name=chosen]"); !is[0] || is[1] != all || is[2] != all {
			u.Errorf("%s: of the page are chosen (several, all, any): %t; want all: %t", u.name, is, all)
		}
	}
}

func (u *user) zone() {
	u.open(u.path("connections", u.things.one.ID))
	u.enter("input[name=zone]", "Mars/Base")
	u.follow("form[action='/console/zone'] button")
	u.inspected("That is no time zone.")
	u.open(u.path("connections", u.things.one.ID))
	u.enter("input[name=zone]", "Asia/Tokyo")
	u.follow("form[action='/console/zone'] button")
	u.inspected("JST", "in Europe/Berlin")
}

func (u *user) deleteRefused() {
	u.link(u.things.one, "delete", "Stop managing it")
	u.enter("#confirm", "another")
	u.follow("button[name=revoke][value=true]")
	u.inspected("Nothing was done.")
}

func (u *user) deleteKeep() {
	u.link(u.things.one, "delete", "Stop managing it")
	u.follow("button[name=revoke][value=false]")
	u.inspected()
	u.gone(u.things.one)
	if len(u.services.Vault.Versions(u.things.one.VaultSecretName)) == 0 {
		u.Error("what was published is gone")
	}
}

func (u *user) deleteRevoke() {
	u.link(u.things.two, "delete", "Remove the client secret as well")
	u.enter("#confirm", u.things.two.Name)
	u.follow("button[name=revoke][value=true]")
	u.inspected()
	u.gone(u.things.two)
}

func (u *user) gone(s subject) {
	u.Helper()
	u.until(s.Name+" is gone", func() bool {
		var list struct{ AppConnections []subject }
		u.call(http.MethodGet, secrets+"?name="+s.Name, nil, &list)
		return len(list.AppConnections) == 0
	})
}
