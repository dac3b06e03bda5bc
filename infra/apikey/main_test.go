package main

import (
	"crypto/rand"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"rekey/shared/auth"
)

// What is printed works: the key gets in where the entry is configured.
func TestPrintsKeyAndEntry(t *testing.T) {
	var out, errs strings.Builder
	if err := run([]string{"-name", "ci", "-role", "rotate"}, rand.Reader, &out, &errs); err != nil {
		t.Fatal(err)
	}
	key := regexp.MustCompile(`rk_[A-Za-z0-9_-]{43}`).FindAllString(out.String(), -1)
	entry := regexp.MustCompile(`ci:rotate:[0-9a-f]{64}`).FindString(out.String())
	if len(key) != 1 || entry == "" || errs.Len() != 0 {
		t.Fatalf("printed %q and %q", out.String(), errs.String())
	}
	known, err := auth.ParseKey(entry)
	if err != nil {
		t.Fatal(err)
	}
	a := &auth.Authenticator{Keys: []auth.Key{known}}
	caller, err := a.Authenticate(&http.Request{Header: http.Header{"Authorization": {"Bearer " + key[0]}}})
	if err != nil || caller.Name != "ci" || caller.Role != auth.Rotate {
		t.Errorf("caller = %+v, %v", caller, err)
	}
}

func TestRefuses(t *testing.T) {
	for _, args := range [][]string{{}, {"-name", "a:b"}, {"-name", "ci", "-role", "owner"}, {"-name", "ci", "extra"}, {"-key", "x"}} {
		var out, errs strings.Builder
		if err := run(args, rand.Reader, &out, &errs); err == nil || out.Len() != 0 {
			t.Errorf("run(%q) printed %q, err %v", args, out.String(), err)
		}
	}
	var out, errs strings.Builder
	if err := run([]string{"-name", "ci"}, failing{}, &out, &errs); !errors.Is(err, errNoEntropy) || out.Len() != 0 {
		t.Errorf("printed %q, err %v", out.String(), err)
	}
}

var errNoEntropy = errors.New("no entropy")

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errNoEntropy }
