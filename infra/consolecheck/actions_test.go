//go:build consolecheck

package consolecheck

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

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

// check: what a connection would lack is shown before there is one. With scripts the page stays, and what
// was typed with it.
func (u *user) check() {
	app := u.sample("checked")
	u.open("/console/connect/check?method=client-secret")
	u.enter("#tenantId", app.TenantID)
	u.enter("#clientId", app.ClientID)
	u.enter("#clientSecret", app.Secret)
	u.enter("#name", "checked")
	if u.scripts {
		u.press("button[data-check]")
		u.do(chromedp.WaitVisible(chromedp.CSS("#checked table")))
	} else {
		u.follow("button[data-check]")
	}
	u.inspected("Application.ReadWrite.OwnedBy")
	u.gone(subject{Name: "checked"}) // there is none
}

func (u *user) connectRefused() {
	app := u.sample("payroll")
	u.open("/console/connect")
	u.enter("#tenantId", app.TenantID)
	u.enter("#clientId", app.ClientID)
	u.enter("#clientSecret", "not-the-secret-of-this-application")
	u.enter("#name", "payroll")
	u.send("/console/connect?method=client-secret")
	if !u.has("[role=alert]") || u.has("body#connection") {
		u.Errorf("a wrong secret is not refused: %s", u.text("body"))
	}
}

func (u *user) connectBySecret() {
	app := u.sample("billing")
	u.open("/console/connections")
	u.follow("main a[href='/console/connect']")
	u.inspected("Connect a tenant")
	u.enter("#tenantId", app.TenantID)
	u.enter("#clientId", app.ClientID)
	u.enter("#clientSecret", app.Secret)
	u.enter("#name", "billing")
	u.enter("#vaultSecretName", "billing-secret")
	u.enter("#interval", "45")
	u.enter("#time", "0430AM")
	u.send("/console/connect?method=client-secret", "Connected.")
	u.things.billing = u.settled(u.id())
	if got := u.things.billing; got.Name != "billing" || got.VaultSecretName != "billing-secret" || got.Rotation.Current.KeyID == app.KeyID {
		u.Errorf("connected: %+v", got)
	}
}

// id is that of the connection whose page is shown.
func (u *user) id() string {
	u.Helper()
	path, _, _ := strings.Cut(u.at(), "?")
	return path[strings.LastIndex(path, "/")+1:]
}

func (u *user) connectByCertificate() {
	u.open("/console/connect")
	u.follow("a[href='/console/connect?method=certificate']")
	u.enter("#tenantId", u.services.TenantID)
	u.enter("#clientId", u.things.certificate.clientID)
	u.enter("#certificateBody", u.things.certificate.body)
	u.enter("#privateKey", u.things.certificate.key)
	u.enter("#name", "caretaker")
	u.send("/console/connect?method=certificate", "Connected.")
	u.settled(u.id())
}

// connectByPerson goes through the whole round: the console, the page that asks, Entra, the page that
// says how it ended, and the console.
func (u *user) connectByPerson() {
	u.open("/console/connect")
	u.follow("a[href='/console/connect?method=oauth']")
	u.enter("#tenantId", u.services.TenantID)
	u.enter("#name", "people")
	u.send("/console/connect?method=oauth", "Continue to Microsoft Entra")
	u.follow("#continue")
	u.approve(u.people.Administrator)
	u.inspected("Connected")
	u.follow("a[href^='/console/connections/']")
	u.inspected("people")
	u.things.people = u.id()
}

// approve is what a person does on Entra's page, until they are back.
func (u *user) approve(person string) {
	u.Helper()
	u.press("#user-" + person)
	u.follow("#approve")
	u.until("the sign-in has ended", func() bool { return !u.has("body.still-working") })
}

func (u *user) declined() {
	u.open("/console/connect?method=oauth")
	u.enter("#tenantId", u.services.TenantID)
	u.enter("#name", "others")
	u.send("/console/connect?method=oauth")
	u.follow("#continue")
	u.press("#user-" + u.people.Ordinary)
	u.follow("#decline")
	u.inspected("declined")
}

