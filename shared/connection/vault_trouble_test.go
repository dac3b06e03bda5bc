package connection_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
	"rekey/shared/serviceerror"
)

// An operator has soft-deleted or disabled what is published. Neither Entra nor a role is to
// blame: a test and a rotation say that it is the vault, and where, and nothing is issued.
func TestWhatThePublishedSecretLacksIsSaid(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(s *subject, name string)
		class serviceerror.Class
		says  string
	}{
		"soft-deleted": {func(s *subject, name string) { s.w.DeleteByHand(name) }, serviceerror.VaultMissing, "keyvault secret recover"},
		"disabled": {func(s *subject, name string) { s.w.DisableByHand(name) }, serviceerror.VaultDisabled,
			"keyvault secret set-attributes"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				if _, err := s.create(t.Context()); err != nil {
					t.Fatal(err)
				}
				s.sweep(t, 3*time.Hour)
				before, _ := s.w.Record(s.id)
				s.w.OutsideBreak(true)
				tt.spoil(s, before.VaultName)
				got, err := service(s.w).Check(t.Context(), s.id)
				if err != nil || got.Problem != tt.class || !strings.Contains(got.Message, tt.says) ||
					!strings.Contains(got.Message, before.VaultName) {
					t.Errorf("the test: %+v, %v", got, err)
				}
				if _, err := service(s.w).Rotate(t.Context(), s.id, connection.RotateOptions{}); err != nil {
					t.Fatal(err)
				}
				after, _ := s.w.Record(s.id)
				if e := after.Error; e == nil || e.Class != tt.class || !strings.Contains(e.Message, tt.says) {
					t.Errorf("the rotation: %+v", e)
				}
				if after.Current.KeyID != before.Current.KeyID || after.Run != nil && after.Run.KeyID != "" {
					t.Errorf("something was issued: %+v", after.Run)
				}
			})
		})
	}
}
