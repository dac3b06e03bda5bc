package console

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"rekey/shared/page"
	"rekey/shared/session"
)

// several does one thing to all that were chosen, one after the other, and says what was done and what was
// refused. A rotation of several is shown first: one press in a list is no decision about each of them.
func several(v *visit) error {
	what := v.PostFormValue("what")
	chosen := v.PostForm["chosen"]
	if severalWords[what] == "" {
		return &refusal{status: http.StatusBadRequest, message: "There is no such button."}
	}
	if len(chosen) == 0 {
		return &refusal{status: http.StatusBadRequest, message: "Nothing was chosen, so nothing was done."}
	}
	if len(chosen) > 100 {
		return &refusal{status: http.StatusBadRequest, message: "Choose 100 at most."}
	}
	if what == "rotate" && v.PostFormValue("sure") != "yes" {
		return v.surely(chosen)
	}
	var done []*subject
	var wrong, again []g.Node
	for _, ref := range chosen {
		via, id := cutReference(ref)
		is, err := v.ofSeveral(what, via, id)
		if err == nil {
			done = append(done, is)
			continue
		}
		wrong = append(wrong, h.Li(page.Link(ownAt(via, id), v.nameOf(via, id)), g.Text(": "+v.reasonOf(err))))
		if mayPass(err) {
			again = append(again, hidden("chosen", ref))
		}
	}
	if len(wrong) == 0 {
		names := make([]string, len(done))
		for i, is := range done {
			names[i] = orNone(is.title(), is.ID)
		}
		v.doneSaying(page.Here(session.Back(v.PostFormValue("back"))), "several",
			"Done for all that were chosen ("+wordsOfSeveral(what, done)+"): "+strings.Join(names, ", ")+".")
		return nil
	}
	rest := []g.Node{h.Ul(wrong...)}
	if len(again) > 0 {
		rest = append(rest, v.formOnce(v.once(), to("several"), g.Group(again), hidden("what", what), hidden("sure", "yes"),
			hidden("back", v.PostFormValue("back")),
			h.Div(h.Class("actions"), h.Button(h.Type("submit"), h.Class("plain"), g.Text("Try those again that may pass by themselves")))))
	}
	if len(done) > 0 {
		rest = append(rest, h.P(g.Text("Done for ("+wordsOfSeveral(what, done)+"):")), h.Ul(g.Map(done, func(is *subject) g.Node {
			return h.Li(page.Link(own(is), orNone(is.title(), is.ID)))
		})))
	}
	v.fail(http.StatusConflict, "Not all were done", fmt.Sprintf("Done for %d of %d. These were not done:", len(done), len(chosen)),
		append(rest, h.P(v.onward()))...)
	return nil
}

// ofSeveral does it to one, and returns that as it is then.
func (v *visit) ofSeveral(what, via, id string) (*subject, error) {
	path := at(cmp.Or(via, id), map[bool]string{true: id}[via != ""])
	var now struct{ AppConnection, Target *subject }
	var err error
	if what == "rotate" {
		err = v.api.send(http.MethodPost, path+"/rotate-credentials", object{}, v.once()+"-"+id, &now)
	} else {
		err = v.api.send(http.MethodPatch, path, object{"isAutoRotationEnabled": what == "resume"}, "", &now)
	}
	is := cmp.Or(now.AppConnection, now.Target, &subject{})
	is.ID, is.ConnectionID = id, via
	if err == nil && what == "rotate" && is.failed() { // it was tried within the request
		err = &refusal{status: http.StatusOK, message: sentence("the rotation was tried and has not succeeded. " +
			v.dated(text(is.state().LastRotationMessage, "")))}
	}
	return is, err
}

// severalWords are what the buttons of several do.
var severalWords = map[string]string{"pause": "rotation is off", "resume": "rotation is on", "rotate": "the rotation is under way"}

// wordsOfSeveral is what a button has done by now: a rotation may be over.
func wordsOfSeveral(what string, done []*subject) string {
	over := 0
	for _, is := range done {
		if r := is.state(); r != nil && r.LastRun != nil && r.LastRun.Outcome == "success" && !is.underWay() {
			over++
		}
	}
	switch {
	case what == "rotate" && over == len(done):
		return "the rotation is done"
	case what == "rotate" && over > 0:
		return "the rotation is under way, or done"
	}
	return severalWords[what]
}

// surely lists what is about to be rotated. What has its rotation off has to be ticked once more, and
// what has nothing of its own to rotate can't be.
func (v *visit) surely(chosen []string) error {
	var boxes, without []g.Node
	for _, ref := range chosen {
		via, id := cutReference(ref)
		s, err := v.named(via, id)
		name := page.Link(ownAt(via, id), called(s, err, id))
		if err == nil && s.state() == nil {
			without = append(without, h.Li(name, g.Text(": it signs in only, and has no client secret of its own to rotate. Choose its "+
				"targets in the list of targets.")))
			continue
		}
		off := err == nil && !s.IsAutoRotationEnabled
		boxes = append(boxes, h.Label(h.Class("check"), h.Input(h.Type("checkbox"), h.Name("chosen"), h.Value(ref),
			g.If(!off, h.Checked())),
			name, g.If(off, g.Text(" (rotation is off)"))))
	}
	main := []g.Node{}
	if len(boxes) > 0 {
		main = append(main, h.P(g.Text("Each of these gets a new client secret now, which is published. The one before stays good for the grace "+
			"period, if there is one.")), v.form(to("several"), hidden("what", "rotate"), hidden("sure", "yes"),
			hidden("back", v.PostFormValue("back")), g.Group(boxes),
			h.Div(h.Class("actions"), h.Button(h.Type("submit"), g.Text("Rotate those that are ticked")), patience())))
	}
	if len(without) > 0 {
		main = append(main, h.P(g.Text("Left out:")), h.Ul(without...))
	}
	return v.show(v.document("several", "Rotate several now", append(main, h.P(v.onward()))...))
}

// mayPass reports whether what was refused may be let through later, as it is.
func mayPass(err error) bool {
	refused, ok := errors.AsType[*refusal](err)
	return !ok || refused.status == http.StatusConflict || refused.status == http.StatusTooManyRequests ||
		refused.status >= http.StatusInternalServerError
}

// cutReference is the other way of [reference].
func cutReference(ref string) (via, id string) {
	via, id, _ = strings.Cut(ref, "/")
	return via, id
}

// named reads a connection or a target.
func (v *visit) named(via, id string) (*subject, error) {
	of := visit{api: v.api, params: map[string]string{"id": id}}
	if via != "" {
		of.params = map[string]string{"id": via, "targetId": id}
	}
	return of.load()
}

// nameOf is what a connection or target is called; its id if it can't be read.
func (v *visit) nameOf(via, id string) string {
	s, err := v.named(via, id)
	return called(s, err, id)
}

func called(s *subject, err error, id string) string {
	if err != nil {
		return id
	}
	return orNone(s.title(), id)
}
