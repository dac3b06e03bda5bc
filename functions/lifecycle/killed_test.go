package lifecycle_test

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"rekey/shared/emulator/directory"
	"rekey/shared/emulator/fault"
	"rekey/shared/emulator/functionshost"
)

// mortal is a host whose handler can be killed.
type mortal struct {
	*world
	pids string // a file with the handler's process ids, one line for each start
}

// kill ends the handler that runs now as the machine's end would.
func (m *mortal) kill() error {
	data, err := os.ReadFile(m.pids)
	if err != nil {
		return err
	}
	lines := bytes.Fields(data)
	pid, err := strconv.Atoi(string(lines[len(lines)-1]))
	if err != nil {
		return err
	}
	p, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	return p.Kill()
}

func (m *mortal) starts() int {
	data, err := os.ReadFile(m.pids)
	if err != nil {
		m.Error(err)
	}
	return bytes.Count(data, []byte("\n"))
}

// dies kills the handler at the n-th call of op from now on that is about what is published,
// not about what is staged. It is carried out first or not at all and is never answered.
func (m *mortal) dies(op string, n int, apply bool) {
	calls := 0 // hooks are called one at a time
	m.failing(func(called string, r *http.Request) *fault.Effect {
		if called != op || strings.HasSuffix(r.URL.Path, "-staged") {
			return nil
		}
		if calls++; calls != n {
			return nil
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			m.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if err := m.kill(); err != nil {
			m.Error(err)
		}
		return &fault.Effect{Apply: apply}
	})
}

// The handler is killed in the middle of a creation or a rotation, and the host starts it
// again: what was begun is finished or undone, and what is published works all the time.
func TestKilled(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("the handler is started by a shell script here")
	}
	for name, c := range map[string]struct {
		creation bool
		op       string
		n        int
		apply    bool
	}{
		"creation, given secret not stored": {true, "vault.set", 1, false},
		"creation, given secret stored":     {true, "vault.set", 1, true},
		"creation, new secret issued":       {true, "graph.addPassword", 1, true},
		"rotation, new secret issued":       {false, "graph.addPassword", 1, true},
		"rotation, published":               {false, "vault.set", 1, true},
		"rotation, old one removed":         {false, "graph.removePassword", 1, true},
		"rotation, old one not removed":     {false, "graph.removePassword", 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			m := &mortal{pids: filepath.Join(t.TempDir(), "pids")}
			o := options{settings: settings{"REKEY_LEASE": "10s", "REKEY_SKEW": "500ms", "REKEY_CALL_TIMEOUT": "2s"}}
			o.start = func(w *world, env []string) (platform, error) {
				return startFunctions(w, watched, "", functionshost.Forwarding, append(env, "HANDLER_PIDS="+m.pids))
			}
			each(t, []string{builtIn}, o, func(w *world) {
				m.world = w
				a := w.sample()
				foreign, _ := w.password(a, inAYear())
				body := creation(a, object{"vaultSecretName": "billing-secret", "rotation": daily()})
				method, path := http.MethodPost, secrets
				if !c.creation {
					path, _ = w.connect(a, without(body, "credentials"))
					w.guard(a, "billing-secret", foreign)
					body, path = nil, path+"/rotate-credentials"
				}
				m.dies(c.op, c.n, c.apply)
				w.try(w.client, w.request("rotate", method, path, body)) // it may get no answer
				w.until("killed", func() bool { return m.starts() == 2 })
				w.failing(nil)
				w.until("finished or undone", func() bool { return m.atRest() })
				m.judge(a, foreign)
				if !c.creation && len(w.names()) != 1 {
					t.Error("the connection is gone")
				}
			})
		})
	}
}

// atRest reports whether nothing is left to be done.
func (m *mortal) atRest() bool {
	m.Helper()
	got := m.call("read", http.MethodGet, secrets+"/connection-name/billing", nil)
	if got.status == http.StatusNotFound {
		return m.published("billing-secret") == "" && !m.named("-staged")
	}
	now := m.one(got)
	return now.Rotation.Settled && now.Rotation.State == "idle" && len(now.Rotation.Retiring) == 0
}

// judge requires that the connection has exactly one client secret of its own, or, where its
// creation was undone, that everything is as it was and that it can be made.
func (m *mortal) judge(a directory.Application, foreign string) {
	m.Helper()
	if len(m.names()) == 0 {
		m.exactly(a, a.KeyID, foreign)
		if !m.signsIn(a, a.Secret) {
			m.Error("undone, and the given client secret does not sign in")
		}
		return
	}
	now := m.get(secrets + "/connection-name/billing")
	m.until("orphans removed", func() bool { return len(m.live(a)) == 2 })
	m.exactly(a, now.key(), foreign)
	m.dead(a, a.Secret)
	m.works(a, "billing-secret")
}
