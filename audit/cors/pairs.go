package cors

import "slices"

// axes is how many values each axis of the preflights has: path, caller, requested method, requested headers.
type axes [4]int

// cell chooses one value of each axis.
type cell [4]int

// pair is a value of one axis together with a value of a later one.
type pair struct{ a, i, b, j int }

// pairwise chooses cells so that every path meets every caller, and any two values of any two axes meet at least once: a fault
// that needs two things to come together is met, for a hundredth of the requests that all combinations would take.
func pairwise(n axes) []cell {
	c := &covering{n: n, met: map[pair]bool{}}
	if slices.Contains(n[:], 0) {
		return nil
	}
	for path := range n[0] {
		for who := range n[1] {
			c.take(cell{path, who, -1, -1})
		}
	}
	for a := range n {
		for b := a + 1; b < len(n); b++ {
			c.rest(a, b)
		}
	}
	return c.cells
}

type covering struct {
	n     axes
	met   map[pair]bool
	cells []cell
}

// rest adds cells for what two axes have not met yet.
func (c *covering) rest(a, b int) {
	for i := range c.n[a] {
		for j := range c.n[b] {
			if !c.met[pair{a, i, b, j}] {
				open := cell{-1, -1, -1, -1}
				open[a], open[b] = i, j
				c.take(open)
			}
		}
	}
}

// take fills the open axes of a cell, which are negative, with what meets the most that has not met.
func (c *covering) take(open cell) {
	best, most := cell{}, -1
	c.fill(open, 0, func(full cell) {
		if gain := c.gain(full); gain > most {
			best, most = full, gain
		}
	})
	for _, p := range best.pairs() {
		c.met[p] = true
	}
	c.cells = append(c.cells, best)
}

func (c *covering) fill(open cell, axis int, each func(cell)) {
	if axis == len(open) {
		each(open)
		return
	}
	if open[axis] >= 0 {
		c.fill(open, axis+1, each)
		return
	}
	for v := range c.n[axis] {
		open[axis] = v
		c.fill(open, axis+1, each)
	}
}

func (c *covering) gain(full cell) (n int) {
	for _, p := range full.pairs() {
		if !c.met[p] {
			n++
		}
	}
	return n
}

func (x cell) pairs() [6]pair {
	return [6]pair{{0, x[0], 1, x[1]}, {0, x[0], 2, x[2]}, {0, x[0], 3, x[3]}, {1, x[1], 2, x[2]}, {1, x[1], 3, x[3]}, {2, x[2], 3, x[3]}}
}
