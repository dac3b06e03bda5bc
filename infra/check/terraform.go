package check

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// module is a Terraform module whose expressions can be evaluated.
type module struct {
	resources map[string]block // by "type.name"; data sources with "data." before it
	locals    map[string]cty.Value
	outputs   map[string]block
	providers []string
	ctx       *hcl.EvalContext
}

// block is a block, or one nested in it.
type block struct {
	body    *hclsyntax.Body
	ctx     *hcl.EvalContext
	comment string // the lines of comment right above it
}

// parsed is a block at the top of a file.
type parsed struct {
	*hclsyntax.Block
	comment string // the lines of comment right above it
}

// parse parses the .tf files of the folder.
func parse(fsys fs.FS) ([]parsed, error) {
	files, err := fs.Glob(fsys, "*.tf")
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, errors.New("there are no .tf files")
	}
	var blocks []parsed
	for _, name := range files {
		src, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, err
		}
		f, diags := hclsyntax.ParseConfig(src, name, hcl.InitialPos)
		if diags.HasErrors() {
			return nil, diags
		}
		for _, b := range f.Body.(*hclsyntax.Body).Blocks {
			blocks = append(blocks, parsed{b, commentAbove(src, b.DefRange().Start.Line)})
		}
	}
	return blocks, nil
}

// load makes a module of its blocks. vars are the values of variables, in place of their
// defaults; known are attributes that exist only after a deployment, by
// "type.name.attribute", or "type.*.attribute" for every resource of a type.
func load(blocks []parsed, vars map[string]cty.Value, known map[string]string) (*module, error) {
	m := &module{resources: make(map[string]block), locals: make(map[string]cty.Value), outputs: make(map[string]block),
		ctx: &hcl.EvalContext{Variables: make(map[string]cty.Value), Functions: functions}}
	for _, b := range blocks {
		m.add(b)
	}
	if err := m.variables(blocks, vars); err != nil {
		return nil, err
	}
	m.references(blocks, known)
	if err := m.evaluateLocals(blocks); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *module) add(b parsed) {
	nb := block{body: b.Body, ctx: m.ctx, comment: b.comment}
	switch b.Type {
	case "resource":
		m.resources[strings.Join(b.Labels, ".")] = nb
	case "data":
		m.resources["data."+strings.Join(b.Labels, ".")] = nb
	case "output":
		m.outputs[b.Labels[0]] = nb
	case "provider":
		m.providers = append(m.providers, b.Labels[0])
	}
}

// commentAbove returns the comment that ends on the line before line.
func commentAbove(src []byte, line int) string {
	lines := strings.Split(string(src), "\n")
	first := line - 1 // lines count from 1
	for first > 0 && strings.HasPrefix(lines[first-1], "#") {
		first--
	}
	return strings.Join(lines[first:line-1], "\n")
}

// variables gives every variable its value, or its default, as one of its type.
func (m *module) variables(blocks []parsed, vars map[string]cty.Value) error {
	values := make(map[string]cty.Value)
	for _, b := range blocks {
		if b.Type != "variable" {
			continue
		}
		name := b.Labels[0]
		values[name] = cty.DynamicVal
		if v, ok := vars[name]; ok {
			values[name] = v
		} else if d := b.Body.Attributes["default"]; d != nil {
			if v, diags := d.Expr.Value(m.ctx); !diags.HasErrors() {
				values[name] = v
			}
		}
		typed, err := ofType(b.Body.Attributes["type"], values[name])
		if err != nil {
			return fmt.Errorf("evaluating var.%s: %w", name, err)
		}
		values[name] = typed
	}
	m.ctx.Variables["var"] = cty.ObjectVal(values)
	return nil
}

// ofType converts a value to a variable's type, with the type's own defaults for
// what is optional.
func ofType(a *hclsyntax.Attribute, v cty.Value) (cty.Value, error) {
	if a == nil || !v.IsWhollyKnown() {
		return v, nil
	}
	t, defaults, diags := typeexpr.TypeConstraintWithDefaults(a.Expr)
	if diags.HasErrors() {
		return v, diags
	}
	if defaults != nil {
		v = defaults.Apply(v)
	}
	return convert.Convert(v, t)
}

