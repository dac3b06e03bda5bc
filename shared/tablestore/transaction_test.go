package tablestore

import (
	"fmt"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"
)

func TestTransactionLimits(t *testing.T) {
	const add, merge = aztables.TransactionTypeAdd, aztables.TransactionTypeUpdateMerge
	text := func(n, each int) map[string]any {
		m := map[string]any{}
		for i := range n {
			m[fmt.Sprintf("p%d", i)] = strings.Repeat("x", each)
		}
		return m
	}
	for code, build := range map[string]func(*transaction){
		"": func(tx *transaction) {
			for i := range 100 {
				tx.add(add, fmt.Sprint(i), "", nil)
			}
		},
		"InvalidInput": func(tx *transaction) {
			for i := range 101 {
				tx.add(add, fmt.Sprint(i), "", nil)
			}
		},
		"InvalidDuplicateRow": func(tx *transaction) {
			tx.add(add, "a", "", nil)
			tx.add(merge, "a", "*", nil)
		},
		"MissingRequiredHeader": func(tx *transaction) { tx.add(merge, "a", "", nil) }, // the SDK would upsert
		"OutOfRangeInput":       func(tx *transaction) { tx.add(add, "a%b", "", nil) },
		"TooManyProperties":     func(tx *transaction) { tx.add(add, "a", "", text(253, 1)) },
		"PropertyValueTooLarge": func(tx *transaction) { tx.add(add, "a", "", text(1, 32769)) },
		"EntityTooLarge":        func(tx *transaction) { tx.add(add, "a", "", text(17, 32000)) },
		"RequestBodyTooLarge": func(tx *transaction) {
			for i := range 9 {
				tx.add(add, fmt.Sprint(i), "", text(15, 32000))
			}
		},
	} {
		tx := newTransaction("testing", "s00")
		build(tx)
		got := ""
		if tx.err != nil {
			got = tx.err.Code
		}
		if got != code {
			t.Errorf("got %q, want %q", got, code)
		}
	}
}
