package console

import (
	"net/http"
	"slices"
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"rekey/shared/page"
	"rekey/shared/session"
)

// Each button is a POST that leads on by GET; the form's key makes the API recognise one that is
// sent twice.

// own is the page of what the path names.
func (v *visit) own() page.Address { return ownAt(v.connection(), v.id()) }

// connection and id are what the path names: a target has both.
func (v *visit) connection() string {
	if v.params["targetId"] != "" {
		return v.params["id"]
	}
	return ""
}

func (v *visit) id() string {
	if t := v.params["targetId"]; t != "" {
		return t
	}
	return v.params["id"]
}

// name is what it is called; its id where it is gone.
func (v *visit) name() string { return v.nameOf(v.connection(), v.id()) }

// at is the API's address of what the path names.
func (v *visit) at(below ...string) string { return at(v.params["id"], v.params["targetId"], below...) }

func (v *visit) once() string { return v.PostFormValue(onceField) }

type object = map[string]any

func rotate(v *visit) error {
	before, err := v.load()
	if err != nil {
		return err
	}
	if before.rotating() {
		return v.rotate(before, object{}, "already", "rotated")
	}
	return v.rotate(before, object{}, "rotation", "rotated")
}

// rotate asks for a rotation, and says what came of it as far as the answer knows: it may have been
// tried and have failed by now, or be over.
func (v *visit) rotate(before *subject, how object, done, over string) error {
	var now struct{ AppConnection, Target *subject }
	if err := v.api.send(http.MethodPost, v.at("rotate-credentials"), how, v.once(), &now); err != nil {
		return err
	}
	for _, s := range []*subject{now.AppConnection, now.Target} {
		switch {
		case s == nil:
		case s.failed():
			done = "tried"
		case s.rotatedSince(before):
			done = over
		}
	}
	v.done(v.own(), done)
	return nil
}

// failed reports whether the last try to rotate did not succeed, and none is under way.
func (s *subject) failed() bool {
	r := s.state()
	return r != nil && r.RotationStatus == "failed" && (r.State == "" || r.State == "idle")
}

// abandoned reports whether a person has ended the last rotation before it was done.
func (s *subject) abandoned() bool {
	r := s.state()
	return r != nil && r.LastRun != nil && r.LastRun.Outcome == "abandoned"
}

// rotating reports whether a rotation is under way.
func (s *subject) rotating() bool {
	r := s.state()
	return r != nil && slices.Contains([]string{"issuing", "verifying", "publishing"}, r.State)
}

// rotatedSince reports whether a rotation has come to its good end since before.
func (s *subject) rotatedSince(before *subject) bool {
	r, was := s.state(), before.state()
	if r == nil || r.LastRun == nil || r.LastRun.Outcome != "success" || s.underWay() {
		return false
	}
	return was == nil || was.LastRun == nil || was.LastRun.ID != r.LastRun.ID || was.LastRun.Outcome == "running"
}

// cameTo is what a rotation that was begun has come to by now, where it has ended.
func (s *subject) cameTo(done string) string {
	over, ok := map[string]string{"rotation": "rotated", "already": "rotated", "emergency": "ended", "renewing": "renewed",
		"taking": "saved", "target": "first"}[done]
	r := s.state()
	switch {
	case done == "taking" && s.rotating():
		return "renewing"
	case done == "target" && s.failed():
		return "unissued"
	case done == "target" && !s.IsAutoRotationEnabled && !s.underWay() && (r == nil || r.Current == nil):
		return "resting"
	case !ok || r == nil || s.underWay():
		return ""
	case s.failed():
		return "tried"
	case r.LastRun != nil && r.LastRun.Outcome == "success":
		return over
	}
	return ""
}

// underWay reports whether a rotation, or anything else, is under way.
func (s *subject) underWay() bool {
	r := s.state()
	return r != nil && r.State != "" && r.State != "idle"
}

func pause(v *visit) error {
	if err := v.api.send(http.MethodPatch, v.at(), object{"isAutoRotationEnabled": false}, "", nil); err != nil {
		return err
	}
	v.done(v.own(), "paused")
	return nil
}

func resume(v *visit) error {
	if err := v.api.send(http.MethodPatch, v.at(), object{"isAutoRotationEnabled": true}, "", nil); err != nil {
		return err
	}
	v.done(v.own(), "resumed")
	return nil
}

