package console

import (
	"math"
	"net/http"
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
	return mistaken(f.refused.message)
}

// show answers with the form, and with the status of what was refused.
func (f *sheet) show(d page.Document) error {
	if f.refused == nil {
		return f.visit.show(d)
	}
	return f.showRefused(f.refused, d)
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

func (f *sheet) field(name, label, hint string, attrs ...g.Node) g.Node {
	return g.Group{
		h.Label(h.For(name), g.Text(label), g.If(hint != "", h.Span(h.Class("hint"), h.ID(name+"-hint"), g.Text(hint)))),
		h.Input(h.ID(name), h.Name(name), h.Value(f.entered(name)), h.AutoComplete("off"),
			g.If(hint != "", h.Aria("describedby", name+"-hint")), g.Group(attrs)),
	}
}

// secretField is one whose value is not shown again.
func secretField(name, label, hint string, attrs ...g.Node) g.Node {
	return g.Group{
		h.Label(h.For(name), g.Text(label), g.If(hint != "", h.Span(h.Class("hint"), g.Text(hint)))),
		h.Input(h.ID(name), h.Name(name), h.Type("password"), h.AutoComplete("new-password"), g.Group(attrs)),
	}
}

// schedule are the fields of a schedule.
func (f *sheet) schedule() g.Node {
	on, may, label := f.entered("rotate") == "on", f.rotates || f.caller.Role.Allows(auth.Rotate), "Rotate on a schedule"
	if !may {
		label += " (needs the role rotate)"
	}
	return h.FieldSet(h.Legend(g.Text("Rotation")),
		h.Label(h.Class("check"), h.Input(h.Type("checkbox"), h.Name("rotate"), h.Value("on"), g.If(on && may, h.Checked()),
			g.If(!may, h.Disabled())), g.Text(label)),
		f.field("interval", "Every so many days", "", h.Type("number"), h.Min("1"), h.Max("365")),
		f.field("time", "At this time of day", "hh:mm, in the zone below", h.Type("time")),
		f.field("timeZone", "In this time zone", "An IANA name, such as Europe/Berlin", g.Attr("list", "zones")),
		f.field("grace", "Grace period in hours", "How long the old client secret still works after the new one is published. Empty: 48.",
			h.Type("number"), h.Min("0"), h.Step("any")))
}

// rotationOf is the schedule of a form for the API; nil if nothing was entered.
func rotationOf(v *visit) (object, error) {
	out := object{}
	interval, clock := strings.TrimSpace(v.PostFormValue("interval")), strings.TrimSpace(v.PostFormValue("time"))
	if interval != "" {
		n, err := strconv.Atoi(interval)
		if err != nil {
			return nil, &refusal{status: http.StatusBadRequest, message: "The days between rotations must be a whole number."}
		}
		out["rotationInterval"] = n
	}
	if clock != "" {
		t, err := time.Parse("15:04", clock)
		if err != nil {
			return nil, &refusal{status: http.StatusBadRequest, message: "The time of day must be hh:mm."}
		}
		out["rotateAt"] = timeOfDay{t.Hour(), t.Minute()}
		if zone := strings.TrimSpace(v.PostFormValue("timeZone")); zone != "" { // else it stays as it is
			out["timeZone"] = zone
		}
	}
	if text := strings.TrimSpace(v.PostFormValue("grace")); text != "" {
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
			return nil, &refusal{status: http.StatusBadRequest, message: "The grace period must be a number of hours."}
		}
		out["gracePeriodHours"] = n
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

func area(name, label, hint string) g.Node {
	return g.Group{h.Label(h.For(name), g.Text(label), h.Span(h.Class("hint"), g.Text(hint))),
		h.Textarea(h.ID(name), h.Name(name), h.AutoComplete("off"), g.Attr("spellcheck", "false"))}
}
