package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"rekey/shared/emulator/azurite"
)

// coreTools runs the staged app under Azure Functions Core Tools.
//
// They read local.settings.json beside host.json, and a variable that is set already wins
// over it. They start no timer without AzureWebJobsStorage, nor without a storage there.
type coreTools struct {
	tool     string // the program func
	settings string // the file local.settings.json
}

// developmentStorage stands in AzureWebJobsStorage for a storage emulator.
const developmentStorage = "UseDevelopmentStorage=true"

// run starts Azurite if the settings ask for a storage emulator, and emulated services,
// with a sample, if they name no table service.
func (c coreTools) run(ctx context.Context, root, dir, port string, out io.Writer) error {
	values, err := c.values()
	if err != nil {
		return err
	}
	var storage []string
	if values["AzureWebJobsStorage"] == developmentStorage {
		s, err := azurite.StartStorage(ctx)
		if err != nil {
			return fmt.Errorf("%w. Or write the connection string of a storage account into AzureWebJobsStorage of %s", err, c.settings)
		}
		defer s.Stop()
		storage = []string{"AzureWebJobsStorage=" + s.ConnectionString}
	}
	start := func(ctx context.Context, root, addr string, env []string, log io.Writer) (host, error) {
		return c.start(ctx, root, addr, append(env, storage...), log)
	}
	if values["REKEY_TABLE_SERVICE"] == "" {
		return emulated(ctx, root, dir, port, out, start)
	}
	if err := free(port); err != nil {
		return err
	}
	addr := net.JoinHostPort("127.0.0.1", port)
	h, err := start(ctx, root, addr, os.Environ(), out)
	if err != nil {
		return err
	}
	defer h.Stop()
	fmt.Fprintf(out, "\nRekey is up at http://%s, with the services of %s. Ctrl-C stops it.\n", addr, c.settings)
	return wait(ctx, h, out)
}

// values reads the settings.
func (c coreTools) values() (map[string]string, error) {
	data, err := os.ReadFile(c.settings)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no %s: copy local.settings.json.example, which works as it is", c.settings)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the settings: %w", err)
	}
	var file struct{ Values map[string]string }
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("decoding %s: %w", c.settings, err)
	}
	return file.Values, nil
}

// process is func, as a child.
type process struct {
	stop context.CancelFunc
	done chan struct{}
	err  error // read after done is closed
}

func (p *process) Done() <-chan struct{} { return p.done }
func (p *process) Err() error            { return p.err }
func (p *process) Stop() {
	p.stop()
	<-p.done
}

// start starts func and returns when the app answers.
func (c coreTools) start(ctx context.Context, root, addr string, env []string, log io.Writer) (host, error) {
	data, err := os.ReadFile(c.settings)
	if err != nil {
		return nil, fmt.Errorf("reading the settings: %w", err)
	}
	if err := os.WriteFile(filepath.Join(root, "local.settings.json"), data, 0o600); err != nil {
		return nil, fmt.Errorf("putting the settings beside host.json (make stage makes that): %w", err)
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("reading the address: %w", err)
	}
	child, stop := context.WithCancel(ctx)
	cmd := exec.CommandContext(child, c.tool, "start", "--port", port)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = root, env, log, log
	// It ends the handler, which it could not if it were killed.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	if err := cmd.Start(); err != nil {
		stop()
		return nil, fmt.Errorf("starting Azure Functions Core Tools (install version 4, or use make run): %w", err)
	}
	p := &process{stop: stop, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err := p.ready(ctx, "http://"+addr+"/health"); err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}

// ready waits until the app answers at url.
func (p *process) ready(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return fmt.Errorf("asking the app: %w", err)
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-p.done:
			return errors.Join(errors.New("the Core Tools ended before the app answered; what they wrote says why"), p.err)
		case <-ctx.Done():
			return fmt.Errorf("waiting for the app under the Core Tools: %w", context.Cause(ctx))
		}
	}
}
