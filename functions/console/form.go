package console

import (
	"errors"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"rekey/shared/auth"
	"rekey/shared/page"
)

// sheet is a form with what was entered and what is wrong with it. Secrets are never shown again.
type sheet struct {
	*visit
	refused *refusal
	from    func(name string) string // what to begin with
	rotates bool                     // rotation is on, so that the role write may turn it off
}

// mistaken says what is wrong.
func (f *sheet) mistaken() g.Node {
	if f.refused == nil {
		return nil
	}
	return mistaken(f.dated(f.refused.message))
}

// show answers with the form, and with the status of what was refused.
func (f *sheet) show(d page.Document) error {
	if f.refused == nil {
		return f.visit.show(d)
	}
	return f.showRefused(f.refused, d)
}

// refusedBy is why a form is shown again; nil: err is nothing that another input would mend.
func refusedBy(err error) *refusal {
	if r, ok := errors.AsType[*refusal](err); ok && r.status < http.StatusInternalServerError {
		return r
	}
	return nil
}

// entered is what stands in a field.
func (f *sheet) entered(name string) string {
	if f.Method == http.MethodPost {
		return f.PostFormValue(name)
	}
	if f.from != nil {
		return f.from(name)
	}
	return ""
}

// about are the attributes of an input by which it is told what is said about it: its hint, and that it is
// what a refusal is about.
func (f *sheet) about(name, hint string) g.Node {
	var by []string
	if hint != "" {
		by = append(by, name+"-hint")
	}
	bad := f.refused != nil && slices.Contains(f.refused.about, name)
	if bad {
		by = append(by, "message")
	}
	return g.Group{g.If(len(by) > 0, h.Aria("describedby", strings.Join(by, " "))), g.If(bad, h.Aria("invalid", "true"))}
}

// label is the label of a field, with a hint.
func label(name, hint string) g.Node {
	return h.Label(h.For(name), g.Text(labelOf(name)), g.If(hint != "", h.Span(h.Class("hint"), h.ID(name+"-hint"), g.Text(hint))))
}

func (f *sheet) field(name, hint string, attrs ...g.Node) g.Node {
	return g.Group{label(name, hint),
		h.Input(h.ID(name), h.Name(name), h.Value(f.entered(name)), h.AutoComplete("off"), f.about(name, hint), g.Group(attrs))}
}

// secretField is one whose value is not shown again.
func (f *sheet) secretField(name, hint string, attrs ...g.Node) g.Node {
	return g.Group{label(name, hint),
		h.Input(h.ID(name), h.Name(name), h.Type("password"), h.AutoComplete("new-password"), f.about(name, hint), g.Group(attrs))}
}

// box is a checkbox.
func (f *sheet) box(name, hint string, attrs ...g.Node) g.Node {
	return g.Group{h.Label(h.Class("check"),
		h.Input(h.Type("checkbox"), h.Name(name), h.ID(name), h.Value("on"), f.about(name, hint), g.Group(attrs)), g.Text(labelOf(name))),
		g.If(hint != "", h.Span(h.Class("hint"), h.ID(name+"-hint"), g.Text(hint)))}
}

// schedule are the fields of a schedule. graceless is what an empty grace period means.
func (f *sheet) schedule(graceless string, more ...g.Node) g.Node {
	on, may, needs := f.entered("rotate") == "on", f.rotates || f.caller.Role.Allows(auth.Rotate), ""
	if !may {
		needs = "Needs the role rotate."
	}
	return h.FieldSet(h.Legend(g.Text("Rotation")),
		f.box("rotate", needs, g.If(on && may, h.Checked()), g.If(!may, h.Disabled())),
		f.field("interval", "", h.Type("number"), h.Min("1"), h.Max("365")),
		f.field("time", "hh:mm, in the zone below", h.Type("time")),
		f.field("timeZone", "An IANA name, such as Europe/Berlin", g.Attr("list", "zones")),
		f.field("grace", "How long the old client secret still works after a new one is published. "+graceless,
			h.Type("number"), h.Min("0"), h.Max("720"), h.Step("any")),
		g.Group(more))
}

// What an empty grace period means in a new schedule, and in one that there is.
const (
	graceOfNew = "Empty: 48 hours."
	graceAsIs  = "Empty: as it is."
)

// rotationOf is the schedule of a form for the API; nil if nothing was entered.
func rotationOf(v *visit) (object, error) {
	out := object{}
	interval, clock := strings.TrimSpace(v.PostFormValue("interval")), strings.TrimSpace(v.PostFormValue("time"))
	if interval != "" {
		n, err := strconv.Atoi(interval)
		if err != nil {
			return nil, wrong("interval", "must be a whole number of days.")
		}
		out["rotationInterval"] = n
	}
	if clock != "" {
		t, err := time.Parse("15:04", clock)
		if err != nil {
			return nil, wrong("time", "must be hh:mm.")
		}
		out["rotateAt"] = timeOfDay{t.Hour(), t.Minute()}
		if zone := strings.TrimSpace(v.PostFormValue("timeZone")); zone != "" { // else it stays as it is
			out["timeZone"] = zone
		}
	}
	for name, member := range map[string]string{"grace": "gracePeriodHours", "originalGrace": "originalGracePeriodHours"} {
		text := strings.TrimSpace(v.PostFormValue(name))
		if text == "" {
			continue
		}
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
			return nil, wrong(name, "must be a number of hours.")
		}
		out[member] = n
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, nil
}

// put sets members of a body to what was entered, where something was.
func put(v *visit, body object, names map[string]string) {
	for member, field := range names {
		if text := strings.TrimSpace(v.PostFormValue(field)); text != "" {
			body[member] = text
		}
	}
}
