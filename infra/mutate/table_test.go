package main

import "testing"

// Every defect of the table can be applied to the code as it is: its snippet is there, and
// there once. What is wrong here was moved or reworded: mend the table.
func TestTheTableFitsTheCode(t *testing.T) {
	if err := check("../..", table); err != nil {
		t.Error(err)
	}
	n := 0
	for _, s := range table {
		n += len(s.mutations)
	}
	if n < 60 {
		t.Errorf("%d mutants, want 60 at least", n)
	}
}