// abandonForm says what abandoning does before it is done.
func abandonForm(v *visit) error {
	s, err := v.load()
	if err != nil {
		return err
	}
	r, back := s.state(), page.Link(own(s), "Back")
	says := []string{"The run under way ends. What it has issued is removed from Entra; what is published stays as it is."}
	button := "Abandon the run"
	switch {
	case r != nil && s.failed():
		button = "Stop trying"
		says = []string{"The request that was refused is not tried again. Nothing is removed; what is published stays as it is."}
	case r == nil || !s.rotating():
		return v.show(v.document("abandon", "Abandon a run of "+s.title(), h.P(g.Text("No rotation is under way.")), h.P(back)))
	}
	switch {
	case s.IsAutoRotationEnabled && s.failed():
		says = append(says, "Rotation stays on: the schedule goes on as before.")
	case s.IsAutoRotationEnabled:
		says = append(says, "Rotation stays on: what is due is begun again, after an hour at the earliest. “Pause” keeps it from that.")
	}
	return v.show(v.document("abandon", button+": "+s.title(), h.Ul(g.Map(says, listed)),
		v.form(own(s, "abandon"), h.Div(h.Class("actions"), h.Button(h.Type("submit"), h.Class("danger"), g.Text(button)), back))))
}

func abandon(v *visit) error {
	before, _ := v.load()
	err := v.api.send(http.MethodPost, v.at("rotations", "abandon"), nil, "", nil)
	if r := refusedBy(err); r != nil && r.status == http.StatusConflict {
		if s, failed := v.load(); failed == nil && !s.underWay() { // it was pressed twice, or too late
			v.done(v.own(), "idle")
			return nil
		}
	}
	if err != nil {
		return err
	}
	if before != nil && before.failed() {
		v.done(v.own(), "stopped")
		return nil
	}
	v.done(v.own(), "abandoned")
	return nil
}

// plan shows a dry run in words.
func dryRun(v *visit) error {
	s, err := v.load()
	if err != nil {
		return err
	}
	var answer struct{ Plan plan }
	if err := v.api.send(http.MethodPost, v.at("rotate-credentials"), object{"dryRun": true}, "", &answer); err != nil {
		return err
	}
	rows := make([][]g.Node, len(answer.Plan.Steps))
	for i, s := range answer.Plan.Steps {
		key := "-"
		if s.KeyID != nil {
			key = *s.KeyID
		}
		rows[i] = []g.Node{v.when(s.At), g.Text(s.What), g.Text(key), g.Text(orNone(strings.Join(s.Calls, ", "), "-"))}
	}
	main := []g.Node{h.P(g.Text("Nothing was done. This is what a rotation would do from now on, with the earliest time of each step."))}
	if answer.Plan.Running {
		main = append(main, page.Notice(page.Warn, h.P(g.Text("A run is under way: it would be the answer to a request now."))))
	}
	if r := s.state(); s.failed() && !s.abandoned() && r.LastRotationMessage != nil {
		main = append(main, page.Notice(page.Bad, h.P(g.Text("The last rotation has failed. Until that is put right the next one fails as "+
			"well, and these steps do not come to pass. "), advice(sentence(v.dated(*r.LastRotationMessage))))))
	}
	main = append(main, page.Table("steps", "Steps", []page.Column{{Name: "At the earliest", Wide: true}, {Name: "What", Wide: true},
		{Name: "Key id"}, {Name: "Calls"}}, rows),
		h.P(page.Link(v.own(), "Back")))
	return v.show(v.document("plan", "What a rotation of "+s.title()+" would do", main...))
}

func mistaken(message string) g.Node {
	return h.P(h.ID("message"), h.Class("field-error"), h.Role("alert"), g.Text(message))
}

// zone keeps the zone that the reader chose.
func zone(v *visit) error {
	name := strings.TrimSpace(v.PostFormValue("zone"))
	if _, err := loadZone(name); err != nil {
		return &refusal{status: http.StatusBadRequest,
			message: "That is no time zone. Give a name of the IANA database, such as Europe/Berlin or UTC."}
	}
	http.SetCookie(v.w, &http.Cookie{Name: zoneCookie, Value: name, Path: Base, MaxAge: 400 * 24 * 3600, HttpOnly: true,
		Secure: !v.console.PlainHTTP, SameSite: http.SameSiteLaxMode})
	v.redirect(page.Here(session.Back(v.PostFormValue("back"))))
	return nil
}

func signOut(v *visit) error {
	leaving := v.console.Sessions.SignOut(v.w, v.Request, v.Visit)
	v.redirect(page.Here(leaving.Location))
	return nil
}
