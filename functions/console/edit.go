package console

import (
	"cmp"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"rekey/shared/page"
)

// editForm changes what may be changed, with new credentials if some are entered.
func editForm(v *visit) error {
	s, err := v.load()
	if err != nil {
		return err
	}
	return v.editing(s, &sheet{visit: v, from: s.fields, rotates: s.IsAutoRotationEnabled})
}

// fields are what stands in the form of a connection at first.
func (s *subject) fields(name string) string {
	out := map[string]string{"name": s.Name, "version": strconv.FormatInt(s.Version, 10)}
	if s.Description != nil {
		out["description"] = *s.Description
	}
	if s.IsAutoRotationEnabled {
		out["rotate"] = "on"
	}
	if r := s.state(); r != nil {
		out["grace"] = strconv.FormatFloat(r.GracePeriodHours, 'f', -1, 64)
		if r.RotationInterval > 0 {
			at := time.Date(1, 1, 1, r.RotateAt.Hours, r.RotateAt.Minutes, 0, 0, time.UTC)
			maps.Copy(out, map[string]string{"interval": strconv.Itoa(r.RotationInterval), "time": at.Format("15:04"), "timeZone": r.TimeZone})
		}
	}
	return out[name]
}

func (v *visit) editing(s *subject, f *sheet) error {
	version, now := f.entered("version"), strconv.FormatInt(s.Version, 10)
	var overtaken g.Node
	if f.refused != nil && f.refused.status == http.StatusConflict && version != now {
		// What the other caller has changed is one page away; what was entered can be saved over it.
		version, overtaken = now, h.P(page.Link(own(s), "As it is now"))
	}
	fields := []g.Node{h.Input(h.Type("hidden"), h.Name("version"), h.Value(version)),
		f.field("name", "Lower-case letters, digits, hyphens", h.Required(), h.MaxLength("64"))}
	fields = append(fields, f.field("description", ""))
	if s.state() != nil {
		fields = append(fields, f.schedule(graceAsIs))
	}
	switch s.Method {
	case "client-secret":
		fields = append(fields, h.FieldSet(h.Legend(g.Text("New credentials")),
			h.P(h.Class("note"), g.Text("Leave empty to keep those that it has.")),
			f.secretField("clientSecret", "The value of another one of the same application"),
			f.field("clientSecretKeyId", "The column Secret ID. Empty: Rekey finds it by its first characters.")))
	case "certificate":
		fields = append(fields, h.FieldSet(h.Legend(g.Text("New credentials")),
			h.P(h.Class("note"), g.Text("Leave empty to keep those that it has.")),
			f.certificateFields()))
	}
	d := v.document("edit", "Edit "+s.title(), f.mistaken(), overtaken, v.form(own(s, "edit"), upload, g.Group(fields),
		h.Div(h.Class("actions"), h.Button(h.Type("submit"), g.Text("Save")), page.Link(own(s), "Back"), patience())))
	return f.show(d)
}

// isAs reports whether the form says of all that it shows what is so already.
func (s *subject) isAs(v *visit) bool {
	for _, name := range []string{"name", "description", "rotate", "interval", "time", "timeZone", "grace"} {
		empties := name == "description" || name == "rotate" // else an empty field leaves it as it is
		if entered := strings.TrimSpace(v.PostFormValue(name)); entered != s.fields(name) && (entered != "" || empties) {
			return false
		}
	}
	return true
}

func edit(v *visit) error {
	s, err := v.load()
	if err != nil {
		return err
	}
	body := object{"description": strings.TrimSpace(v.PostFormValue("description"))}
	put(v, body, map[string]string{"name": "name"})
	if n, err := strconv.ParseInt(v.PostFormValue("version"), 10, 64); err == nil {
		body["version"] = n
	}
	if s.state() != nil {
		// Only a difference is sent: a box that the role may not tick is disabled, and so never sent.
		if on := v.PostFormValue("rotate") == "on"; on != s.IsAutoRotationEnabled {
			body["isAutoRotationEnabled"] = on
		}
		r, wrong := rotationOf(v)
		if err = wrong; r != nil {
			body["rotation"] = r
		}
	}
	c, failed := credentialsOf(v)
	if failed != nil {
		return failed
	}
	if len(c) > 0 {
		c["tenantId"], c["clientId"] = s.Credentials.TenantID, s.Credentials.ClientID
		body["credentials"] = c
	}
	before := s
	var answer struct{ AppConnection, Target *subject }
	if err == nil {
		err = v.api.send(http.MethodPatch, v.at(), body, "", &answer)
	}
	if r := refusedBy(err); r != nil && r.status == http.StatusConflict {
		if now, failed := v.load(); failed == nil {
			if s = now; s.isAs(v) && body["version"] != s.Version { // it was pressed twice
				body["version"] = s.Version
				err = v.api.send(http.MethodPatch, v.at(), body, "", &answer)
			}
		}
	}
	if refused := refusedBy(err); refused != nil {
		return v.editing(s, &sheet{visit: v, refused: refused, rotates: s.IsAutoRotationEnabled})
	}
	if err != nil {
		return err
	}
	done := "saved"
	if is := cmp.Or(answer.AppConnection, answer.Target); len(c) > 0 && is != nil {
		done = is.renewing(before)
	}
	v.done(v.own(), done)
	return nil
}

// renewing is what has become of new credentials by now. Those that it had already begin nothing.
func (s *subject) renewing(before *subject) string {
	switch r := s.state(); {
	case r == nil || s.failed():
	case s.rotatedSince(before):
		return "renewed"
	case s.rotating() && !before.rotating():
		return "renewing"
	case r.State == "rebinding":
		return "taking"
	}
	return "saved"
}
