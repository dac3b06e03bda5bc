package page

import (
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"
)

// Tone is how pressing something is. It is a colour beside the words, never instead of them.
type Tone string

// The tones.
const (
	Calm Tone = ""
	Good Tone = "good"
	Warn Tone = "warn"
	Bad  Tone = "bad"
)

// Badge is a state in a word or two.
func Badge(tone Tone, text string) g.Node { return h.Span(h.Class(join("badge", tone)), g.Text(text)) }

// Notice is something that the reader should see first.
func Notice(tone Tone, children ...g.Node) g.Node {
	return h.Div(h.Class(join("notice", tone)), g.Group(children))
}

func join(class string, tone Tone) string {
	if tone == Calm {
		return class
	}
	return class + " " + string(tone)
}

// Fact is a name and what it is. One without a value is not shown.
type Fact struct {
	Name  string
	Value g.Node
	ID    string // of the value
}

// Say is a fact that is text.
func Say(name, value string) Fact {
	if value == "" {
		return Fact{}
	}
	return Fact{Name: name, Value: g.Text(value)}
}

// As gives the value an id.
func (f Fact) As(id string) Fact {
	f.ID = id
	return f
}

// Facts lists facts.
func Facts(facts ...Fact) g.Node {
	var nodes []g.Node
	for _, f := range facts {
		if f.Value != nil {
			nodes = append(nodes, h.Dt(g.Text(f.Name)), h.Dd(g.If(f.ID != "", h.ID(f.ID)), f.Value))
		}
	}
	return h.Dl(h.Class("facts"), g.Group(nodes))
}

// Column is a column of a table.
type Column struct {
	Name   string
	Number bool // set to the right
	Wide   bool // it needs room for words
}

// Table is a table whose rows become blocks on a narrow screen. The first cell of each row is
// its header. Its id ends with -table, since the page may have the same one.
func Table(id, caption string, columns []Column, rows [][]g.Node) g.Node {
	head := make([]g.Node, len(columns))
	for i, c := range columns {
		head[i] = h.Th(h.Scope("col"), g.If(c.Number, h.Class("number")), g.If(c.Wide, h.Class("wide")), g.Text(c.Name))
	}
	body := make([]g.Node, len(rows))
	for i, row := range rows {
		cells := make([]g.Node, len(row))
		for j, cell := range row {
			if j == 0 {
				cells[j] = h.Th(h.Scope("row"), cell)
				continue
			}
			cells[j] = h.Td(g.Attr("data-label", columns[j].Name), g.If(columns[j].Number, h.Class("number")), cell)
		}
		body[i] = h.Tr(cells...)
	}
	return h.Table(h.ID(id+"-table"), h.Class("stack"), h.Caption(g.Text(caption)), h.THead(h.Tr(head...)), h.TBody(body...))
}

// Link is a link with text.
func Link(to Address, text string) g.Node { return h.A(to.Href(), g.Text(text)) }

// Copyable is text to copy, with a button where there is JavaScript.
func Copyable(text, what string) g.Node {
	return g.Group{
		g.Iff(strings.Contains(text, "\n"), func() g.Node { return h.Pre(h.Code(g.Text(text))) }),
		g.Iff(!strings.Contains(text, "\n"), func() g.Node { return g.Group{h.Code(g.Text(text)), g.Text(" ")} }),
		h.Button(h.Type("button"), h.Class("small plain js"), g.Attr("data-copy", text), h.Aria("label", "Copy "+what), g.Text("Copy")),
	}
}
