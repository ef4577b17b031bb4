package report

import (
	"fmt"

	"github.com/cognomega/edge/audit/cors"
)

// matrixChart draws a square for every path and kind of origin: a tick, a cross where an answer was wrong, or nothing asked.
func matrixChart(m *Matrix) *pair {
	if m == nil {
		return nil
	}
	return both(func(width float64) chart {
		c := chart{W: width, Alt: fmt.Sprintf("CORS by path and kind of origin: %d answers, %d of them wrong", m.Answers, m.Faulty)}
		label, right, degrees := 110.0, 2.0, 90.0
		if width > narrow {
			label, right, degrees = 250, 40, 60
		}
		const head = 90.0
		step := min((width-label-right)/float64(max(len(m.Kinds), 1)), 34)
		for i, k := range m.Kinds {
			c.turned(degrees, label+step*float64(i)+step/2+4, head-6, k)
		}
		const row = 20.0
		for p, path := range m.Paths {
			y := head + row*float64(p)
			c.text("mono", "end", label-8, y+14, fit(path, label-10, monoWidth))
			for i, k := range m.Kinds {
				c.cell(m.Cells[p][i], label+step*float64(i), y, step-2, row-2, path+" from "+k)
			}
		}
		c.H = head + row*float64(len(m.Paths)) + 4
		return c
	})
}

func (c *chart) cell(cell cors.Cell, x, y, w, h float64, what string) {
	switch {
	case cell.Answers == 0:
		c.rect("cell none", x, y, w, h, what+": not asked")
	case cell.Faulty > 0:
		c.rect("cell bad", x, y, w, h, fmt.Sprintf("%s: %d of %d answers wrong", what, cell.Faulty, cell.Answers))
		c.line("cross", x+w/2-3, y+h/2-3, x+w/2+3, y+h/2+3)
		c.line("cross", x+w/2-3, y+h/2+3, x+w/2+3, y+h/2-3)
	default:
		c.rect("cell good", x, y, w, h, fmt.Sprintf("%s: %d answers right", what, cell.Answers))
		if w >= 22 {
			c.text("count", "middle", x+w/2, y+h/2+4, fmt.Sprint(cell.Answers))
		}
	}
}