// references gives every attribute of a resource that an expression asks for a name
// as its value, unless it is known.
func (m *module) references(blocks []parsed, known map[string]string) {
	types := make(map[string]map[string]map[string]cty.Value) // type, name, attribute
	for _, b := range blocks {
		// The visitor finds fault with nothing.
		_ = hclsyntax.VisitAll(b.Body, func(n hclsyntax.Node) hcl.Diagnostics {
			ref, ok := n.(*hclsyntax.ScopeTraversalExpr)
			if !ok {
				return nil
			}
			kind, name, attr, ok := reference(ref.Traversal)
			if !ok {
				return nil
			}
			if types[kind] == nil {
				types[kind] = make(map[string]map[string]cty.Value)
			}
			if types[kind][name] == nil {
				types[kind][name] = make(map[string]cty.Value)
			}
			whole := kind + "." + name + "." + attr
			types[kind][name][attr] = cty.StringVal(cmp.Or(known[whole], known[kind+".*."+attr], "<"+whole+">"))
			// A block of the resource, such as x.y.identity[0].principal_id.
			if inner, ok := ref.Traversal[len(ref.Traversal)-1].(hcl.TraverseAttr); ok && len(ref.Traversal) == 5 && inner.Name != attr {
				types[kind][name][attr] = cty.TupleVal([]cty.Value{cty.ObjectVal(map[string]cty.Value{
					inner.Name: cty.StringVal(cmp.Or(known[kind+".*."+attr+"[0]."+inner.Name], "<"+whole+"[0]."+inner.Name+">")),
				})})
			}
			return nil
		})
	}
	data := make(map[string]cty.Value)
	for kind, names := range types {
		values := make(map[string]cty.Value)
		for name, attrs := range names {
			values[name] = cty.ObjectVal(attrs)
			if b, ok := m.resources[kind+"."+name]; ok && (b.body.Attributes["count"] != nil || b.body.Attributes["for_each"] != nil) {
				values[name] = cty.DynamicVal // how many there are is not known here
			}
		}
		if short, ok := strings.CutPrefix(kind, "data."); ok {
			data[short] = cty.ObjectVal(values)
		} else {
			m.ctx.Variables[kind] = cty.ObjectVal(values)
		}
	}
	m.ctx.Variables["data"] = cty.ObjectVal(data)
}

// reference takes type.name.attribute apart; the type of a data source has "data."
// before it. ok is false for what is no attribute of a resource.
func reference(t hcl.Traversal) (kind, name, attr string, ok bool) {
	var steps []string
	for _, s := range t {
		switch s := s.(type) {
		case hcl.TraverseRoot:
			steps = append(steps, s.Name)
		case hcl.TraverseAttr:
			steps = append(steps, s.Name)
		}
	}
	if len(steps) > 1 && steps[0] == "data" {
		steps = append([]string{"data." + steps[1]}, steps[2:]...)
	}
	if len(steps) < 3 || !strings.Contains(steps[0], "_") { // var, local, each, ... have none
		return "", "", "", false
	}
	return steps[0], steps[1], steps[2], true
}

// evaluateLocals evaluates locals in the order in which they need each other.
func (m *module) evaluateLocals(blocks []parsed) error {
	open := make(map[string]hclsyntax.Expression)
	for _, b := range blocks {
		if b.Type == "locals" {
			for name, a := range b.Body.Attributes {
				open[name] = a.Expr
			}
		}
	}
	for len(open) > 0 {
		progress := false
		for name, expr := range open {
			if slices.ContainsFunc(expr.Variables(), func(t hcl.Traversal) bool {
				if t.RootName() != "local" || len(t) < 2 {
					return false
				}
				a, ok := t[1].(hcl.TraverseAttr)
				return ok && open[a.Name] != nil
			}) {
				continue
			}
			m.ctx.Variables["local"] = cty.ObjectVal(m.locals)
			v, diags := expr.Value(m.ctx)
			if diags.HasErrors() {
				return fmt.Errorf("evaluating local.%s: %w", name, diags)
			}
			m.locals[name], progress = v, true
			delete(open, name)
		}
		if !progress {
			return errors.New("locals need each other in a circle")
		}
	}
	m.ctx.Variables["local"] = cty.ObjectVal(m.locals)
	return nil
}
