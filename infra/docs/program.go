package docs

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// advised is where a text of the program or of a deployment tells a person to run a command.
var advised = regexp.MustCompile(`\b(?:az|openssl) [a-z]`)

// checkProgram checks the commands in the texts of the program and of infra/azure: that they exist,
// and their options. What the program fills in is not known here.
func (c *checker) checkProgram() error {
	for _, name := range slices.Sorted(maps.Keys(c.tree)) {
		texts := textsOfGo
		switch {
		case strings.HasSuffix(name, ".tf"):
			texts = textsOfHCL
		case !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "infra/docs/"):
			continue
		}
		source, err := fs.ReadFile(c.files, name)
		if err != nil {
			return fmt.Errorf("reading the program: %w", err)
		}
		if !bytes.Contains(source, []byte("az ")) && !bytes.Contains(source, []byte("openssl ")) {
			continue
		}
		found, err := texts(name, source)
		if err != nil {
			return fmt.Errorf("reading the program: %w", err)
		}
		for _, t := range found {
			c.checkAdvice(&page{path: name}, t)
		}
	}
	return nil
}

// checkAdvice checks the commands within a text.
func (c *checker) checkAdvice(p *page, t part) {
	starts := advised.FindAllStringIndex(t.text, -1)
	for i, start := range starts {
		end := len(t.text)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		words := strings.Fields(t.text[start[0]:end])
		if pipe := slices.Index(words, "|"); pipe >= 0 { // another program's options follow
			words = words[:pipe]
		}
		for i, word := range words {
			words[i] = strings.TrimRight(word, ".,;:)\"'`")
		}
		name, rest := c.commands.split(words)
		if entry, ok := c.commands.entries[name]; !ok || entry.Group {
			if len(rest) > 0 && subcommand.MatchString(rest[0]) {
				c.report(p, t.line, "the command %q is not in infra/docs/commands.yaml: correct it, or add it there", name+" "+rest[0])
			}
			continue
		}
		c.use(name)
		for _, word := range rest {
			option, _, _ := strings.Cut(word, "=")
			if _, ok := c.commands.option(name, option); strings.HasPrefix(option, "-") && !ok {
				c.report(p, t.line, "%s has no option %s (%s)", name, option, c.commands.entries[name].Source)
			}
		}
	}
}

// textsOfGo are the constant texts of a file, joined as it joins them.
func textsOfGo(name string, source []byte) ([]part, error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var out []part
	var visit func(n ast.Node) bool
	visit = func(n ast.Node) bool {
		e, ok := n.(ast.Expr)
		if !ok {
			return true
		}
		var within []ast.Expr
		text, ok := constant(e, &within)
		if ok {
			out = append(out, part{text: text, line: set.Position(e.Pos()).Line})
		}
		for _, e := range within {
			ast.Inspect(e, visit)
		}
		return !ok
	}
	ast.Inspect(file, visit)
	return out, nil
}

// constant is a text, or a sum in which there is one; within gets the other terms of that.
func constant(e ast.Expr, within *[]ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, e.Kind == token.STRING && err == nil
	case *ast.BinaryExpr:
		left, leftOK := constant(e.X, within)
		right, rightOK := constant(e.Y, within)
		if e.Op != token.ADD || !leftOK && !rightOK {
			break
		}
		if !leftOK {
			*within = append(*within, e.X)
		}
		if !rightOK {
			*within = append(*within, e.Y)
		}
		return left + right, true
	}
	return expansion, false
}

// textsOfHCL are the templates of a file.
func textsOfHCL(name string, source []byte) ([]part, error) {
	file, diagnostics := hclsyntax.ParseConfig(source, name, hcl.InitialPos)
	if diagnostics.HasErrors() {
		return nil, diagnostics
	}
	var out []part
	body, _ := file.Body.(*hclsyntax.Body)
	_ = hclsyntax.VisitAll(body, func(n hclsyntax.Node) hcl.Diagnostics {
		if template, ok := n.(*hclsyntax.TemplateExpr); ok {
			var b strings.Builder
			for _, e := range template.Parts {
				if value, ok := e.(*hclsyntax.LiteralValueExpr); ok && value.Val.Type() == cty.String {
					b.WriteString(value.Val.AsString())
				} else {
					b.WriteString(expansion)
				}
			}
			out = append(out, part{text: b.String(), line: template.SrcRange.Start.Line})
		}
		return nil
	})
	return out, nil
}
