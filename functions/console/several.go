package console

import (
	"fmt"
	"net/http"
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"rekey/shared/page"
	"rekey/shared/session"
)

// several does one thing to all that were chosen, one after the other, and says what was refused.
func several(v *visit) error {
	what := v.PostFormValue("what")
	chosen := v.PostForm["chosen"]
	if len(chosen) == 0 {
		return &refusal{status: http.StatusBadRequest, message: "Nothing was chosen, so nothing was done."}
	}
	if len(chosen) > 100 {
		return &refusal{status: http.StatusBadRequest, message: "Choose 100 at most."}
	}
	var wrong, again []g.Node
	for _, ref := range chosen {
		via, id, _ := strings.Cut(ref, "/")
		path := at(id, "")
		if via != "" {
			path = at(via, id)
		}
		var err error
		switch what {
		case "pause", "resume":
			err = v.api.send(http.MethodPatch, path, object{"isAutoRotationEnabled": what == "resume"}, "", nil)
		case "rotate":
			err = v.api.send(http.MethodPost, path+"/rotate-credentials", object{}, v.once()+"-"+id, nil)
		default:
			return &refusal{status: http.StatusBadRequest, message: "There is no such button."}
		}
		if err != nil {
			wrong = append(wrong, h.Li(page.Link(ownAt(via, id), v.nameOf(via, id)), g.Text(": "+v.reasonOf(err))))
			again = append(again, hidden("chosen", ref))
		}
	}
	if len(wrong) > 0 {
		v.fail(http.StatusConflict, "Not all were done", fmt.Sprintf("Done for %d of %d. These were refused:", len(chosen)-len(wrong),
			len(chosen)),
			h.Ul(wrong...), v.formOnce(v.once(), to("several"), g.Group(again), hidden("what", what), hidden("back", v.PostFormValue("back")),
				h.Div(h.Class("actions"), h.Button(h.Type("submit"), h.Class("plain"), g.Text("Try those again")))), h.P(v.onward()))
		return nil
	}
	v.done(page.Here(session.Back(v.PostFormValue("back"))), "several")
	return nil
}

// nameOf is what a connection or target is called; its id if it can't be read.
func (v *visit) nameOf(via, id string) string {
	of := visit{api: v.api, params: map[string]string{"id": id}}
	if via != "" {
		of.params = map[string]string{"id": via, "targetId": id}
	}
	s, err := of.load()
	if err != nil {
		return id
	}
	return orNone(s.title(), id)
}
