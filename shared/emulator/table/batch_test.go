package table_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"rekey/shared/emulator/table"
)

func TestBatch(t *testing.T) {
	service, client := connect(t, table.Config{})
	add := func(pk, rk string) aztables.TransactionAction {
		return aztables.TransactionAction{ActionType: aztables.TransactionTypeAdd, Entity: entity(pk, rk)}
	}
	update := func(rk string, etag azcore.ETag) aztables.TransactionAction {
		return aztables.TransactionAction{ActionType: aztables.TransactionTypeUpdateMerge, Entity: entity("p", rk, "v", rk), IfMatch: &etag}
	}
	remove := func(rk string) aztables.TransactionAction {
		return aztables.TransactionAction{ActionType: aztables.TransactionTypeDelete, Entity: entity("p", rk)}
	}
	var tooMany []aztables.TransactionAction
	for i := range 101 {
		tooMany = append(tooMany, add("p", fmt.Sprint("many", i)))
	}
	if _, err := client.SubmitTransaction(t.Context(), []aztables.TransactionAction{add("p", "a"), add("p", "b")}, nil); err != nil {
		t.Fatal(err)
	}
	before := fmt.Sprint(service.Rows(""))
	for _, test := range []struct {
		actions []aztables.TransactionAction
		outer   int
		want    string
	}{
		{[]aztables.TransactionAction{remove("a"), add("p", "c"), add("p", "b")}, 202, `409 Conflict .*"EntityAlreadyExists".*"value":"2:`},
		{[]aztables.TransactionAction{update("b", "*"), update("a", `W/"old"`)}, 202, `412 .*"UpdateConditionNotSatisfied".*"value":"1:`},
		{[]aztables.TransactionAction{remove("none")}, 202, `404 Not Found .*"ResourceNotFound".*"value":"0:`},
		{[]aztables.TransactionAction{add("p", "c"), add("q", "d")}, 202, `400 .*"CommandsInBatchActOnDifferentPartitions".*"value":"1:`},
		{[]aztables.TransactionAction{update("a", "*"), remove("a")}, 202, `400 .*"InvalidDuplicateRow".*"value":"1:`},
		{tooMany, 400, `InvalidInput`},
	} {
		_, err := client.SubmitTransaction(t.Context(), test.actions, nil)
		r, ok := errors.AsType[*azcore.ResponseError](err)
		if !ok {
			t.Fatalf("want %s, got %v", test.want, err)
		}
		body, err := io.ReadAll(r.RawResponse.Body)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(body), "\r\n", " ")
		if r.StatusCode != test.outer || !regexp.MustCompile(test.want).MatchString(text) {
			t.Errorf("got %d %s\nwant %d %s", r.StatusCode, text, test.outer, test.want)
		}
		if after := fmt.Sprint(service.Rows("")); after != before {
			t.Fatalf("%s: a failed transaction changed\n%s to\n%s", test.want, before, after)
		}
	}
}

// What a successful transaction looks like on the wire: aztables hides it.
func TestBatchAnswer(t *testing.T) {
	service, client := connect(t, table.Config{})
	var resp *http.Response
	ctx := policy.WithCaptureResponse(context.Background(), &resp)
	_, err := client.SubmitTransaction(ctx, []aztables.TransactionAction{
		{ActionType: aztables.TransactionTypeInsertMerge, Entity: entity("p", "a")},
		{ActionType: aztables.TransactionTypeAdd, Entity: entity("p", "b")},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if seeker, ok := resp.Body.(io.Seeker); ok && len(body) == 0 {
		if _, err := seeker.Seek(0, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		body, err = io.ReadAll(resp.Body)
	}
	if err != nil || resp.StatusCode != http.StatusAccepted {
		t.Fatalf("status %d, %v", resp.StatusCode, err)
	}
	for _, row := range service.Rows("") {
		if !strings.Contains(string(body), "HTTP/1.1 204 No Content\r\n") || !strings.Contains(string(body), "\r\nETag: "+row.ETag+"\r\n") {
			t.Errorf("the answer lacks the ETag %s:\n%s", row.ETag, body)
		}
	}
}
