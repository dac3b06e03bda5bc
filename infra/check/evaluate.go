package check

import (
	"path"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// named returns the names ("type.name") of the resources of a type, sorted.
func (m *module) named(kind string) []string {
	var names []string
	for name := range m.resources {
		if ok, _ := path.Match(kind+".*", name); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// value evaluates an attribute; it is unknown if there is none, and if it depends on
// what only a deployment knows.
func (b block) value(attr string) cty.Value {
	if b.body == nil || b.body.Attributes[attr] == nil {
		return cty.DynamicVal
	}
	v, diags := b.body.Attributes[attr].Expr.Value(b.each())
	if diags.HasErrors() {
		return cty.DynamicVal
	}
	return v
}

// each returns what b's expressions are evaluated in: the first of its instances, if
// for_each makes some.
func (b block) each() *hcl.EvalContext {
	if child, ok := first(b.ctx, b.body.Attributes["for_each"], "each"); ok {
		return child
	}
	return b.ctx
}

// first returns ctx with the first element that all has as the iterator; ok is false if
// that is none.
func first(ctx *hcl.EvalContext, all *hclsyntax.Attribute, iterator string) (child *hcl.EvalContext, ok bool) {
	if all == nil {
		return nil, false
	}
	v, diags := all.Expr.Value(ctx)
	if diags.HasErrors() || !v.IsKnown() || v.IsNull() || !v.CanIterateElements() || v.LengthInt() == 0 {
		return nil, false
	}
	elements := v.ElementIterator()
	elements.Next()
	key, value := elements.Element()
	child = ctx.NewChild()
	child.Variables = map[string]cty.Value{iterator: cty.ObjectVal(map[string]cty.Value{"key": key, "value": value})}
	return child, true
}

// text returns an attribute that is a string; "" if it is none.
func (b block) text(attr string) string { return text(b.value(attr)) }

func text(v cty.Value) string {
	if !v.IsKnown() || v.IsNull() || v.Type() != cty.String {
		return ""
	}
	return v.AsString()
}

// is reports whether an attribute is set to that bool. A default of the provider
// does not count: it changes from version to version.
func (b block) is(attr string, want bool) bool {
	v := b.value(attr)
	return v.IsKnown() && !v.IsNull() && v.Type() == cty.Bool && v.True() == want
}

// number returns an attribute that is a number; -1 if it is none.
func (b block) number(attr string) float64 {
	v := b.value(attr)
	if !v.IsKnown() || v.IsNull() || v.Type() != cty.Number {
		return -1
	}
	n, _ := v.AsBigFloat().Float64()
	return n
}

// nested returns the first block of a type in b, also if it is dynamic; an empty one
// if there is none.
func (b block) nested(kind string) block {
	if b.body == nil {
		return block{}
	}
	for _, n := range b.body.Blocks {
		switch {
		case n.Type == kind:
			return block{body: n.Body, ctx: b.ctx}
		case n.Type == "dynamic" && n.Labels[0] == kind:
			return block{body: n.Body, ctx: b.ctx}.nested("content")
		}
	}
	return block{}
}

// made returns a block in b, of a dynamic one the first that it makes; ok is false if
// it makes none.
func (b block) made(n *hclsyntax.Block) (inner block, kind string, ok bool) {
	if n.Type != "dynamic" {
		return block{body: n.Body, ctx: b.each()}, n.Type, true
	}
	ctx, ok := first(b.each(), n.Body.Attributes["for_each"], n.Labels[0])
	return block{body: n.Body, ctx: ctx}.nested("content"), n.Labels[0], ok
}

// functions are those of Terraform that the module uses outside of validations.
var functions = map[string]function.Function{
	"coalesce": stdlib.CoalesceFunc, "concat": stdlib.ConcatFunc, "format": stdlib.FormatFunc, "join": stdlib.JoinFunc,
	"jsonencode": stdlib.JSONEncodeFunc,
	"length":     length, "lower": stdlib.LowerFunc, "merge": stdlib.MergeFunc, "replace": stdlib.ReplaceFunc,
	"toset": stdlib.MakeToFunc(cty.Set(cty.String)), "tostring": stdlib.MakeToFunc(cty.String), "trimsuffix": stdlib.TrimSuffixFunc,
	"values": stdlib.ValuesFunc,
}

// length also counts attributes of an object, as Terraform's does.
var length = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "value", Type: cty.DynamicPseudoType}},
	Type:   function.StaticReturnType(cty.Number),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		return cty.NumberIntVal(int64(args[0].LengthInt())), nil
	},
})
