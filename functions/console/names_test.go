package console_test

import (
	"fmt"
	"strings"
	"testing"

	"rekey/shared/auth"
)

// An application is called by its name where it is known, which is a stranger's, with its client id; a person who has
// signed in by theirs; and the connection of a target by its own.
func TestNamesAreShown(t *testing.T) {
	w := newWorld(t, auth.Write)
	w.everything("billing")
	is := connectionOf("operator", "oauth")
	is["applicationName"], is["authentication"] = "<b>Pay</b>roll", object{"account": "object-of-ada", "accountName": "Ada <i>"}
	w.answer("GET", secrets, 200, object{"appConnections": []object{is}})
	w.answer("GET", secrets+"/"+id, 200, object{"appConnection": is})
	w.answer("GET", rotations, 200, object{"secretRotations": []object{{"id": targetID, "connectionId": id, "vaultSecretName": "x",
		"parameters": object{"clientId": clientID}, "applicationName": "Wages", "expiresAt": now.AddDate(0, 2, 0)},
		{"id": "unnamed", "connectionId": id, "vaultSecretName": "y", "parameters": object{"clientId": clientID}, "applicationName": " "}}})
	const named = `&lt;b&gt;Pay&lt;/b&gt;roll<span class="hint"><code>` + clientID
	w.shows(w.get("/console/connections"), named)
	w.shows(w.get("/console/connections/"+id), named, "<dd>Ada &lt;i&gt; (object id object-of-ada)</dd>")
	w.answer("GET", secrets, 200, object{"appConnections": []object{}}) // it is not among the first
	before := len(w.asked)
	p := w.get("/console/targets")
	w.shows(p, `Wages<span class="hint"><code>`+clientID, `data-label="Application"><code>`+clientID,
		`data-label="Connection"><a href="/console/connections/`+id+`">operator</a>`, "1 Feb 2027 12:00 UTC")
	if n := len(w.asked) - before; n != 2 {
		t.Errorf("a list costs %d calls", n)
	}
	// Of many connections one list has the names.
	w.answer("GET", secrets, 200, object{"appConnections": []object{is}})
	var many []object
	for i := range 100 {
		many = append(many, object{"id": fmt.Sprint("t", i), "connectionId": fmt.Sprint("of-", i)})
	}
	w.answer("GET", rotations, 200, object{"secretRotations": append(many, object{"id": "t", "connectionId": id})})
	before = len(w.asked)
	w.shows(w.get("/console/targets"), `/`+id+`">operator</a>`, `/of-99">of-99</a>`)
	if n := len(w.asked) - before; n != 2 {
		t.Errorf("a list of targets of many connections costs %d calls", n)
	}
	is["attention"] = []string{"sign-in"}
	w.answer("GET", secrets+"/upcoming", 200, object{"upcoming": []object{{"at": now, "connectionId": id, "name": "x",
		"applicationName": "Soon"}}})
	w.shows(w.get("/console"), `operator</a><span class="hint">Application &lt;b&gt;Pay`, `x</a><span class="hint">Application Soon`)
	w.shows(w.get("/console/targets/"+id+"/"+targetID), `<dt>Through the connection</dt><dd><a href="/console/connections/`+id+
		`">operator</a>`)
}

// All of a page are chosen by a link where there is no script. What leads on from there chooses nothing.
func TestChooseAll(t *testing.T) {
	w := newWorld(t, auth.Write)
	w.everything("billing")
	for path, all := range map[string]string{"/console/connections?text=x": "/console/connections?choose=all&amp;text=x",
		"/console/targets": "/console/targets?choose=all", "/console/connections/" + id: "/console/connections/" + id + "?choose=all"} {
		p := w.get(path)
		w.shows(p, `<a href="`+all+`" data-chooses="Choose none">Choose all of this page</a>`)
		if strings.Contains(p.text, "checked") {
			t.Errorf("%s: something is chosen", path)
		}
		p = w.get(strings.ReplaceAll(all, "&amp;", "&"))
		w.shows(p, `data-chooses="Choose all of this page">Choose none</a>`, `name="back" value="`+path+`"`)
		if strings.Count(p.text, `name="chosen"`) != strings.Count(p.text, " checked") || strings.Count(p.text, "choose=all") != 0 {
			t.Errorf("%s: %s", all, p.text)
		}
	}
}
