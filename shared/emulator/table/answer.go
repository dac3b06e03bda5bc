package table

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"time"
)

// jsonType is the content type of every answer that has a body.
const jsonType = "application/json;odata=minimalmetadata;streaming=true;charset=utf-8"

// failure is an answer with an error code of the Table service
// (learn.microsoft.com/rest/api/storageservices/table-service-error-codes).
type failure struct {
	status  int
	code    string
	message string
}

func invalid(message string) *failure {
	return &failure{http.StatusBadRequest, "InvalidInput", message}
}

func unsupported(message string) *failure {
	return &failure{http.StatusNotImplemented, "NotImplemented", message}
}

// envelope is the error as JSON. Clients find a failed operation of a transaction
// by the number before the first colon of the message.
func (f *failure) envelope(now time.Time) []byte {
	text := f.message + "\nRequestId:" + rand.Text() + "\nTime:" + now.UTC().Format("2006-01-02T15:04:05.0000000Z")
	body, err := json.Marshal(map[string]any{"odata.error": map[string]any{
		"code":    f.code,
		"message": map[string]string{"lang": "en-US", "value": text},
	}})
	if err != nil {
		panic(err) // strings always encode
	}
	return body
}

func (s *Service) headers(w http.ResponseWriter) {
	w.Header().Set("x-ms-request-id", rand.Text())
	w.Header().Set("x-ms-version", "2019-02-02")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-cache")
}

func (s *Service) fail(w http.ResponseWriter, f *failure) {
	s.headers(w)
	w.Header().Set("Content-Type", jsonType)
	w.WriteHeader(f.status)
	w.Write(f.envelope(s.cfg.Now()))
}

func (s *Service) answer(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		panic(err) // made of what was decoded from JSON
	}
	s.headers(w)
	w.Header().Set("Content-Type", jsonType)
	w.WriteHeader(status)
	w.Write(body)
}
