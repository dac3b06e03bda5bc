package functionshost

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
)

// userAgent is how the host calls itself.
const userAgent = "Azure-Functions-Host/" + version

// hang explains an answer that the real host neither accepts nor refuses.
const hang = "the real host would leave this invocation open until functionTimeout and then kill the handler; " +
	"answer {} with content type application/json"

// invokeTimer runs one invocation of f, reports it, and kills the handler if it
// took longer than functionTimeout, together with whatever else it was doing.
func (h *Host) invokeTimer(ctx context.Context, f *function, status *scheduleStatus, pastDue bool) {
	id := newGUID()
	err := h.bounded(ctx, func(ctx context.Context) error {
		return h.sendTimer(ctx, f, id, status, pastDue)
	})
	if ctx.Err() != nil {
		return // the host is stopping; the handler was killed
	}
	if err != nil {
		h.log.Error("invocation failed", "function", f.name, "invocation", id, "error", err)
	} else {
		h.log.Info("invocation succeeded", "function", f.name, "invocation", id)
	}
	if h.config.Invoked != nil {
		h.config.Invoked(Invocation{Function: f.name, ID: id, PastDue: pastDue, Err: err})
	}
}

// bounded calls do when the handler is ready, with a context that ends at
// functionTimeout, and carries out what follows from missing that.
func (h *Host) bounded(ctx context.Context, do func(context.Context) error) (err error) {
	p, err := h.worker.acquire(ctx)
	if err != nil {
		return err
	}
	if h.settings.timeout > 0 {
		overdue := fmt.Errorf("%w (%s), so the handler is killed", errOverdue, h.settings.timeout)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, h.settings.timeout, overdue)
		defer cancel()
	}
	defer func() { // also when do panics, as a proxy does whose answer breaks off
		if cause := context.Cause(ctx); errors.Is(cause, errOverdue) {
			p.kill(cause)
			err = cause
		}
	}()
	return do(ctx)
}

func (h *Host) sendTimer(ctx context.Context, f *function, id string, status *scheduleStatus, pastDue bool) error {
	body, err := h.timerBody(f, status, pastDue)
	if err != nil {
		return err
	}
	var reader io.Reader = bytes.NewReader(body)
	if !h.config.ContentLength {
		reader = struct{ io.Reader }{reader} // hides the length: chunked
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+h.worker.addr()+"/"+f.name, reader)
	if err != nil {
		return fmt.Errorf("making the invocation: %w", err)
	}
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	r.Header.Set(invocationHeader, id)
	r.Header.Set(versionHeader, version)
	r.Header.Set("User-Agent", userAgent)
	// .NET's client adds these where the host traces itself.
	trace, span := strings.ReplaceAll(newGUID(), "-", ""), strings.ReplaceAll(newGUID(), "-", "")[:16]
	r.Header.Set("Traceparent", "00-"+trace+"-"+span+"-01")
	r.Header.Set("Tracestate", "host=1")
	r.Header.Set("Request-Id", "|"+trace+"."+span+".")
	resp, err := h.transport.RoundTrip(r)
	if err != nil {
		return fmt.Errorf("sending the invocation: %w", err)
	}
	defer resp.Body.Close()
	logs, err := checkAnswer(resp)
	for _, line := range logs {
		h.log.Info(line, "function", f.name, "invocation", id)
	}
	return err
}

// timerBody is the invocation as Newtonsoft's serializer writes it.
func (h *Host) timerBody(f *function, status *scheduleStatus, pastDue bool) ([]byte, error) {
	type timerInfo struct {
		Schedule       struct{ AdjustForDST bool }
		ScheduleStatus *scheduleStatus
		IsPastDue      bool
	}
	type system struct {
		MethodName, UtcNow string
		RandGUID           string `json:"RandGuid"`
	}
	info := timerInfo{ScheduleStatus: status, IsPastDue: pastDue}
	info.Schedule.AdjustForDST = true
	body, err := json.Marshal(struct{ Data, Metadata map[string]any }{
		Data: map[string]any{f.timer.binding: info},
		Metadata: map[string]any{"sys": system{
			MethodName: f.name,
			UtcNow:     h.config.Now().UTC().Truncate(100).Format("2006-01-02T15:04:05.9999999Z"),
			RandGUID:   newGUID(),
		}},
	})
	if err != nil {
		return nil, fmt.Errorf("encoding the invocation: %w", err)
	}
	return body, nil
}

// checkAnswer returns the log lines of a handler's answer to an invocation, and
// an error for whatever the real host does not take for success.
// Source: DefaultHttpWorkerService.ProcessDefaultInvocationRequest.
func checkAnswer(resp *http.Response) ([]string, error) {
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the handler's answer: %w", err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, fmt.Errorf("the handler answered with status %d: %s", resp.StatusCode, excerpt(body))
	}
	if len(body) == 0 {
		return nil, errors.New("the handler answered with an empty body: " + hang)
	}
	contentType := resp.Header.Get("Content-Type")
	if media, _, err := mime.ParseMediaType(contentType); err != nil || media != "application/json" {
		return nil, fmt.Errorf("the handler answered with content type %q: the real host takes application/json only", contentType)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		return nil, fmt.Errorf("the handler's answer is no JSON object: %s", excerpt(body))
	}
	if members == nil {
		return nil, errors.New("the handler answered with JSON null: " + hang)
	}
	var result struct{ Logs []string }
	if err := json.Unmarshal(body, &result); err != nil {
		return nil, fmt.Errorf("the handler's answer has Logs that are no list of strings: %s", excerpt(body))
	}
	return result.Logs, nil
}

func excerpt(body []byte) string {
	const enough = 300
	if len(body) > enough {
		return string(body[:enough]) + "..."
	}
	return string(body)
}
