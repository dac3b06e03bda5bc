package main

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// program is what debug/elf takes for a static program of that machine: a header,
// and the interpreter if it shall need one.
func program(machine byte, interpreter bool) []byte {
	b := make([]byte, 64+56)
	copy(b, "\x7fELF\x02\x01\x01")
	b[16], b[18], b[20] = 2, machine, 1 // an executable
	b[32], b[52], b[54], b[56] = 64, 64, 56, 1
	b[64] = 1 // PT_LOAD
	if interpreter {
		b[64] = 3
	}
	return b
}

const (
	x86 = 62
	arm = 183
)

// tree writes files below a new folder.
func tree(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func azureTree(more map[string][]byte) map[string][]byte {
	files := map[string][]byte{
		"host.json": []byte("{}"), "handler": program(x86, false),
		"rotatedue/function.json": []byte("{}"), "connections/function.json": []byte("{}"), "health/function.json": []byte("{}"),
	}
	for name, data := range more {
		files[name] = data
		if data == nil {
			delete(files, name)
		}
	}
	return files
}

func TestContents(t *testing.T) {
	dist := t.TempDir()
	var out bytes.Buffer
	err := pack(dist, []archive{
		azureApp(tree(t, azureTree(nil)), "amd64"),
		lambdaFunction(tree(t, map[string][]byte{"arm64/bootstrap": program(arm, false), "amd64/bootstrap": program(x86, false)}), "arm64"),
	}, &out)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"rekey-azure.zip": "connections/function.json 644, handler 755, health/function.json 644, host.json 644, " +
			"rotatedue/function.json 644",
		"rekey-lambda-arm64.zip": "bootstrap 755",
	} {
		r, err := zip.OpenReader(filepath.Join(dist, name))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range r.File {
			got = append(got, fmt.Sprintf("%s %o", f.Name, f.Mode().Perm()))
			if !f.Modified.Equal(epoch) {
				t.Errorf("%s: %s is of %s", name, f.Name, f.Modified)
			}
		}
		r.Close()
		if list := strings.Join(got, ", "); list != want {
			t.Errorf("%s has %s, want %s", name, list, want)
		}
		if !strings.Contains(out.String(), name) {
			t.Errorf("%q does not tell of %s", out.String(), name)
		}
	}
	checkSums(t, dist, "rekey-azure.zip", "rekey-lambda-arm64.zip")
}

// checkSums does what sha256sum -c does, and wants exactly these files listed.
func checkSums(t *testing.T, dist string, names ...string) {
	t.Helper()
	sums, err := os.ReadFile(filepath.Join(dist, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(dist, name))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&want, "%x  %s\n", sha256.Sum256(data), name)
	}
	if string(sums) != want.String() {
		t.Errorf("SHA256SUMS is\n%swant\n%s", sums, want.String())
	}
}

func TestRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		change map[string][]byte
		says   []string
	}{
		"settings with secrets": {map[string][]byte{"local.settings.json": []byte("{}")}, []string{"local.settings.json does not belong"}},
		"sources": {map[string][]byte{"health/health.go": []byte("x"), "a/b/function.json": []byte("{}")},
			[]string{"health/health.go does not", "a/b/function.json does not"}},
		"several": {map[string][]byte{"handler": nil, "host.json": nil, "x": []byte("x")},
			[]string{"handler is missing", "host.json is missing", "x does not"}},
		"no functions": {
			map[string][]byte{"rotatedue/function.json": nil, "connections/function.json": nil, "health/function.json": nil},
			[]string{"there is no <function>/function.json"},
		},
		"another system":   {map[string][]byte{"handler": []byte("MZ\x90")}, []string{"no program for Linux"}},
		"another machine":  {map[string][]byte{"handler": program(arm, false)}, []string{"GOARCH=amd64"}},
		"shared libraries": {map[string][]byte{"handler": program(x86, true)}, []string{"CGO_ENABLED=0"}},
	} {
		t.Run(name, func(t *testing.T) {
			dist := filepath.Join(t.TempDir(), "dist")
			err := pack(dist, []archive{
				lambdaFunction(tree(t, map[string][]byte{"amd64/bootstrap": program(x86, false)}), "amd64"),
				azureApp(tree(t, azureTree(tt.change)), "amd64"),
			}, io.Discard)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range tt.says {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
			if _, err := os.Stat(dist); err == nil {
				t.Error("something was written")
			}
		})
	}
	if err := pack(t.TempDir(), []archive{lambdaFunction(t.TempDir(), "arm64")}, io.Discard); err == nil {
		t.Error("a folder that is missing is accepted")
	}
}

// Two builds of the same version, from sources in different folders, give the same
// bytes, whatever the file system says of time and mode. The two hosts' programs are built alike.
func TestReproducible(t *testing.T) {
	first := packed(t)
	src, second := t.TempDir(), t.TempDir()
	copySources(t, src)
	azure := buildAzure(t, src, t.TempDir())
	if err := os.Chtimes(filepath.Join(azure, "host.json"), time.Now(), time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(azure, "handler"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := pack(second, []archive{azureApp(azure, runtime.GOARCH)}, io.Discard); err != nil {
		t.Fatal(err)
	}
	const name = "rekey-azure.zip"
	a, errA := os.ReadFile(filepath.Join(first, name))
	b, errB := os.ReadFile(filepath.Join(second, name))
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Errorf("%d and %d bytes differ (%v, %v)", len(a), len(b), errA, errB)
	}
}

// Both services load it at each cold start. If it jumps by 2 MB, something finds
// methods by name again (text/template does), and nothing is left out any more.
func TestPackagesAreSmall(t *testing.T) {
	dist := packed(t)
	names := []string{"rekey-azure.zip", "rekey-lambda-" + runtime.GOARCH + ".zip"}
	for _, name := range names {
		if i, err := os.Stat(filepath.Join(dist, name)); err != nil || i.Size() > 12_000_000 {
			t.Errorf("%s: more than 12 MB, or none (%v)", name, err)
		}
	}
	checkSums(t, dist, names...)
}
