// Command pack makes the files that are deployed, out of what was built:
//
//	dist/rekey-azure.zip           the app root of the Functions host
//	dist/rekey-lambda-<arch>.zip   bootstrap, for arm64 and amd64
//	dist/SHA256SUMS                their checksums, as sha256sum -c reads them
//
// The same input gives the same bytes, on any machine and at any time, so that a person
// who builds a version again can compare checksums. What does not belong into a file is
// refused: a local.settings.json with secrets must not be deployed by mistake.
package main

import (
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	azure := flag.String("azure", "build/azure", "staged app root; its handler is for linux/amd64")
	lambda := flag.String("lambda", "build/lambda", "folder of <arch>/bootstrap")
	dist := flag.String("dist", "dist", "where the files go")
	arch := flag.String("arch", "amd64", "what the handler was built for")
	lambdaArchs := flag.String("lambda-arch", "amd64,arm64", "what there is a bootstrap for")
	flag.Parse()
	packages := []archive{azureApp(*azure, *arch)}
	for a := range strings.SplitSeq(*lambdaArchs, ",") {
		packages = append(packages, lambdaFunction(*lambda, a))
	}
	if err := pack(*dist, packages, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

// pack writes the archives and their checksums to dist, and lists them on out. It
// writes nothing if one of them cannot be made.
func pack(dist string, archives []archive, out io.Writer) error {
	var errs []error
	files := make(map[string][]byte)
	var sums, lines []string
	for _, a := range archives {
		data, err := a.bytes()
		if err != nil {
			errs = append(errs, fmt.Errorf("making %s: %w", a.name, err))
			continue
		}
		files[a.name] = data
		sums = append(sums, fmt.Sprintf("%x  %s\n", sha256.Sum256(data), a.name))
		lines = append(lines, fmt.Sprintf("%s  %.1f MB\n", filepath.Join(dist, a.name), float64(len(data))/1e6))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	slices.SortFunc(sums, func(a, b string) int { return strings.Compare(a[sha256.Size*2:], b[sha256.Size*2:]) })
	files["SHA256SUMS"] = []byte(strings.Join(sums, ""))
	if err := os.MkdirAll(dist, 0o755); err != nil {
		return fmt.Errorf("making the folder: %w", err)
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dist, name), data, 0o644); err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
	}
	_, err := io.WriteString(out, strings.Join(lines, ""))
	return err
}
