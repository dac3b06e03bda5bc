package page

import (
	"fmt"
	"strconv"
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"
)

// Plot is bars beside each other, each of two parts, with a legend. The same is said in words for
// readers who do not see it.
type Plot struct {
	Name          string
	First, Second string // what the parts are
	Alarm         bool   // the second part is trouble
	Bars          []Bar
}

// Bar is one bar; its label is shown under every fourth.
type Bar struct {
	Label         string
	First, Second int
}

const (
	plotWidth, plotHeight = 780, 150
	plotTop, plotBottom   = 18, 22
)

// Draw returns the plot; nil if all of it is zero.
func (p Plot) Draw() g.Node {
	most := 0
	for _, b := range p.Bars {
		most = max(most, b.First+b.Second)
	}
	if most == 0 {
		return nil
	}
	step := plotWidth / len(p.Bars)
	var nodes []g.Node
	for i, b := range p.Bars {
		nodes = append(nodes, p.bar(i*step, step, most, b))
		if i%4 == 0 {
			nodes = append(nodes, label(i*step+step/2, plotHeight-6, b.Label))
		}
	}
	second := "c"
	if p.Alarm {
		second = "b"
	}
	return h.Figure(
		h.SVG(h.Class("plot"), h.Role("img"), h.Aria("label", p.words()), g.Attr("viewBox", fmt.Sprintf("0 0 %d %d", plotWidth, plotHeight)),
			g.El("line", h.Class("axis"), attr("x1", 0), attr("x2", plotWidth), attr("y1", plotHeight-plotBottom),
				attr("y2", plotHeight-plotBottom)),
			g.Group(nodes)),
		h.FigCaption(h.Class("note"), g.Text(p.Name+": "), key("a", p.First), g.Text(", "), key(second, p.Second)))
}

func (p Plot) bar(x, step, most int, b Bar) g.Node {
	high := func(n int) int { return n * (plotHeight - plotTop - plotBottom) / most }
	base := plotHeight - plotBottom
	rect := func(class string, bottom, n int) g.Node {
		tall := max(high(n), 2)
		return g.El("rect", h.Class(class), attr("x", x+4), attr("y", bottom-tall), attr("width", step-8), attr("height", tall))
	}
	second := "c"
	if p.Alarm {
		second = "b"
	}
	return g.Group{
		g.Iff(b.First > 0, func() g.Node { return rect("a", base, b.First) }),
		g.Iff(b.Second > 0, func() g.Node { return rect(second, base-high(b.First), b.Second) }),
		g.Iff(b.First+b.Second > 0, func() g.Node {
			return label(x+step/2, base-high(b.First)-high(b.Second)-5, strconv.Itoa(b.First+b.Second))
		}),
	}
}

// words is the plot as a sentence.
func (p Plot) words() string {
	var parts []string
	for _, b := range p.Bars {
		if b.First+b.Second > 0 {
			parts = append(parts, fmt.Sprintf("%s: %d %s, %d %s", b.Label, b.First, p.First, b.Second, p.Second))
		}
	}
	return p.Name + ". " + strings.Join(parts, "; ") + "."
}

func key(class, text string) g.Node { return h.Span(h.Class("key "+class), g.Text(text)) }

func label(x, y int, text string) g.Node {
	return g.El("text", attr("x", x), attr("y", y), g.Attr("text-anchor", "middle"), g.Text(text))
}

func attr(name string, n int) g.Node { return g.Attr(name, strconv.Itoa(n)) }