func (u *user) reconnect() {
	at := u.path("connections", u.things.people)
	u.open(at)
	u.follow("form[action='" + at + "/reconnect'] button")
	u.shows("signing in again")
	u.follow("#continue")
	u.approve(u.people.Administrator)
	u.inspected("Connected again")
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
	u.button(u.things.billing, "rotate", "The rotation has begun.")
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
	u.send(u.path("connections", u.things.billing.ID, "emergency"), "The emergency rotation has begun")
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
	u.button(u.things.billing, "abandon", "abandoned.")
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
		u.inspected("Done for all that were chosen.")
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

func (u *user) scanTenant() {
	u.things.platform = u.platform()
	u.open("/console/inventory")
	u.inspected("No tenant was scanned yet.")
	u.enter("#connectionId", u.things.platform.ID)
	u.send("/console/inventory/scans", "The scan has begun.")
	u.scanned(u.id())
	u.open("/console/inventory/scans/" + u.id())
	u.inspected("Applications")
}

func (u *user) filter() {
	u.open("/console")
	u.inspected("What ends")
	u.follow("nav a[href='/console/inventory']")
	u.inspected("Scan tenant")
	u.enter("select[name=finding]", "no owner")
	u.enter("input[name=text]", "intranet")
	u.follow("form[role=search] button")
	u.inspected("intranet")
	if at := u.at(); !strings.Contains(at, "finding=ownerless") {
		u.Errorf("the filter is %s", at)
	}
}

// application is the page of the one that is adopted.
func (u *user) application() string {
	return u.path("inventory", u.services.TenantID, u.things.intranet.ClientID)
}

func (u *user) csv() {
	u.open("/console/inventory")
	file := u.download("main a[href^='/console/inventory/csv']")
	if !strings.HasPrefix(file, `"tenantId","clientId"`) && !strings.HasPrefix(file, "tenantId,clientId") {
		u.Errorf("the file begins with %.60q", file)
	}
}

func (u *user) accept() {
	u.open(u.application())
	u.inspected("Findings")
	u.press("details:has(form[action$='/accept']) > summary")
	form := "details[open] form[action$='/accept'] "
	u.enter(form+"input[name=reason]", "as it should be")
	u.enter(form+"input[name=until]", time.Now().AddDate(0, 2, 0).Format("01022006"))
	u.follow(form + "button")
	u.inspected("The finding is accepted.", "as it should be")
}

func (u *user) reject() {
	u.open(u.application())
	u.follow("form[action$='/reject'] button")
	u.inspected("The finding counts again.")
}

func (u *user) adopt() {
	u.open(u.application())
	u.follow("a[href='" + u.application() + "/adopt']")
	u.inspected("Adopt")
	u.enter("#vaultSecretName", "not a name")
	u.send(u.application() + "/adopt")
	if !u.has("[role=alert]") {
		u.Errorf("a name that is none is not refused: %s", u.text("body"))
	}
	u.enter("#vaultSecretName", "intranet-secret")
	u.send(u.application()+"/adopt", "The target is there.")
	u.things.target = u.id()
	u.until("the target is at rest", func() bool { return u.targetNow().Rotation.Settled })
}

func (u *user) targetNow() subject {
	u.Helper()
	var one struct{ Target subject }
	u.call(http.MethodGet, secrets+"/"+u.things.platform.ID+"/targets/"+u.things.target, nil, &one)
	return one.Target
}

func (u *user) rotateTarget() {
	u.open("/console")
	u.follow("nav a[href='/console/targets']")
	u.inspected("intranet-secret")
	at := u.path("targets", u.things.platform.ID, u.things.target)
	u.follow("tbody a[href='" + at + "']")
	u.inspected("Through the connection")
	before := u.targetNow().Rotation.Current.KeyID
	u.follow("form[action='" + at + "/rotate'] button")
	u.inspected("The rotation has begun.")
	u.until("the target has rotated", func() bool { n := u.targetNow().Rotation; return n.Settled && n.Current.KeyID != before })
	u.open(u.path("connections", u.things.platform.ID))
	u.inspected("What is rotated through this connection")
}

func (u *user) targetRefused() {
	u.link(u.things.platform, "add-target", "Add a target")
	u.enter("#clientId", "00000000-0000-4000-8000-000000000000")
	u.send(u.path("connections", u.things.platform.ID, "add-target"))
	if !u.has("[role=alert]") {
		u.Errorf("an application that is not there is not refused: %s", u.text("body"))
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
	u.link(u.things.one, "delete", "Only stop managing it")
	u.enter("#confirm", "another")
	u.follow("button[name=revoke][value=true]")
	u.inspected("Nothing was done.")
}

func (u *user) deleteKeep() {
	u.link(u.things.one, "delete", "Only stop managing it")
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
