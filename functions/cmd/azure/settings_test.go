package main_test

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"rekey/shared/emulator/freeport"
)

// A setting that can't be what it is meant to be ends the binary at its start: the log names
// it and says what to do, and repeats nothing of it.
func TestMistakesInTheSettingsEndTheStart(t *testing.T) {
	bin, err := built()
	if err != nil {
		t.Fatal(err)
	}
	hash := strings.Repeat("ab", 32)
	least := []string{"FUNCTIONS_CUSTOMHANDLER_PORT=" + freeport.ForTest(t), "REKEY_DEPLOYMENT=test",
		"REKEY_TABLE_SERVICE=https://name.table.core.windows.net",
		"REKEY_KEY_VAULT_URL=https://name.vault.azure.net", "REKEY_API_KEYS=ci:read:" + hash}
	for name, tt := range map[string]struct{ value, says string }{
		"REKEY_API_KEYS":       {"@Microsoft.KeyVault(SecretUri=https://name.vault.azure.net/secrets/hunter2)", "was not resolved"},
		"REKEY_WEBHOOK_SECRET": {"@Microsoft.KeyVault(VaultName=name;SecretName=hunter2)", "was not resolved"},
		"REKEY_TABLE_SERVICE":  {"https://name.table.core.windows.net/hunter2", "without a path"},
		"REKEY_AUTH_AUDIENCE":  {"api://hunter2/.default", "without /.default"},
	} {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		cmd := exec.CommandContext(ctx, bin)
		cmd.Env = append(append([]string(nil), least...), "REKEY_WEBHOOK_URL=https://hooks.example.com/rekey",
			"REKEY_WEBHOOK_SECRET=whsec_"+strings.Repeat("QUJD", 11), "REKEY_AUTH_TENANT_ID=0b1e7e57-0000-4000-8000-00000000000a",
			"REKEY_AUTH_AUDIENCE=api://rekey", name+"="+tt.value)
		out := untilReady{stop: stop}
		cmd.Stdout, cmd.Stderr = &out, &out
		err := cmd.Run()
		failed, ok := errors.AsType[*exec.ExitError](err)
		if !ok || failed.ExitCode() != 1 {
			t.Errorf("%s: %v\n%s", name, err, out.log.String())
			continue
		}
		if log := out.log.String(); !strings.Contains(log, name+": ") || !strings.Contains(log, tt.says) || strings.Contains(log, "hunter2") {
			t.Errorf("%s: %s", name, log)
		}
	}
}

// untilReady keeps what a process writes, and ends one that starts in spite of its settings.
type untilReady struct {
	log  bytes.Buffer
	stop func()
}

func (u *untilReady) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("handler ready")) {
		u.stop()
	}
	return u.log.Write(p)
}
