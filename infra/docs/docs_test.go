package docs_test

import (
	"os"
	"testing"

	"rekey/infra/check"
	"rekey/infra/docs"
)

// The pages of this repository say nothing that this package knows to be wrong.
func TestPages(t *testing.T) {
	reference, err := docs.Load(check.Settings())
	if err != nil {
		t.Fatal(err)
	}
	findings, err := docs.Check(os.DirFS("../.."), reference)
	if err != nil {
		t.Fatal(err)
	}
	for _, finding := range findings {
		t.Error(finding)
	}
}
