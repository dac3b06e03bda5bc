package docs

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"
)

// The kinds of parts that rules look at.
type kind int

const (
	block    kind = iota // a code block
	span                 // code within a sentence or a cell
	link                 // a link, by its destination
	variable             // a shell variable that a table of variables lists
	imported             // a page whose variables this one says to use
)

// part is a piece of a page.
type part struct {
	kind     kind
	line     int    // of its first line of text
	language string // of a block; "" if it names none
	text     string
	group    int // spans with one number stand in the same paragraph or cell
}

// page is a Markdown page in parts.
type page struct {
	path   string
	source []byte
	parts  []part
	slugs  map[string]bool // its anchors
}

var markdown = goldmark.New(goldmark.WithExtensions(extension.Table, extension.Linkify)).Parser()

// page reads a page once.
func (c *checker) page(name string) (*page, error) {
	if p, ok := c.pages[name]; ok {
		return p, nil
	}
	source, err := fs.ReadFile(c.files, name)
	if err != nil {
		return nil, fmt.Errorf("reading a page: %w", err)
	}
	p := &page{path: name, source: source, slugs: map[string]bool{}}
	c.pages[name] = p
	err = ast.Walk(markdown.Parse(text.NewReader(source)), func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		return p.visit(n), nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return p, nil
}

// visit takes from a node of the page what the rules need.
func (p *page) visit(n ast.Node) ast.WalkStatus {
	switch n := n.(type) {
	case *ast.FencedCodeBlock:
		p.code(n, string(n.Language(p.source)))
	case *ast.CodeBlock:
		p.code(n, "")
	case *ast.CodeSpan:
		p.add(span, n, plain(n, p.source))
		p.parts[len(p.parts)-1].group = p.start(container(n))
		return ast.WalkSkipChildren
	case *ast.Link:
		p.add(link, n, string(n.Destination))
	case *ast.Image:
		p.add(link, n, string(n.Destination))
	case *ast.AutoLink:
		p.add(link, n.Parent(), string(n.URL(p.source)))
	case *ast.RawHTML:
		p.anchors(n.Segments)
	case *ast.HTMLBlock:
		p.anchors(n.Lines())
	case *ast.Heading:
		p.heading(plain(n, p.source))
	case *extast.Table:
		p.table(n)
	case *ast.Paragraph, *ast.TextBlock:
		p.imports(n)
	}
	return ast.WalkContinue
}

// code adds a block with all its lines.
func (p *page) code(n ast.Node, language string) {
	p.parts = append(p.parts, part{kind: block, line: p.lineOf(p.start(n)), language: language, text: string(n.Lines().Value(p.source))})
}

func (p *page) add(k kind, n ast.Node, text string) {
	p.parts = append(p.parts, part{kind: k, line: p.lineOf(p.start(n)), text: text})
}

// table adds what a table lists whose first column is called variable.
func (p *page) table(n *extast.Table) {
	for row := n.FirstChild(); row != nil; row = row.NextSibling() {
		first := row.FirstChild()
		if row == n.FirstChild() {
			if first == nil || !strings.EqualFold(plain(first, p.source), "variable") {
				return
			}
			continue
		}
		for cell := first.FirstChild(); cell != nil; cell = cell.NextSibling() {
			if code, ok := cell.(*ast.CodeSpan); ok {
				p.add(variable, code, strings.TrimPrefix(plain(code, p.source), "$"))
			}
		}
	}
}

// imports adds the pages that a paragraph about variables links to.
func (p *page) imports(n ast.Node) {
	if !strings.Contains(strings.ToLower(plain(n, p.source)), "variable") {
		return
	}
	for child := n.FirstChild(); child != nil; child = child.NextSibling() {
		target, ok := child.(*ast.Link)
		if !ok {
			continue
		}
		if to, _, _ := strings.Cut(string(target.Destination), "#"); strings.HasSuffix(to, ".md") {
			p.add(imported, target, path.Join(path.Dir(p.path), to))
		}
	}
}

var notInSlug = regexp.MustCompile(`[^\p{L}\p{M}\p{N}\p{Pc} -]`)

// heading notes the anchor that GitHub gives a heading: lower case, without punctuation, hyphens for
// spaces, and a number from the second heading of the same words on.
func (p *page) heading(words string) {
	slug := strings.ReplaceAll(notInSlug.ReplaceAllString(strings.ToLower(words), ""), " ", "-")
	unique := slug
	for i := 1; p.slugs[unique]; i++ {
		unique = fmt.Sprintf("%s-%d", slug, i)
	}
	p.slugs[unique] = true
}

var anchor = regexp.MustCompile(`<a (?:id|name)="([^"]+)"`)

// anchors notes those that the page sets itself.
func (p *page) anchors(html *text.Segments) {
	for _, m := range anchor.FindAllStringSubmatch(string(html.Value(p.source)), -1) {
		p.slugs[m[1]] = true
	}
}

// plain is the text of a node without its marks, on one line.
func plain(n ast.Node, source []byte) string {
	var b strings.Builder
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if t, ok := n.(*ast.Text); ok && entering {
			b.Write(t.Segment.Value(source))
			if t.SoftLineBreak() || t.HardLineBreak() {
				b.WriteByte(' ')
			}
		}
		return ast.WalkContinue, nil
	})
	return strings.ReplaceAll(b.String(), "\n", " ")
}

// container is the block that an inline node stands in.
func container(n ast.Node) ast.Node {
	for n.Type() == ast.TypeInline {
		n = n.Parent()
	}
	return n
}

// start is the offset in the page of the first text of a node; of one without text, that of what it
// stands in.
func (p *page) start(n ast.Node) int {
	if n.Type() == ast.TypeBlock && n.Lines().Len() > 0 {
		return n.Lines().At(0).Start
	}
	found := -1
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if t, ok := n.(*ast.Text); ok && entering {
			found = t.Segment.Start
			return ast.WalkStop, nil
		}
		return ast.WalkContinue, nil
	})
	if found < 0 && n.Parent() != nil {
		return p.start(n.Parent())
	}
	return max(found, 0)
}

func (p *page) lineOf(offset int) int { return 1 + bytes.Count(p.source[:offset], []byte("\n")) }
