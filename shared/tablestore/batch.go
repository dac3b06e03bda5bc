package tablestore

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
)

// batchAnswerKey is the context key under which a transaction's *batchAnswer
// travels to [batchReader].
type batchAnswerKey struct{}

// batchAnswer is what the service said about a transaction.
type batchAnswer struct {
	etags  []string    // one per operation, empty where there is none
	failed int         // the inner status of a failure, else 0
	code   string      // its odata code
	header http.Header // its own, and the outer answer's
}

// batchReader reads the answers to transactions, because aztables v1.4.1 drops
// what Rekey needs: it returns no ETags, reports every failure as status 202
// without a code, and panics on an empty body.
type batchReader struct{}

var errMalformed = errors.New("the answer to a transaction is malformed")

// Do implements [policy.Policy].
func (batchReader) Do(req *policy.Request) (*http.Response, error) {
	resp, err := req.Next()
	if err != nil || resp.StatusCode != http.StatusAccepted || !strings.HasSuffix(req.Raw().URL.Path, "/$batch") {
		return resp, err
	}
	body, err := runtime.Payload(resp)
	if err != nil {
		return nil, err
	}
	answer, err := parseBatch(resp.Header.Get("Content-Type"), body)
	if err != nil {
		return nil, err
	}
	outer := resp.Header.Clone()
	maps.Copy(outer, answer.header)
	answer.header = outer
	if dst, ok := req.Raw().Context().Value(batchAnswerKey{}).(*batchAnswer); ok {
		*dst = *answer
	}
	return resp, nil
}

// parseBatch reads the two nested multipart bodies. A part that ends early is an
// error only if nothing was learnt from it: some servers leave the last boundary
// out, and the SDK accepts that.
func parseBatch(contentType string, body []byte) (*batchAnswer, error) {
	outer, err := parts(contentType, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	set, err := outer.NextPart()
	if err != nil {
		return nil, errMalformed
	}
	inner, err := parts(set.Header.Get("Content-Type"), set)
	if err != nil {
		return nil, err
	}
	answer := &batchAnswer{}
	for {
		part, err := inner.NextPart()
		if err != nil {
			break
		}
		resp, err := http.ReadResponse(bufio.NewReader(part), nil)
		if err != nil {
			return nil, errMalformed
		}
		if resp.StatusCode >= 400 {
			answer.failed, answer.code, answer.header = resp.StatusCode, code(resp.Body), resp.Header
			return answer, nil
		}
		answer.etags = append(answer.etags, resp.Header.Get("ETag"))
	}
	if len(answer.etags) == 0 {
		return nil, errMalformed
	}
	return answer, nil
}

func parts(contentType string, body io.Reader) (*multipart.Reader, error) {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil || params["boundary"] == "" {
		return nil, errMalformed
	}
	return multipart.NewReader(body, params["boundary"]), nil
}

// code reads the code out of the odata envelope; empty if there is none.
func code(body io.Reader) string {
	var envelope struct {
		Error struct {
			Code string `json:"code"`
		} `json:"odata.error"`
	}
	data, err := io.ReadAll(body)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return ""
	}
	if json.Unmarshal(data, &envelope) != nil {
		return ""
	}
	return envelope.Error.Code
}
