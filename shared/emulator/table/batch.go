package table

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
)

// The limits of an entity-group transaction
// (learn.microsoft.com/rest/api/storageservices/performing-entity-group-transactions).
const (
	maxBatchBytes      = 4 << 20
	maxBatchOperations = 100
)

// serveBatch carries out an entity-group transaction. The outer status is 202 even
// if it fails; then one inner answer has the failure, whose message begins with
// the number of the operation that failed.
func (s *Service) serveBatch(w http.ResponseWriter, r *http.Request, body []byte) {
	if len(body) > maxBatchBytes {
		s.fail(w, &failure{http.StatusRequestEntityTooLarge, "RequestBodyTooLarge",
			"The request body is too large and exceeds the maximum permissible limit."})
		return
	}
	operations, f := s.parseBatch(r.Header.Get("Content-Type"), body)
	if f != nil {
		s.fail(w, f)
		return
	}
	rows, failed, f := s.transact(operations)
	if f != nil {
		f.message = fmt.Sprintf("%d:%s", failed, f.message)
		s.writeBatch(w, [][]byte{s.innerFailure(f)})
		return
	}
	inner := make([][]byte, len(rows))
	for i, row := range rows {
		inner[i] = []byte("HTTP/1.1 204 No Content\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-cache\r\nDataServiceVersion: 1.0;\r\n")
		if row != nil {
			inner[i] = append(inner[i], "ETag: "+row.etag()+"\r\n"...)
		}
		inner[i] = append(inner[i], "\r\n"...)
	}
	s.writeBatch(w, inner)
}

// transact applies all operations or none. It returns the rows as they are then
// (nil for a deleted one), or which operation failed.
func (s *Service) transact(operations []operation) (rows []*row, failed int, f *failure) {
	seen := map[string]bool{}
	for i, o := range operations {
		if o.pk != operations[0].pk || o.table != operations[0].table {
			return nil, i, &failure{http.StatusBadRequest, "CommandsInBatchActOnDifferentPartitions",
				"All commands in a batch must operate on same entity group."}
		}
		if seen[o.rk] {
			return nil, i, &failure{http.StatusBadRequest, "InvalidDuplicateRow",
				"The batch request contains multiple changes with same row key. An entity can appear only once in a batch request."}
		}
		seen[o.rk] = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var before []*row
	for i, o := range operations {
		now, was, f := s.apply(o)
		if f != nil {
			for j := range before {
				s.tables[o.table].put(o.pk, operations[j].rk, before[j])
			}
			return nil, i, f
		}
		rows, before = append(rows, now), append(before, was)
	}
	return rows, 0, nil
}

// parseBatch reads the change set out of the two nested multipart bodies.
func (s *Service) parseBatch(contentType string, body []byte) ([]operation, *failure) {
	outer, f := newMultipart(contentType, bytes.NewReader(body))
	if f != nil {
		return nil, f
	}
	set, err := outer.NextPart()
	if err != nil {
		return nil, invalid("The batch has no change set.")
	}
	if !strings.HasPrefix(set.Header.Get("Content-Type"), "multipart/mixed") {
		return nil, unsupported("This emulator has no queries within a batch.")
	}
	inner, f := newMultipart(set.Header.Get("Content-Type"), set)
	if f != nil {
		return nil, f
	}
	var operations []operation
	for {
		part, err := inner.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, invalid("The change set is malformed.")
		}
		o, f := s.parsePart(part)
		if f != nil {
			f.message = fmt.Sprintf("%d:%s", len(operations), f.message)
			return nil, f
		}
		operations = append(operations, o)
	}
	if _, err := outer.NextPart(); !errors.Is(err, io.EOF) {
		return nil, invalid("A batch has one change set.")
	}
	if len(operations) == 0 || len(operations) > maxBatchOperations {
		return nil, invalid(fmt.Sprintf("A batch has 1 to %d operations, not %d.", maxBatchOperations, len(operations)))
	}
	return operations, nil
}

func newMultipart(contentType string, body io.Reader) (*multipart.Reader, *failure) {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil || kind != "multipart/mixed" || params["boundary"] == "" {
		return nil, invalid("The content type of a batch is multipart/mixed with a boundary.")
	}
	return multipart.NewReader(body, params["boundary"]), nil
}

// parsePart reads one inner request. Its body ends with the part, because clients
// do not all give a length.
func (s *Service) parsePart(part *multipart.Part) (operation, *failure) {
	malformed := invalid("An operation of the batch is malformed.")
	in := textproto.NewReader(bufio.NewReader(part))
	line, err := in.ReadLine()
	if err != nil || part.Header.Get("Content-Type") != "application/http" {
		return operation{}, malformed
	}
	words := strings.Fields(line)
	if len(words) != 3 || words[2] != "HTTP/1.1" {
		return operation{}, malformed
	}
	address, err := url.Parse(words[1])
	if err != nil {
		return operation{}, malformed
	}
	header, err := in.ReadMIMEHeader()
	if err != nil {
		return operation{}, malformed
	}
	body, err := io.ReadAll(in.R)
	if err != nil {
		return operation{}, malformed
	}
	o, f := parseOperation(words[0], s.trimAccount(address.Path), http.Header(header), body)
	if f == nil && o.kind == OpGet {
		f = unsupported("This emulator has no queries within a batch.")
	}
	return o, f
}

func (s *Service) innerFailure(f *failure) []byte {
	head := fmt.Sprintf("HTTP/1.1 %d %s\r\nX-Content-Type-Options: nosniff\r\nDataServiceVersion: 1.0;\r\nContent-Type: %s\r\n\r\n",
		f.status, http.StatusText(f.status), jsonType)
	return append([]byte(head), f.envelope(s.cfg.Now())...)
}

// writeBatch wraps inner answers in the two multipart bodies.
func (s *Service) writeBatch(w http.ResponseWriter, inner [][]byte) {
	batch, set := "batchresponse_"+rand.Text(), "changesetresponse_"+rand.Text()
	var b bytes.Buffer
	fmt.Fprintf(&b, "--%s\r\nContent-Type: multipart/mixed; boundary=%s\r\n\r\n", batch, set)
	for _, answer := range inner {
		fmt.Fprintf(&b, "--%s\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n%s\r\n", set, answer)
	}
	fmt.Fprintf(&b, "--%s--\r\n--%s--\r\n", set, batch)
	s.headers(w)
	w.Header().Set("Content-Type", "multipart/mixed; boundary="+batch)
	w.WriteHeader(http.StatusAccepted)
	w.Write(b.Bytes())
}
