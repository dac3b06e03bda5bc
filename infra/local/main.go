// Command local runs all of Rekey on this machine: emulated Entra, Graph, Key Vault
// and table, and the deployed handler under the built-in Functions host. It connects
// a sample application through the real API, shows what happened to its client
// secret, and stays up for more. `make run` builds what it needs.
//
// With -func the host is Azure Functions Core Tools, with Azurite for its storage, and
// local.settings.json says whether the services are emulated: `make func`.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"rekey/shared/auth"
	"rekey/shared/emulator/directory"
	"rekey/shared/emulator/freeport"
	"rekey/shared/emulator/functionshost"
	"rekey/shared/emulator/stack"
	"rekey/shared/oauth"
	"rekey/shared/session"
)

func main() {
	root := flag.String("root", "build/azure", "staged app root; make stage makes it")
	dir := flag.String("dir", ".local", "where demo.env, the CA's certificate and the log go")
	port := flag.String("port", "7071", "port of the API on loopback")
	tools := flag.Bool("func", false, "under Azure Functions Core Tools, with local.settings.json of this folder")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	serve := run
	if *tools {
		serve = coreTools{tool: "func", settings: "local.settings.json"}.run
	}
	if err := serve(ctx, *root, *dir, *port, os.Stdout); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "rekey:", err)
		os.Exit(1)
	}
}

// host is a Functions host that serves the staged app until it is stopped.
type host interface {
	Done() <-chan struct{}
	Err() error // why it ended by itself
	Stop()
}

// starter starts a host that listens at addr, with env as its environment.
type starter func(ctx context.Context, root, addr string, env []string, log io.Writer) (host, error)

// run starts everything under the built-in host, shows the sample, and waits for ctx to
// end.
func run(ctx context.Context, root, dir, port string, out io.Writer) error {
	return emulated(ctx, root, dir, port, out, builtIn)
}

func builtIn(ctx context.Context, root, addr string, env []string, log io.Writer) (host, error) {
	h, err := functionshost.New(functionshost.Config{
		Root: root, Addr: addr, Stdout: log, Log: slog.New(slog.NewJSONHandler(log, nil)), Env: env,
	})
	if err != nil {
		return nil, fmt.Errorf("reading the staged app (make stage makes it): %w", err)
	}
	if err := h.Start(ctx); err != nil {
		return nil, fmt.Errorf("starting the Functions host: %w", err)
	}
	return h, nil
}

// localDir makes the folder for what is left here, and the log in it.
func localDir(dir string) (string, *os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", nil, fmt.Errorf("making the local folder: %w", err)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", nil, fmt.Errorf("finding the local folder: %w", err)
	}
	log, err := os.OpenFile(filepath.Join(dir, "rekey.log"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return "", nil, fmt.Errorf("opening the log: %w", err)
	}
	return dir, log, nil
}

// emulated is run for any host.
func emulated(ctx context.Context, root, dir, port string, out io.Writer, start starter) error {
	if err := free(port); err != nil {
		return err
	}
	dir, logFile, err := localDir(dir)
	if err != nil {
		return err
	}
	defer logFile.Close()
	services, err := stack.Start(stack.Config{Dir: dir, Propagation: 2 * time.Second})
	if err != nil {
		return err
	}
	defer services.Stop()
	addr := net.JoinHostPort("127.0.0.1", port)
	people, err := services.AddOAuthApplication("http://"+addr+oauth.CallbackPath, "http://"+addr+session.CallbackPath)
	if err != nil {
		return err
	}
	key, hash, err := auth.NewKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("making an API key: %w", err)
	}
	env := append(environ(), append(services.Env(), "REKEY_API_KEYS=demo:admin:"+hash, "REKEY_ROTATION_SCHEDULE=0 * * * * *",
		"REKEY_PUBLIC_URL=http://"+addr, "INF_APP_CONNECTION_AZURE_CLIENT_SECRETS_CLIENT_ID="+people.ClientID,
		"INF_APP_CONNECTION_AZURE_CLIENT_SECRETS_CLIENT_SECRET="+people.Secret,
		"REKEY_AUTH_TENANT_ID="+services.TenantID, "REKEY_AUTH_AUDIENCE="+people.ClientID)...)
	h, err := start(ctx, root, addr, env, logFile)
	if err != nil {
		return err
	}
	defer h.Stop()

	d := demo{url: "http://" + addr, key: key, out: out, services: services}
	if err := d.neglect(); err != nil {
		return err
	}
	if err := d.show(ctx); err != nil {
		return fmt.Errorf("connecting the sample: %w (the log is %s)", err, logFile.Name())
	}
	if err := d.scan(ctx); err != nil {
		return fmt.Errorf("scanning the tenant: %w (the log is %s)", err, logFile.Name())
	}
	second, err := services.AddSample("reporting")
	if err != nil {
		return fmt.Errorf("registering the second sample: %w", err)
	}
	spare, err := services.AddSample("accounting")
	if err != nil {
		return fmt.Errorf("registering the spare sample: %w", err)
	}
	certificate, err := addCertificate(services, dir)
	if err != nil {
		return err
	}
	if err := writeEnv(filepath.Join(dir, "demo.env"), d, second, spare, certificate, people.Administrator); err != nil {
		return err
	}
	d.stay(dir)
	return wait(ctx, h, out)
}

