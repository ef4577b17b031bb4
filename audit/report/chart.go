package report

import (
	"strconv"
	"strings"
)

// chart is a drawing in user units, shown one to one: it is drawn twice, for a phone and for a page.
type chart struct {
	Class  string
	W, H   float64
	Alt    string // what it shows, in a sentence
	Shapes []shape
}

// shape is one element. The template writes it, so that every text is escaped where it stands.
type shape struct {
	Kind           string // rect, line, text, dot
	X, Y, W, H     float64
	X2, Y2         float64
	Class, Text    string
	Anchor, Rotate string
	Title          string // told on hovering
}

// The widths that charts are drawn in: a phone of 360 with its margins, and the page.
const (
	narrow = 312
	wide   = 840
)

func (c *chart) rect(class string, x, y, w, h float64, title string) {
	c.Shapes = append(c.Shapes, shape{Kind: "rect", Class: class, X: x, Y: y, W: w, H: h, Title: title})
}

func (c *chart) line(class string, x, y, x2, y2 float64) {
	c.Shapes = append(c.Shapes, shape{Kind: "line", Class: class, X: x, Y: y, X2: x2, Y2: y2})
}

func (c *chart) dot(class string, x, y, r float64, title string) {
	c.Shapes = append(c.Shapes, shape{Kind: "dot", Class: class, X: x, Y: y, W: r, Title: title})
}

func (c *chart) text(class, anchor string, x, y float64, text string) {
	c.Shapes = append(c.Shapes, shape{Kind: "text", Class: class, Anchor: anchor, X: x, Y: y, Text: text})
}

// turned is a heading of a column that is narrower than its words.
func (c *chart) turned(degrees float64, x, y float64, text string) {
	c.Shapes = append(c.Shapes, shape{Kind: "text", Class: "small", Anchor: "start", X: x, Y: y, Text: text, Rotate: "rotate(" + num(-degrees) + " " + num(x) + " " + num(y) + ")"})
}

func num(v float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0")
}

// Num is a number as SVG has it.
func (shape) Num(v float64) string { return num(v) }

// Widths of characters, in units: charts cannot ask a browser, so they leave room for the widest usual font.
const (
	monoWidth = 7.3 // of 12 units
	sansWidth = 6.4
	boldWidth = 8
)

// fit cuts a text to a width.
func fit(text string, width, each float64) string {
	runes := []rune(text)
	most := int(width / each)
	if len(runes) <= most {
		return text
	}
	if most < 2 {
		return "…"
	}
	return string(runes[:most-1]) + "…"
}

// pair is a chart for a phone and for a page.
type pair struct{ Narrow, Wide chart }

func both(draw func(width float64) chart) *pair {
	p := &pair{draw(narrow), draw(wide)}
	p.Narrow.Class, p.Wide.Class = "chart narrow", "chart wide"
	return p
}
