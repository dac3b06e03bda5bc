package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"rekey/shared/emulator/freeport"
)

// process is a server that was started for a measurement.
type process struct {
	cmd  *exec.Cmd
	port string
	took time.Duration // from start to first answer
}

// start starts a server that listens where FUNCTIONS_CUSTOMHANDLER_PORT says, and
// waits for its first answer.
func start(ctx context.Context, bin string, env []string) (*process, error) {
	port, err := freeport.Next()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.CommandContext(ctx, bin), port: port}
	p.cmd.Env = append(slices.Clone(env), "FUNCTIONS_CUSTOMHANDLER_PORT="+port, "HOME="+os.TempDir())
	begin := time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", bin, err)
	}
	for {
		resp, err := http.Get("http://127.0.0.1:" + port + "/")
		if err == nil {
			p.took = time.Since(begin)
			return p, resp.Body.Close()
		}
		if time.Since(begin) > 30*time.Second {
			p.stop()
			return nil, fmt.Errorf("%s does not answer", bin)
		}
		time.Sleep(100 * time.Microsecond)
	}
}

func (p *process) stop() {
	p.cmd.Process.Kill() // it may have gone
	p.cmd.Wait()
}

// memory returns a figure of /proc/<pid>/status in MB: VmRSS, VmHWM.
func (p *process) memory(what string) (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("reading the memory in use: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == what+":" {
			kb, err := strconv.ParseFloat(f[1], 64)
			return kb / 1024, err
		}
	}
	return 0, fmt.Errorf("no %s in /proc", what)
}

// empty is the least that a Go server can be.
const empty = `package main

import (
	"net/http"
	"os"
)

func main() {
	http.ListenAndServe("127.0.0.1:"+os.Getenv("FUNCTIONS_CUSTOMHANDLER_PORT"), http.NotFoundHandler())
}
`

// coldStart times the handler and an empty server in turn, and takes the medians.
func coldStart(ctx context.Context, handler string) ([]result, error) {
	dir, err := os.MkdirTemp("", "rekey-bench-")
	if err != nil {
		return nil, fmt.Errorf("making a folder: %w", err)
	}
	defer os.RemoveAll(dir)
	source, bin := filepath.Join(dir, "main.go"), filepath.Join(dir, "empty")
	if err := os.WriteFile(source, []byte(empty), 0o600); err != nil {
		return nil, fmt.Errorf("writing the empty server: %w", err)
	}
	if out, err := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", bin, source).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the empty server: %w: %s", err, out)
	}
	env := []string{"REKEY_TABLE_SERVICE=https://bench.table.core.windows.net", "REKEY_KEY_VAULT_URL=https://bench.vault.azure.net"}
	var times, memory [2][]float64
	for range 15 {
		for i, b := range []string{handler, bin} {
			p, err := start(ctx, b, env)
			if err != nil {
				return nil, err
			}
			time.Sleep(200 * time.Millisecond) // idle
			mb, err := p.memory("VmRSS")
			p.stop()
			if err != nil {
				return nil, err
			}
			times[i] = append(times[i], float64(p.took.Microseconds())/1000)
			memory[i] = append(memory[i], mb)
		}
	}
	return []result{
		{"handler: start to first answer", median(times[0]), "ms"},
		{"empty server: start to first answer", median(times[1]), "ms"},
		{"ratio of the two", median(times[0]) / median(times[1]), ""},
		{"handler: idle memory", median(memory[0]), "MB"},
		{"empty server: idle memory", median(memory[1]), "MB"},
	}, nil
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}