// wait waits until ctx or the host ends.
func wait(ctx context.Context, h host, out io.Writer) error {
	select {
	case <-ctx.Done():
		fmt.Fprintln(out, "\nstopping")
		return nil
	case <-h.Done():
		return errors.Join(errors.New("the Functions host has ended"), h.Err())
	}
}

// free says what to do about a port that is taken, before anything is started.
func free(port string) error {
	if err := freeport.Check(port); err != nil {
		return fmt.Errorf("port %s is taken or not allowed; choose another one: make run PORT=7072", port)
	}
	return nil
}

// environ is our own environment without settings of Rekey's that would get mixed
// with the stack's.
func environ() []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "REKEY_") && !strings.HasPrefix(e, "AZURE_") && !strings.HasPrefix(e, "INF_APP_CONNECTION_") {
			env = append(env, e)
		}
	}
	return env
}

// writeEnv leaves what the README's curl lines need, for this user only: it has the
// secret of a sample and an API key of this stack.
func writeEnv(path string, d demo, second, spare directory.Application, certificate certificateSample, administrator string) error {
	var b strings.Builder
	for _, kv := range [][2]string{
		{"REKEY_URL", d.url}, {"REKEY_API_KEY", d.key.Reveal()},
		{"TENANT_ID", second.TenantID}, {"CLIENT_ID", second.ClientID}, {"CLIENT_SECRET", second.Secret}, {"CLIENT_SECRET_KEY_ID", second.KeyID},
		{"CERTIFICATE_CLIENT_ID", certificate.clientID}, {"CERTIFICATE_FILE", certificate.file}, {"CERTIFICATE_KEY_FILE", certificate.keyFile},
		{"TARGET_CLIENT_ID", certificate.target}, {"ADMINISTRATOR_ID", administrator}, {"OTHER_CLIENT_ID", certificate.other},
		// For the lines of docs/install.md, beside those of docs/api.md.
		{"SPARE_CLIENT_ID", spare.ClientID}, {"SPARE_CLIENT_SECRET", spare.Secret}, {"SPARE_CLIENT_SECRET_KEY_ID", spare.KeyID},
		{"SPARE_TARGET_CLIENT_ID", certificate.spare.clientID}, {"SPARE_TARGET_KEY_ID", certificate.spare.keyID},
		{"SPARE_OTHER_CLIENT_ID", certificate.spareOther.clientID}, {"SPARE_OTHER_KEY_ID", certificate.spareOther.keyID},
		{"AUTHORITY_HOST", d.services.AuthorityURL}, {"GRAPH_URL", d.services.GraphURL}, {"KEY_VAULT_URL", d.services.VaultURL},
		{"TABLE_SERVICE", d.services.TableService}, {"CA_FILE", d.services.CAFile},
		{"FAULTS_URL", d.services.AdminURL}, // docs/faults.md
	} {
		fmt.Fprintf(&b, "%s='%s'\n", kv[0], kv[1])
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) { // its mode might be another
		return fmt.Errorf("replacing demo.env: %w", err)
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		return fmt.Errorf("writing demo.env: %w", err)
	}
	return nil
}
