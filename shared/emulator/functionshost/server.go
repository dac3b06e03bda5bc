package functionshost

import (
	"encoding/json"
	"mime"
	"net/http"
	"strings"
)

const (
	invocationHeader = "X-Azure-Functions-InvocationId"
	versionHeader    = "X-Azure-Functions-HostVersion"
	// maxBody is the host's limit for the body of a request.
	maxBody = 104857600
)

// ServeHTTP answers a request from outside: the host's own paths first, then the
// first HTTP function whose route and methods match, in the order of the
// functions' names. It works while the host is started.
func (h *Host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.worker == nil || !h.enter() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	defer h.running.Done()
	path, ok := receivedPath(r)
	if !ok {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	switch first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/"); strings.ToLower(first) {
	case "admin":
		h.serveAdmin(w, r)
		return
	case "runtime":
		w.WriteHeader(http.StatusNotFound)
		return
	}
	for _, f := range h.functions {
		if f.http != nil && f.http.serves(r.Method, path) {
			h.serveFunction(w, r, f, path)
			return
		}
	}
	if path == "/" {
		h.serveHomepage(w)
		return
	}
	w.WriteHeader(http.StatusNotFound)
}

// serveHomepage answers what no function wants at "/".
func (h *Host) serveHomepage(w http.ResponseWriter) {
	if disabled, _ := h.settings.environment.lookup("AzureWebJobsDisableHomepage"); strings.EqualFold(disabled, "true") {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("Your Functions host is up and running.\n" + strings.Join(h.Functions(), "\n") + "\n"))
}

func (h *Host) serveFunction(w http.ResponseWriter, r *http.Request, f *function, path string) {
	if r.ContentLength > maxBody {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	id := newGUID()
	if h.settings.mode == Forwarding {
		h.forward(w, r, f, path, id)
	} else {
		h.proxy(w, r, f, path, id)
	}
}

// serveAdmin is the host's own API. It needs no key, as under Core Tools; in
// Azure it needs the master key.
func (h *Host) serveAdmin(w http.ResponseWriter, r *http.Request) {
	path := strings.Trim(strings.ToLower(r.URL.Path), "/")
	name, named := strings.CutPrefix(path, "admin/functions/")
	get := r.Method == http.MethodGet
	switch {
	case path == "admin/host/ping" && (get || r.Method == http.MethodPost):
		w.WriteHeader(http.StatusOK)
	case path == "admin/functions" && get:
		all := make([]description, 0, len(h.functions))
		for _, f := range h.functions {
			all = append(all, h.describe(f))
		}
		writeJSON(w, all)
	case named && get && h.find(name) != nil:
		writeJSON(w, h.describe(h.find(name)))
	case named && r.Method == http.MethodPost && h.find(name) != nil:
		h.serveInvoke(w, r, h.find(name))
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// serveInvoke runs a timer function now, in the background: 202 says nothing
// about its success. Like the real host it does not wait for a tick that is
// running, tells the function that it is not past due, and notes no status.
func (h *Host) serveInvoke(w http.ResponseWriter, r *http.Request, f *function) {
	var body *struct{ Input *string }
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&body); {
	case media != "application/json":
		http.Error(w, "the content type must be application/json", http.StatusUnsupportedMediaType)
	case err != nil || body == nil:
		http.Error(w, `the body must be {"input":""}`, http.StatusBadRequest)
	case f.timer == nil:
		http.Error(w, "the local host invokes timer functions only; call the route of an HTTP function", http.StatusBadRequest)
	default:
		h.spawn(func() { h.invokeTimer(h.lifetime, f, h.ticker(f).status(), false) })
		w.WriteHeader(http.StatusAccepted)
	}
}

func (h *Host) find(name string) *function {
	for _, f := range h.functions {
		if strings.EqualFold(f.name, name) {
			return f
		}
	}
	return nil
}

// description is what the admin API says about a function.
type description struct {
	Name              string          `json:"name"`
	InvokeURLTemplate string          `json:"invoke_url_template,omitempty"`
	Config            json.RawMessage `json:"config"`
}

func (h *Host) describe(f *function) description {
	d := description{Name: f.name, Config: f.config}
	if f.http != nil {
		d.InvokeURLTemplate = "http://" + h.Addr() + "/" + f.http.route.text
	}
	return d
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(value) // the caller has gone
}
