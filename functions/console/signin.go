package console

import (
	"net/http"
	"slices"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"rekey/shared/auth"
	"rekey/shared/page"
	"rekey/shared/secret"
	"rekey/shared/session"
)

// signIn offers the ways of signing in that are configured, and takes an API key.
func (c *Handler) signIn(w *answer, r *http.Request) {
	if r.Method == http.MethodPost {
		c.answerWith(w, r, c.Sessions.SignInByKey(w, r, secret.New(r.PostFormValue("key")), r.PostFormValue("back")))
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD, POST")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	if c.Limit != nil {
		if after, ok := c.Limit.AllowPage("", c.now()); !ok {
			c.answerWith(w, r, &session.Answer{Status: http.StatusTooManyRequests, Problem: session.Busy, RetryAfter: after})
			return
		}
	}
	w.Header().Set("Content-Security-Policy", elsewhere)
	q := r.URL.Query()
	back := session.Back(q.Get("back"))
	problem := session.Problem(q.Get("problem"))
	tone := page.Bad
	if problem == session.SignedOut {
		tone = page.Calm
	}
	var main []g.Node
	if text := problem.Message(); text != "" {
		if code := session.Code(q.Get("code")); code != "" {
			text += " (" + code + ")"
		}
		main = append(main, h.Div(h.Role("alert"), page.Notice(tone, h.P(h.ID("message"), g.Text(text)))))
	}
	methods := c.Sessions.Methods()
	keep := h.Input(h.Type("hidden"), h.Name("back"), h.Value(back))
	if slices.Contains(methods, auth.KindAppService) {
		main = append(main, h.P(g.Text("Your organisation's sign-in stands in front of this site.")),
			h.P(h.A(h.ID("app-service"), h.Class("button"), page.Here(c.Sessions.AppServiceURL(back)).Href(),
				g.Text("Sign in with your organisation"))))
	}
	if slices.Contains(methods, auth.KindEntra) {
		main = append(main, h.Form(h.Method("post"), to("sign-in", "entra").Action(), keep,
			h.Div(h.Class("actions"), h.Button(h.ID("entra"), h.Type("submit"), g.Text("Sign in with Microsoft Entra")))))
	}
	if slices.Contains(methods, auth.KindKey) {
		main = append(main, h.Form(h.Method("post"), to("sign-in").Action(), keep,
			h.Label(h.For("key"), g.Text("API key"), h.Span(h.Class("hint"), g.Text("It begins with rk_. Your role is the key's."))),
			h.Input(h.ID("key"), h.Name("key"), h.Type("password"), h.AutoComplete("off"), h.Required()),
			h.Div(h.Class("actions"), h.Button(h.ID("by-key"), h.Type("submit"), g.Text("Sign in")))))
	}
	if len(methods) == 0 {
		main = append(main, page.Notice(page.Warn,
			h.P(g.Text("No way of signing in is configured. Set REKEY_API_KEYS (make apikey prints an entry), "+
				"App Service authentication, or REKEY_AUTH_TENANT_ID with an application to sign in to."))))
	}
	d := page.Document{ID: "sign-in", Title: "Sign in", Narrow: true, StyleAt: asset("style.css"), Header: plainHeader(), Main: main}
	write(w, r, d.Render())
}
