package main

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// archive is a zip file that can be made.
type archive struct {
	name       string
	root       string // the folder that it is made of
	arch       string // GOARCH of the program in it
	executable string // the one program; everything else is data
	functions  bool   // it also has host.json and <function>/function.json
}

func azureApp(root, arch string) archive {
	return archive{name: "rekey-azure.zip", root: root, arch: arch, executable: "handler", functions: true}
}

func lambdaFunction(dir, arch string) archive {
	return archive{name: "rekey-lambda-" + arch + ".zip", root: filepath.Join(dir, arch), arch: arch, executable: "bootstrap"}
}

// epoch is the time of every entry: the first that the format knows.
var epoch = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// bytes makes the zip file. The order of entries, their times and modes, and the
// compression do not depend on the file system.
func (a archive) bytes() ([]byte, error) {
	names, err := a.contents()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	w.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestCompression) })
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(a.root, filepath.FromSlash(name)))
		if err != nil {
			return nil, err
		}
		h := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: epoch}
		h.SetMode(0o644)
		if name == a.executable {
			if err := runsOnLinux(data, a.arch); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			h.SetMode(0o755)
		}
		entry, err := w.CreateHeader(h)
		if err != nil {
			return nil, err
		}
		if _, err := entry.Write(data); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// contents lists the entries, sorted. Whatever is missing or does not belong there is
// a mistake, and all of them are told at once.
func (a archive) contents() ([]string, error) {
	var names []string
	var errs []error
	err := fs.WalkDir(os.DirFS(a.root), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if !d.Type().IsRegular() || !a.belongs(name) {
			errs = append(errs, fmt.Errorf("%s does not belong into it; build anew", name))
		}
		names = append(names, name)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !slices.Contains(names, a.executable) {
		errs = append(errs, fmt.Errorf("%s is missing", a.executable))
	}
	if a.functions && !slices.Contains(names, "host.json") {
		errs = append(errs, errors.New("host.json is missing"))
	}
	if a.functions && !slices.ContainsFunc(names, isFunction) {
		errs = append(errs, errors.New("there is no <function>/function.json"))
	}
	slices.Sort(names)
	return names, errors.Join(errs...)
}

func (a archive) belongs(name string) bool {
	return name == a.executable || a.functions && (name == "host.json" || isFunction(name))
}

// isFunction: the host looks for functions one level below host.json only.
func isFunction(name string) bool {
	return path.Base(name) == "function.json" && strings.Count(name, "/") == 1
}

// runsOnLinux checks that a program is for Linux on that GOARCH and brings all of
// itself: neither host has the libraries of the machine that built it.
func runsOnLinux(data []byte, arch string) error {
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("it is no program for Linux; build it with GOOS=linux GOARCH=%s", arch)
	}
	if want := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[arch]; f.Machine != want {
		return fmt.Errorf("it is for %s; build it with GOOS=linux GOARCH=%s", f.Machine, arch)
	}
	if slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		return errors.New("it needs shared libraries; build it with CGO_ENABLED=0")
	}
	return nil
}
