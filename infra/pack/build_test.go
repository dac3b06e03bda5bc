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

// buildAzure builds the handler from the sources in src, as the Makefile does, and stages the app below dir.
func buildAzure(t *testing.T, src, dir string) (root string) {
	t.Helper()
	root = filepath.Join(dir, "azure")
	build(t, src, filepath.Join(root, "handler"), "./functions/cmd/azure", "grpcnotrace")
	copyFile(t, filepath.Join(repository, "host.json"), filepath.Join(root, "host.json"))
	functions, err := filepath.Glob(filepath.Join(repository, "functions", "*", "function.json"))
	if err != nil || len(functions) == 0 {
		t.Fatalf("no functions found: %v", err)
	}
	for _, f := range functions {
		copyFile(t, f, filepath.Join(root, filepath.Base(filepath.Dir(f)), "function.json"))
	}
	return root
}

// buildLambda builds the function from the sources in src, as the Makefile does, below dir.
func buildLambda(t *testing.T, src, dir string) (root string) {
	t.Helper()
	root = filepath.Join(dir, "lambda")
	build(t, src, filepath.Join(root, runtime.GOARCH, "bootstrap"), "./functions/cmd/lambda", "grpcnotrace,lambda.norpc")
	return root
}

func build(t *testing.T, src, out, path, tags string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("skipped: the packages hold programs for Linux, which this system cannot run")
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-tags", tags,
		"-gcflags", "maragu.dev/gomponents/...=-l", "-gcflags", "rekey/...=-l",
		"-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -X rekey/shared/app.Version="+version, "-o", out, path)
	cmd.Dir = src
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+runtime.GOARCH)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", path, err, out)
	}
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
		azure, lambda := buildAzure(t, repository, built.dir), buildLambda(t, repository, built.dir)
		dist := filepath.Join(built.dir, "dist")
		if err := pack(dist, []archive{azureApp(azure, runtime.GOARCH), lambdaFunction(lambda, runtime.GOARCH)}, io.Discard); err != nil {
			t.Fatal(err)
		}
		built.azure, built.dist = azure, dist
	})
	if built.dist == "" {
		t.Skip("skipped: there are no packages")
	}
	return built.dist
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
