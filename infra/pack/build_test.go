package main

import (
	"archive/zip"
	"bytes"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"rekey/shared/emulator/localtls"
)

// version is stamped into the programs of these tests.
const version = "v0.0.0-test"

// repository is where the module's root is.
const repository = "../.."

// build builds both programs from the sources in src, as the Makefile does, and
// stages them below dir.
func build(t *testing.T, src, dir string) (azure, lambda string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("skipped: the packages hold programs for Linux, which this system cannot run")
	}
	azure, lambda = filepath.Join(dir, "azure"), filepath.Join(dir, "lambda")
	for _, program := range []struct{ out, path, tags string }{
		{filepath.Join(azure, "handler"), "./functions/cmd/azure", "grpcnotrace"},
		{filepath.Join(lambda, runtime.GOARCH, "bootstrap"), "./functions/cmd/lambda", "grpcnotrace,lambda.norpc"},
	} {
		cmd := exec.CommandContext(t.Context(), "go", "build", "-tags", program.tags, "-gcflags", "maragu.dev/gomponents/...=-l", "-gcflags", "rekey/...=-l",
			"-trimpath", "-buildvcs=false",
			"-ldflags", "-s -w -X rekey/shared/app.Version="+version, "-o", program.out, program.path)
		cmd.Dir = src
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+runtime.GOARCH)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("building %s: %v\n%s", program.path, err, out)
		}
	}
	copyFile(t, filepath.Join(repository, "host.json"), filepath.Join(azure, "host.json"))
	functions, err := filepath.Glob(filepath.Join(repository, "functions", "*", "function.json"))
	if err != nil || len(functions) == 0 {
		t.Fatalf("no functions found: %v", err)
	}
	for _, f := range functions {
		copyFile(t, f, filepath.Join(azure, filepath.Base(filepath.Dir(f)), "function.json"))
	}
	return azure, lambda
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o755)
	}
	if err == nil {
		err = os.WriteFile(to, data, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// copySources copies what the programs are built of.
func copySources(t *testing.T, to string) {
	t.Helper()
	for _, name := range []string{"go.mod", "go.sum"} {
		copyFile(t, filepath.Join(repository, name), filepath.Join(to, name))
	}
	for _, dir := range []string{"functions", "shared"} {
		err := filepath.WalkDir(filepath.Join(repository, dir), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				name, relErr := filepath.Rel(repository, path)
				if relErr != nil {
					return relErr
				}
				copyFile(t, path, filepath.Join(to, name))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// built is one build for all tests of this package, whose folder TestMain removes.
var built struct {
	once        sync.Once
	dir         string
	azure, dist string // the staged app, and the packages; empty: not built
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// packed returns the folder with the packages of the build.
func packed(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		var err error
		if built.dir, err = os.MkdirTemp("", "rekey-pack-"); err != nil {
			t.Fatal(err)
		}
		azure, lambda := build(t, repository, built.dir)
		dist := filepath.Join(built.dir, "dist")
		runPack(t, azure, lambda, dist)
		built.azure, built.dist = azure, dist
	})
	if built.dist == "" {
		t.Skip("skipped: there are no packages")
	}
	return built.dist
}

// runPack runs this program on what was built, as the Makefile does. It is a process
// of its own because the race detector makes compression thirty times slower.
func runPack(t *testing.T, azure, lambda, dist string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "run", ".",
		"-azure", azure, "-lambda", lambda, "-dist", dist, "-arch", runtime.GOARCH, "-lambda-arch", runtime.GOARCH)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("packing: %v\n%s", err, out)
	}
}

// unpack unpacks a zip file as a host does, modes included.
func unpack(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, f := range r.File {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, f.Mode()); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// startTLS serves h with a certificate of ca and returns its address.
func startTLS(t *testing.T, ca *localtls.Authority, h http.Handler) string {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.TLS = ca.ServerConfig()
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL
}
