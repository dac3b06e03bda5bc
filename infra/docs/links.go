package docs

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
)

// tree is the files and folders of the repository, without what is built or installed.
type tree map[string]bool

// notOurs are folders that no commit has.
var notOurs = []string{".git", ".local", ".bin", "build", "dist", "node_modules", ".terraform"}

func readTree(files fs.FS) (tree, error) {
	t := tree{}
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a temporary file of another test
		}
		if err != nil {
			return err
		}
		if entry.IsDir() && slices.Contains(notOurs, entry.Name()) {
			return fs.SkipDir
		}
		t[name] = true
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing the repository: %w", err)
	}
	return t, nil
}

func (t tree) has(name string) bool { return t[path.Clean(name)] }

// pages are those that people read.
func (t tree) pages() []string {
	var out []string
	for name := range t {
		deployment, _ := path.Match("infra/*/README.md", name)
		if deployment || strings.HasPrefix(name, "docs/") && strings.HasSuffix(name, ".md") ||
			slices.Contains([]string{"README.md", "CONTRIBUTING.md", "SECURITY.md"}, name) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// checkLink checks that a link leads somewhere. Other hosts are not asked.
func (c *checker) checkLink(p *page, l part) {
	to, err := url.Parse(l.text)
	if err != nil {
		c.report(p, l.line, "the link %s does not parse: %v", l.text, err)
		return
	}
	if to.Scheme != "" || to.Host != "" {
		if to.Scheme != "https" || !strings.Contains(to.Hostname(), ".") {
			c.report(p, l.line, "the link %s is no https address", l.text)
		}
		return
	}
	name := p.path
	if to.Path != "" {
		name = path.Join(path.Dir(p.path), to.Path)
	}
	if !c.tree.has(name) {
		c.report(p, l.line, "the link %s leads to %s, which there is not", l.text, name)
		return
	}
	if to.Fragment == "" {
		return
	}
	target, err := c.page(name)
	if err != nil || !target.slugs[to.Fragment] {
		c.report(p, l.line, "%s has no anchor #%s", name, to.Fragment)
	}
}

var (
	pathForm = regexp.MustCompile(`^\.?[A-Za-z0-9_*-][A-Za-z0-9_.*-]*(/[A-Za-z0-9_.*-]+)*/?$`)
	ourFile  = regexp.MustCompile(`\.(go|tf|hcl|sh|md|example)$`)
)

// checkPath checks a file or folder that a page names in code: from the root, from the page, or by
// the end of its path.
func (c *checker) checkPath(p *page, s part) {
	if !pathForm.MatchString(s.text) {
		return
	}
	first, _, folders := strings.Cut(s.text, "/")
	if !(folders && c.tree.has(first)) && !ourFile.MatchString(s.text) {
		return
	}
	if !c.readers(s.text) && !c.tree.named(strings.TrimSuffix(s.text, "/"), path.Dir(p.path), folders && c.tree.has(first)) {
		c.report(p, s.line, "there is no %s in the repository", s.text)
	}
}

// readers reports whether a file is one that only the reader's machine has.
func (c *checker) readers(name string) bool {
	found := slices.ContainsFunc(c.reference.Files, func(n Name) bool { return n.Name == name })
	c.used[name] = c.used[name] || found
	return found
}

// named reports whether a name, which may be a pattern such as infra/*/README.md, is that of a file or
// folder: from the root, from a page's folder, or, if it does not begin at the root, by the end of its path.
func (t tree) named(name, folder string, rooted bool) bool {
	if !strings.Contains(name, "*") && (t.has(name) || t.has(path.Join(folder, name))) {
		return true
	}
	for have := range t {
		if matches(name, have) || matches(path.Join(folder, name), have) || !rooted && matchesEnd(name, have) {
			return true
		}
	}
	return false
}

// matches compares a path with a pattern such as infra/*/README.md.
func matches(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return err == nil && ok
}

func matchesEnd(pattern, name string) bool {
	parts := strings.Split(name, "/")
	return matches(pattern, path.Join(parts[max(0, len(parts)-1-strings.Count(pattern, "/")):]...))
}
