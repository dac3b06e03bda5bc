package directory

import "net/http"

// graphError is a refusal by Graph.
type graphError struct {
	status  int
	code    string
	message string
	details []any
}

func badRequest(message string) *graphError {
	return &graphError{http.StatusBadRequest, "Request_BadRequest", message, nil}
}

// usualCodes name what Graph says when the hook names a status only.
var usualCodes = map[int]string{
	http.StatusBadRequest:         "Request_BadRequest",
	http.StatusUnauthorized:       "InvalidAuthenticationToken",
	http.StatusForbidden:          "Authorization_RequestDenied",
	http.StatusNotFound:           "Request_ResourceNotFound",
	http.StatusConflict:           "Directory_ConcurrencyViolation",
	http.StatusTooManyRequests:    "TooManyRequests",
	http.StatusServiceUnavailable: "ServiceUnavailable",
}

// failGraph writes an error that the hook asked for.
func (d *Directory) failGraph(w http.ResponseWriter, status int, code, message string) {
	if code == "" {
		code = usualCodes[status]
	}
	if code == "" {
		code = "UnknownError"
	}
	d.writeGraphError(w, &graphError{status, code, message, nil})
}

// writeGraphError writes Graph's envelope, with the ids that [Directory.Graph] put
// into the headers. The date has no zone, as Graph's has none.
// Source: learn.microsoft.com/graph/errors.
func (d *Directory) writeGraphError(w http.ResponseWriter, e *graphError) {
	body := map[string]any{
		"code": e.code, "message": e.message,
		"innerError": map[string]any{
			"date":              d.config.now().Format("2006-01-02T15:04:05"),
			"request-id":        w.Header().Get("request-id"),
			"client-request-id": w.Header().Get("client-request-id"),
		},
	}
	if e.details != nil {
		body["details"] = e.details
	}
	w.Header().Set("Content-Type", "application/json")
	writeJSON(w, e.status, map[string]any{"error": body})
}
