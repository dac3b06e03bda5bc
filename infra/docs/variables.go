package docs

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// scope is what a shell that pasted every block so far would know.
type scope struct {
	set      map[string]bool // its variables
	exported map[string]bool // those that programs see
}

func (s scope) add(names map[string]bool) { maps.Copy(s.set, names) }

// environment are the variables that every shell has.
var environment = []string{"HOME", "PATH", "PWD", "USER", "SHELL", "TMPDIR", "EDITOR"}

// function stands before the names of functions, which are called like commands.
const function = "function "

// variableName tells a name from a parameter such as 1 or @.
var variableName = regexp.MustCompile(`^[A-Za-z_]\w*$`)

// assignment is where a script sets variables. They are set from its end on.
type assignment struct {
	end      syntax.Pos
	names    []string
	exported bool
}

// assignments are those of a script in its order; sourced says what a file sets.
func assignments(file *syntax.File, sourced func(string) []string) []assignment {
	var out []assignment
	syntax.Walk(file, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.CallExpr:
			for _, a := range n.Assigns {
				out = append(out, assignment{end: a.End(), names: []string{a.Name.Value}})
			}
			out = append(out, byCommand(n, sourced)...)
		case *syntax.DeclClause:
			for _, a := range n.Args {
				if a.Name != nil {
					out = append(out, assignment{end: a.End(), names: []string{a.Name.Value}, exported: n.Variant.Value == "export"})
				}
			}
		case *syntax.WordIter:
			out = append(out, assignment{end: n.End(), names: []string{n.Name.Value}})
		case *syntax.FuncDecl:
			out = append(out, assignment{end: n.End(), names: []string{function + n.Name.Value}})
		}
		return true
	})
	return out
}

// byCommand is what read and the dot set.
func byCommand(call *syntax.CallExpr, sourced func(string) []string) []assignment {
	args := words(call.Args)
	if len(args) < 2 {
		return nil
	}
	switch args[0] {
	case "read":
		var names []string
		for _, arg := range args[1:] {
			if variableName.MatchString(arg) {
				names = append(names, arg)
			}
		}
		return []assignment{{end: call.End(), names: names}}
	case ".", "source":
		return []assignment{{end: call.End(), names: sourced(args[1])}}
	}
	return nil
}

// checkVariables reports what a script uses and no part of the page before it sets, and adds to known
// what the script sets.
func (c *checker) checkVariables(p *page, code part, file *syntax.File, known scope) {
	sets := assignments(file, c.sourced)
	before := func(name string, at syntax.Pos, exported bool) bool {
		return slices.ContainsFunc(sets, func(a assignment) bool {
			return slices.Contains(a.names, name) && !a.end.After(at) && (a.exported || !exported)
		})
	}
	require := func(name string, at syntax.Pos) {
		if variableName.MatchString(name) && !known.set[name] && !slices.Contains(environment, name) && !before(name, at, false) {
			c.report(p, code.line+int(at.Line())-1, "$%s is set by no block before this one: set it there, or list it in a table whose "+
				"first column is called variable, or say of which page the variables are, with a link to it", name)
		}
	}
	syntax.Walk(file, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.ParamExp:
			if n.Param != nil && (n.Exp == nil || !slices.Contains(defaults, n.Exp.Op)) {
				require(n.Param.Value, n.Pos())
			}
		case *syntax.DeclClause:
			for _, a := range n.Args {
				if a.Naked && a.Name != nil && n.Variant.Value == "export" {
					require(a.Name.Value, a.Pos())
				}
			}
		case *syntax.CallExpr:
			for _, name := range environmentOf(n) {
				if !known.exported[name] && !before(name, n.Pos(), true) {
					c.report(p, code.line+int(n.Pos().Line())-1, "jq reads %s of its environment, where no block before has it: export it", name)
				}
			}
		}
		return true
	})
	for _, a := range sets {
		for _, name := range a.names {
			known.set[name] = true
			known.exported[name] = known.exported[name] || a.exported
		}
	}
}

var ofEnvironment = regexp.MustCompile(`(?:\benv|\$ENV)\.([A-Za-z_]\w*)`)

// environmentOf are the variables that a call of jq reads of its environment, without those before it.
func environmentOf(call *syntax.CallExpr) []string {
	args := words(call.Args)
	if len(args) == 0 || args[0] != "jq" {
		return nil
	}
	var names []string
	for _, m := range ofEnvironment.FindAllStringSubmatch(strings.Join(args, " "), -1) {
		if !slices.ContainsFunc(call.Assigns, func(a *syntax.Assign) bool { return a.Name.Value == m[1] }) {
			names = append(names, m[1])
		}
	}
	return names
}

// defaults are the expansions that do without a value.
var defaults = []syntax.ParExpOperator{syntax.DefaultUnset, syntax.DefaultUnsetOrNull, syntax.AssignUnset,
	syntax.AssignUnsetOrNull, syntax.AlternateUnset, syntax.AlternateUnsetOrNull}

// variablesOf are all that a page sets, lists, or takes from other pages.
func (c *checker) variablesOf(name string) map[string]bool {
	if known, ok := c.variables[name]; ok {
		return known
	}
	known := map[string]bool{}
	c.variables[name] = known // pages may refer to each other
	p, err := c.page(name)
	if err != nil {
		return known // checkLink tells it
	}
	for _, part := range p.parts {
		switch {
		case part.kind == variable:
			known[part.text] = true
		case part.kind == imported:
			maps.Copy(known, c.variablesOf(part.text))
		case part.kind == block && slices.Contains(shells, part.language):
			file, err := script(part)
			if err != nil {
				continue // checkShell tells it
			}
			for _, a := range assignments(file, c.sourced) {
				for _, name := range a.names {
					known[name] = true
				}
			}
		}
	}
	return known
}
