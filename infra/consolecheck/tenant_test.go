//go:build consolecheck

package consolecheck

import (
	"net/http"
	"strings"
	"time"
)

func (u *user) scanTenant() {
	u.things.platform = u.platform()
	u.open("/console/inventory")
	u.inspected("No tenant was scanned yet.")
	u.enter("select[name=connectionId]", u.things.platform.Name)
	u.send("/console/inventory/scans", "The scan ")
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
	u.press("details:not(details details):has(> form[action$='/accept']) > summary") // none that is folded among others
	form := "details[open] > form[action$='/accept'] "
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
	u.send(u.application()+"/adopt", "The target is there")
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
	u.inspected("The rotation ")
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
