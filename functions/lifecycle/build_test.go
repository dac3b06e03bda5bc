package lifecycle_test

import (
	"archive/zip"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// repository is where the module's root is.
const repository = "../.."

// workDir has everything that is built here; TestMain removes it.
var workDir string

func TestMain(m *testing.M) {
	flag.Parse()
	if parallel := flag.Lookup("test.parallel"); parallel.Value.String() == parallel.DefValue {
		parallel.Value.Set("16") // more than there are processors: most of the time the stories wait
	}
	var err error
	if workDir, err = os.MkdirTemp("", "rekey-lifecycle-"); err != nil {
		fmt.Fprintln(os.Stderr, "making a folder:", err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(workDir)
	os.Exit(code)
}

// execute runs a program in the repository.
func execute(name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir = repository
	// A make that runs the tests says in these what it was told itself.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "MAKE") || strings.HasPrefix(e, "MFLAGS") })
	cmd.Env = append(cmd.Env, "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("running %s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

// staged is the app root as the Makefile stages it.
var staged = sync.OnceValues(func() (string, error) {
	root := filepath.Join(workDir, "azure")
	return root, execute("make", "stage", "ROOT="+root, "VERSION=lifecycle")
})

// watched is the staged app with a script in the place of the handler. The script adds its
// process id to the file HANDLER_PIDS and becomes the handler, so that a story can kill it.
var watched = sync.OnceValues(func() (string, error) {
	from, err := staged()
	if err != nil {
		return "", err
	}
	root := filepath.Join(workDir, "watched")
	err = filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "handler" {
			return err
		}
		data, err := os.ReadFile(path)
		name, relErr := filepath.Rel(from, path)
		if err := errors.Join(err, relErr, os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755)); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(root, name), data, 0o644)
	})
	script := "#!/bin/sh\necho $$ >>\"$HANDLER_PIDS\"\nexec '" + filepath.Join(from, "handler") + "'\n"
	return root, errors.Join(err, os.WriteFile(filepath.Join(root, "handler"), []byte(script), 0o755))
})

// unpacked are both packages as they come out of infra/pack, unpacked as a platform does.
// The program of the Azure package is the one that was staged: it is built once.
var unpacked = sync.OnceValues(func() (string, error) {
	azure, err := staged()
	if err != nil {
		return "", err
	}
	lambda, dist, out := filepath.Join(workDir, "lambda"), filepath.Join(workDir, "dist"), filepath.Join(workDir, "unpacked")
	err = execute("go", "build", "-tags", "grpcnotrace,lambda.norpc", "-gcflags", "maragu.dev/gomponents/...=-l", "-gcflags", "rekey/...=-l",
		"-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -X rekey/shared/app.Version=lifecycle", "-o", filepath.Join(lambda, runtime.GOARCH, "bootstrap"),
		"./functions/cmd/lambda")
	if err != nil {
		return "", err
	}
	err = execute("go", "run", "./infra/pack", "-azure", azure, "-lambda", lambda, "-dist", dist,
		"-arch", runtime.GOARCH, "-lambda-arch", runtime.GOARCH)
	if err != nil {
		return "", err
	}
	return out, errors.Join(
		unpack(filepath.Join(dist, "rekey-azure.zip"), filepath.Join(out, "azure")),
		unpack(filepath.Join(dist, "rekey-lambda-"+runtime.GOARCH+".zip"), filepath.Join(out, "lambda")))
})

// unpack unpacks a zip file, modes included.
func unpack(file, to string) error {
	r, err := zip.OpenReader(file)
	if err != nil {
		return fmt.Errorf("opening a package: %w", err)
	}
	defer r.Close()
	for _, f := range r.File {
		in, err := f.Open()
		if err != nil {
			return fmt.Errorf("unpacking %s: %w", f.Name, err)
		}
		data, err := io.ReadAll(in)
		path := filepath.Join(to, filepath.FromSlash(f.Name))
		if err := errors.Join(err, os.MkdirAll(filepath.Dir(path), 0o755)); err != nil {
			return fmt.Errorf("unpacking %s: %w", f.Name, err)
		}
		if err := os.WriteFile(path, data, f.Mode()); err != nil {
			return fmt.Errorf("unpacking %s: %w", f.Name, err)
		}
	}
	return nil
}
