package console_test

import (
	"maps"
	"strings"
	"testing"

	"rekey/shared/attention"
	"rekey/shared/auth"
	"rekey/shared/serviceerror"
)

// Each reason to look at something is told in a sentence, with what to do and the button for it. The
// API's word for it is for programs.
func TestAttention(t *testing.T) {
	at := "/console/connections/" + id
	rotate, edit, again := `action="`+at+`/rotate"`, `href="`+at+`/edit"`, `action="`+at+`/reconnect"`
	for _, c := range []struct {
		word, method, says, button string
	}{
		{attention.Expiring, "client-secret", "What is published ends soon", rotate},
		{attention.Expiring, "certificate", "What it signs in with ends soon", edit},
		{attention.Expired, "client-secret", "What is published has ended", edit},
		{attention.Expired, "certificate", "What it signs in with has ended", edit},
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

// What Key Vault stands in the way of is told first and as that, on the page and in the overview, and no credentials
// are asked for; nor are they where others would be refused, too. Commands have the values of this connection.
func TestCauseDecidesWhatHelps(t *testing.T) {
	const edit, test = "Give new credentials", "Test what is missing"
	disabled := (&serviceerror.Error{Class: serviceerror.VaultDisabled, Place: serviceerror.Place{Vault: "v", Name: "n"}}).Advice()
	none := (&serviceerror.Error{Class: serviceerror.ApplicationMissing, Code: "AADSTS7000229"}).Advice()
	for _, c := range []struct {
		method string
		words  []string
		class  serviceerror.Class
		why    string
		says   string
		helps  string // the button
		copies string
	}{
		{"client-secret", []string{attention.Expired, attention.Failing}, serviceerror.VaultDisabled, disabled, "Key Vault stands in the way",
			test, "az keyvault secret set-attributes --vault-name v --name n --enabled true"},
		{"client-secret", []string{attention.Failing}, serviceerror.CredentialRefused, serviceerror.CredentialRefused.Advice(),
			"Entra refuses what is published", edit, "az ad app credential reset --id " + clientID + " --append --query password -o tsv"},
		{"certificate", []string{attention.Expiring, attention.SignInLost}, serviceerror.VaultRefused, "Give the role.",
			"Key Vault does not give what it signs in with", test, ""},
		{"oauth", []string{attention.SignInLost}, serviceerror.VaultMissing, "It is gone.", "Key Vault does not give", test, ""},
		{"oauth", []string{attention.SignInLost}, serviceerror.CredentialInvalid, "MFA.", "sign in to Entra", "Sign in again", ""},
		{"certificate", []string{attention.SignInLost}, serviceerror.CredentialInvalid, none, "sign in to Entra", test,
			"az ad sp create --id " + clientID},
		{"certificate", []string{attention.SignInLost}, serviceerror.CertificateRefused, "Upload it.", "sign in to Entra", edit, ""},
	} {
		w := newWorld(t, auth.Admin)
		w.everything("billing")
		is := connectionOf("billing", c.method)
		is["attention"] = c.words
		if r, ok := is["rotation"].(object); ok {
			maps.Copy(r, object{"rotationStatus": "failed", "lastRotationMessage": c.why, "lastRotationClass": c.class})
		} else {
			is["authentication"] = object{"problem": object{"class": c.class, "message": c.why}}
		}
		w.answer("GET", secrets, 200, object{"appConnections": []object{is}})
		w.answer("GET", secrets+"/"+id, 200, object{"appConnection": is})
		w.answer("GET", rotations, 200, object{"secretRotations": []object{}})
		for _, path := range []string{"/console", "/console/connections/" + id} {
			_, told, _ := strings.Cut(w.get(path).text, `<div class="notice bad">`)
			told, _, _ = strings.Cut(told, `<h2>`)
			told, _, _ = strings.Cut(told, `aria-label="Actions"`)
			first, _, _ := strings.Cut(told, "Why: ")
			if path == "/console" { // the name
				_, first, _ = strings.Cut(first, "</p>")
			}
			if !strings.HasPrefix(first, "<p>") || !strings.Contains(first, c.says) || strings.Contains(first, "end") {
				t.Errorf("%s of %s: %s begins with %s", c.class, c.method, path, first)
			}
			for _, button := range []string{edit, test, "Sign in again"} {
				if strings.Contains(told, ">"+button+"<") != (button == c.helps) {
					t.Errorf("%s of %s: %s, “%s”: %s", c.class, c.method, path, button, told)
				}
			}
			if strings.Contains(told, "on purpose") || c.copies != "" && !strings.Contains(told, `data-copy="`+c.copies+`"`) {
				t.Errorf("%s of %s: %s: %s", c.class, c.method, path, told)
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
