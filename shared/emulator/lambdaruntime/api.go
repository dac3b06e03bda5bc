package lambdaruntime

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
)

// api is the Runtime API, version 2018-06-01.
func (r *Runtime) api() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, serve func(p *process, w http.ResponseWriter, req *http.Request)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, req *http.Request) {
			r.mu.Lock()
			p := r.process
			r.mu.Unlock()
			if p == nil {
				refuse(w, http.StatusForbidden, "InvalidStateTransition", "there is no runtime")
				return
			}
			serve(p, w, req)
		})
	}
	handle("GET /2018-06-01/runtime/invocation/next", r.next)
	handle("POST /2018-06-01/runtime/invocation/{id}/response", (*process).respond)
	handle("POST /2018-06-01/runtime/invocation/{id}/error", (*process).fail)
	handle("POST /2018-06-01/runtime/init/error", (*process).failInit)
	return mux
}

// next blocks until there is an event. A process that asks while an event is open is refused.
func (r *Runtime) next(p *process, w http.ResponseWriter, req *http.Request) {
	p.mu.Lock()
	was := p.state
	if was == working || was == failedInit || was == idle {
		p.mu.Unlock()
		refuse(w, http.StatusForbidden, "InvalidStateTransition", "State transition from "+was.String()+" to Ready is not allowed")
		return
	}
	p.state = idle
	p.mu.Unlock()
	if was == initializing {
		close(p.ready)
	} else {
		p.quiet <- struct{}{}
	}
	select {
	case i := <-p.next:
		p.mu.Lock()
		p.state, p.current = working, i
		p.mu.Unlock()
		h := w.Header()
		h.Set("Lambda-Runtime-Aws-Request-Id", i.id)
		h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(i.deadline.UnixMilli(), 10))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:"+r.config.Region+":123456789012:function:rekey")
		h.Set("Lambda-Runtime-Trace-Id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0")
		h.Set("Content-Type", "application/json")
		w.Write(i.event)
	case <-req.Context().Done():
	}
}

// open returns the event that id names, which must be the one that is being worked
// on; else it writes the refusal. The caller holds p.mu.
func (p *process) open(w http.ResponseWriter, id string) *invocation {
	if p.state != working {
		if p.current == nil || p.current.id != id {
			refuse(w, http.StatusBadRequest, "InvalidRequestID", "Invalid request ID")
		} else {
			refuse(w, http.StatusForbidden, "InvalidStateTransition", "State transition from "+p.state.String()+" to Responded is not allowed")
		}
		return nil
	}
	if p.current.id != id {
		refuse(w, http.StatusBadRequest, "InvalidRequestID", "Invalid request ID")
		return nil
	}
	return p.current
}

func (p *process) respond(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxPayload))
	p.mu.Lock()
	defer p.mu.Unlock()
	i := p.open(w, req.PathValue("id"))
	switch {
	case i == nil:
		return
	case err != nil:
		refuse(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "Exceeded maximum allowed payload size")
		i.failure = &FunctionError{"Function.ResponseSizeTooLarge", "Response payload size exceeded maximum allowed payload size."}
	case !json.Valid(body): // the callers of functions take JSON
		refuse(w, http.StatusBadRequest, "InvalidPayload", "the response is not JSON")
		i.failure = &FunctionError{"Runtime.InvalidResponse", "the response is not JSON"}
	default:
		i.result = body
		accept(w)
	}
	p.state = answered
	close(i.done)
}

func (p *process) fail(w http.ResponseWriter, req *http.Request) {
	failure, ok := readError(w, req)
	p.mu.Lock()
	defer p.mu.Unlock()
	i := p.open(w, req.PathValue("id"))
	if i == nil {
		return
	}
	if ok {
		accept(w)
	} else {
		refuse(w, http.StatusBadRequest, "InvalidErrorFormat", "the error is not JSON with errorType and errorMessage")
	}
	i.failure, p.state = failure, answered
	close(i.done)
}

func (p *process) failInit(w http.ResponseWriter, req *http.Request) {
	failure, ok := readError(w, req)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.state != initializing:
		refuse(w, http.StatusForbidden, "InvalidStateTransition", "State transition from "+p.state.String()+" to InitError is not allowed")
		return
	case !ok:
		refuse(w, http.StatusBadRequest, "InvalidErrorFormat", "the error is not JSON with errorType and errorMessage")
	default:
		accept(w)
	}
	p.state, p.initFail = failedInit, failure
}

// readError reads what a function says of a failure.
func readError(w http.ResponseWriter, req *http.Request) (*FunctionError, bool) {
	var e FunctionError
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxPayload))
	if err != nil || json.Unmarshal(body, &e) != nil || e.Type == "" {
		return &FunctionError{"Runtime.Unknown", "the function failed without a proper error"}, false
	}
	return &e, true
}

func accept(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	io.WriteString(w, `{"status":"OK"}`)
}

func refuse(w http.ResponseWriter, status int, kind, message string) {
	data, err := json.Marshal(FunctionError{kind, message})
	if err != nil {
		panic(err) // two strings always encode
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(data)
}
