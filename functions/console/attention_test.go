package console_test

import (
	"strings"
	"testing"

	"rekey/shared/attention"
	"rekey/shared/auth"
)

// Each reason to look at something is told in a sentence, with what to do and the button for it. The
// API's word for it is for programs.
func TestAttention(t *testing.T) {
	at := "/console/connections/" + id
	rotate, edit, again := `action="`+at+`/rotate"`, `href="`+at+`/edit"`, `action="`+at+`/reconnect"`
	for _, c := range []struct {
		word, method, says, button string
	}{
		{attention.Expiring, "client-secret", "It ends soon", rotate},
		{attention.Expiring, "certificate", "It ends soon", edit},
		{attention.Expired, "client-secret", "It has ended", edit},
		{attention.Lost, "client-secret", "does not work any more", edit},
		{attention.Failing, "client-secret", "has not succeeded", rotate},
		{attention.SignInLost, "certificate", "sign in to Entra, so that", edit},
		{attention.SignInLost, "oauth", "sign in to Entra, so that", again},
		{attention.RemoveByHand, "client-secret", "only a person can remove", `href="` + at + `"`},
		{attention.NotRemoved, "client-secret", "could not remove", `href="` + at + `"`},
		{attention.NotDisabled, "client-secret", "in Key Vault", `href="` + at + `"`},
		{attention.Overdue, "client-secret", "the timer", rotate},
	} {
		w := newWorld(t, auth.Admin)
		w.everything("billing")
		is := connectionOf("billing", c.method)
		is["attention"] = []string{c.word}
		w.answer("GET", secrets, 200, object{"appConnections": []object{is}})
		w.answer("GET", secrets+"/"+id, 200, object{"appConnection": is})
		w.answer("GET", rotations, 200, object{"secretRotations": []object{}})
		for _, path := range []string{"/console", at} {
			p := w.get(path)
			w.shows(p, c.says)
			_, notice, _ := strings.Cut(p.text, c.says)
			notice, _, _ = strings.Cut(notice, "<h2>")
			if path == at && strings.HasPrefix(c.button, `href="`+at+`"`) {
				continue // it is this page
			}
			if path == "/console" && !strings.Contains(p.text, c.button) || path == at && !strings.Contains(notice, c.button) {
				t.Errorf("%s of %s on %s has no %s: %s", c.word, c.method, path, c.button, notice)
			}
			if strings.Contains(p.text, "<p>"+c.word+"</p>") {
				t.Errorf("%s: the API's word is shown", c.word)
			}
		}
	}
}

// connectionOf is a connection of a method; only one by client secret rotates itself.
func connectionOf(name, method string) object {
	is := connection(name)
	if is["method"] = method; method != "client-secret" {
		delete(is, "rotation")
		is["isAutoRotationEnabled"] = false
		is["authentication"] = object{"expiresAt": now.AddDate(0, 0, 5)}
	}
	return is
}

// A deletion that does not come to its end leads to its audit: its page is gone. That is so for the last connection, too.
func TestADeletionThatLastsIsShown(t *testing.T) {
	for role, link := range map[auth.Role]string{auth.Admin: `href="/console/connections/` + id + `/audit"`, auth.Write: ""} {
		w := newWorld(t, role)
		w.everything("billing")
		stuck := object{"id": id, "name": "billing", "attention": []string{"deletion"}, "rotationState": object{"state": "deleting",
			"rotationStatus": "failed", "lastRotationMessage": "Grant it."}}
		w.answer("GET", rotations, 200, object{"secretRotations": []object{}})
		w.answer("GET", secrets, 200, object{"appConnections": []object{}})
		w.answer("GET", secrets+"?attention", 200, object{"appConnections": []object{stuck}})
		for path, says := range map[string]string{"/console": "Grant it.", "/console/connections?attention=true": "deletion not finished"} {
			p := w.get(path)
			w.shows(p, "billing", says, link)
			for _, not := range []string{`href="/console/connections/` + id + `"`, `name="chosen"`, "Nothing that Rekey manages needs"} {
				if strings.Contains(p.text, not) {
					t.Errorf("%s has %s: %s", path, not, p.text)
				}
			}
		}
		w.shows(w.get("/console"), "goes on by itself", "Nothing is connected yet.")
	}
}
