package keyvault_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"rekey/shared/serviceerror"

	"rekey/shared/emulator/fault"
	"rekey/shared/emulator/vault"
)

// All goes through every page, shows what is latest, and no value.
func TestAll(t *testing.T) {
	s := start(t, vault.Config{})
	if all, err := s.All(t.Context()); err != nil || len(all) != 0 {
		t.Fatalf("All of an empty vault: %d, %v", len(all), err)
	}
	want := map[string]string{}
	for i := range 60 { // pages have 25
		name := fmt.Sprintf("app-%d", i)
		put(t, s, given(name, "canary", map[string]string{"n": "old"}))
		put(t, s, given(name, "canary", map[string]string{"n": name}))
		want[name] = name
	}
	off := given("off", "canary", map[string]string{"n": "off"})
	off.Enabled = false
	put(t, s, off)
	want["off"] = "off"
	if err := s.Delete(t.Context(), "app-7"); err != nil {
		t.Fatal(err)
	}
	delete(want, "app-7")

	all, err := s.All(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range all {
		if want[got.Name] == "" || got.Tags["n"] != want[got.Name] {
			t.Errorf("%s has the tag %q, want %q", got.Name, got.Tags["n"], want[got.Name])
		}
		if !got.Value.IsZero() || got.Version != "" || got.CreatedAt.IsZero() || got.Enabled != (got.Name != "off") {
			t.Errorf("%s: %+v", got.Name, got)
		}
		delete(want, got.Name)
	}
	if len(want) != 0 {
		t.Errorf("not listed: %v", want)
	}
}

// A page that fails fails all of it: a part would look like secrets that are gone.
func TestAllFails(t *testing.T) {
	pages := 0
	s := start(t, vault.Config{Hook: func(op string, _ *http.Request) *fault.Effect {
		if op != "vault.list" {
			return nil
		}
		if pages++; pages < 2 {
			return nil
		}
		return &fault.Effect{Status: http.StatusForbidden, Code: "Forbidden"}
	}})
	for i := range 30 {
		put(t, s, given(fmt.Sprintf("app-%d", i), "canary", nil))
	}
	all, err := s.All(t.Context())
	if serviceerror.ClassOf(err) != serviceerror.VaultRefused || len(all) != 0 {
		t.Errorf("All: %d secrets, %v", len(all), err)
	}
	if err != nil && slices.ContainsFunc([]string{"127.0.0.1", "app-"}, func(s string) bool { return strings.Contains(err.Error(), s) }) {
		t.Errorf("the error tells too much: %v", err)
	}
}
