package report

import (
	"fmt"
	"slices"

	"github.com/cognomega/edge/audit/routes"
)

// routeChart draws the host's URLs as a list of territories, each with a line to whoever answers there.
func routeChart(m *RouteMap) *pair {
	if m == nil {
		return nil
	}
	rows := m.Territories
	return both(func(width float64) chart {
		c := chart{W: width, Alt: fmt.Sprintf("Who answers the host: %s, of which %s belong to somebody other than %s", counted(len(rows), "territory", "territories"), counted(foreign(rows), "", ""), m.Owner)}
		y := 0.0
		for _, t := range rows {
			c.territory(t, y)
			y += rowHeight
		}
		c.H = y + 4
		return c
	})
}

const rowHeight = 44

func (c *chart) territory(t routes.Territory, y float64) {
	class, sign := "good", "✓ "
	switch {
	case t.Outcome == "ambiguous":
		class, sign = "warn", "? "
	case !t.Ours:
		class, sign = "bad", "✗ "
	}
	indent := 10 + 16*float64(min(t.Depth, 5))
	title := t.Scheme + " " + t.Text + " is answered by " + answerer(t) + " " + t.Cause
	c.rect("bar "+class, 0, y+4, 3, rowHeight-8, title)
	for d := range min(t.Depth, 5) {
		c.line("rule", 10+16*float64(d)+4, y, 10+16*float64(d)+4, y+rowHeight)
	}
	split := c.W
	if c.W > narrow {
		split = c.W * 0.46
	}
	c.text("mono", "start", indent+4, y+19, fit(t.Text, split-indent-60, monoWidth))
	c.text("small", "end", split-4, y+19, t.Scheme)
	if c.W > narrow {
		c.line("rule", split+4, y+15, split+34, y+15)
		c.text(class+" strong", "start", split+42, y+19, sign+fit(answerer(t), c.W-split-62, boldWidth))
		c.text("small", "start", split+42, y+35, fit(t.Cause, c.W-split-46, sansWidth))
		return
	}
	c.text(class+" strong", "start", indent+4, y+36, sign+fit(answerer(t), c.W-indent-22, boldWidth))
}

func answerer(t routes.Territory) string {
	switch {
	case t.Outcome == "ambiguous":
		return "undecided"
	case t.Worker == "":
		return "nobody"
	default:
		return t.Worker
	}
}

// merged says once what is so over both schemes.
func merged(all []routes.Territory) []routes.Territory {
	of := func(scheme string) []routes.Territory {
		var out []routes.Territory
		for _, t := range all {
			if t.Scheme == scheme {
				t.Scheme = ""
				out = append(out, t)
			}
		}
		return out
	}
	if a, b := of("https"), of("http"); slices.Equal(a, b) {
		for i := range a {
			a[i].Scheme = "http and https"
		}
		return a
	}
	return all
}

func foreign(rows []routes.Territory) int {
	n := 0
	for _, t := range rows {
		if !t.Ours {
			n++
		}
	}
	return n
}

func counted(n int, one, many string) string {
	switch {
	case one == "":
		return fmt.Sprint(n)
	case n == 1:
		return "1 " + one
	default:
		return fmt.Sprintf("%d %s", n, many)
	}
}
