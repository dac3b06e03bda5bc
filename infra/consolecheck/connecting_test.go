//go:build consolecheck

package consolecheck

import (
	"strings"

	"github.com/chromedp/chromedp"
)

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
