package report

import (
	"fmt"
	"math"
)

// latencyChart draws how long answers took, the limit, and the bounds on the quantile that is promised. The axis is
// logarithmic: a service that keeps its limit easily would otherwise be one bar at the edge.
func latencyChart(o Objective) *pair {
	if o.Measured == nil || len(o.Histogram) == 0 {
		return nil
	}
	return both(func(width float64) chart {
		a := axis{from: o.Histogram[0].FromMS, to: o.Histogram[len(o.Histogram)-1].ToMS, left: 8, right: width - 8}
		c := chart{W: width, H: 214, Alt: o.Title + ": " + o.inWords()}
		const top, base = 60.0, 180.0
		c.bounds(o, a, top, base)
		most := 1
		for _, b := range o.Histogram {
			most = max(most, b.Count)
		}
		for _, b := range o.Histogram {
			x, end := a.at(b.FromMS), a.at(b.ToMS)
			h := (base - top) * float64(b.Count) / float64(most)
			if b.Count > 0 {
				c.rect("latency", x+0.5, base-math.Max(h, 1.5), math.Max(end-x-1, 1), math.Max(h, 1.5), fmt.Sprintf("%d answers in %s to %s ms", b.Count, short(b.FromMS), short(b.ToMS)))
			}
		}
		c.line("axis", a.left, base, a.right, base)
		c.ticks(a, base)
		c.limit(o, a, base)
		return c
	})
}

// bounds draws the interval that the quantile is in, and the quantile.
func (c *chart) bounds(o Objective, a axis, top, base float64) {
	m := o.Measured
	if m.LowerMS != nil && m.UpperMS != nil {
		x, end := a.at(*m.LowerMS), a.at(*m.UpperMS)
		c.rect("bounds", x, top-6, math.Max(end-x, 2), base-top+6, fmt.Sprintf("bounds %s to %s ms", short(*m.LowerMS), short(*m.UpperMS)))
	}
	if m.QuantileMS == nil {
		c.text("small", "start", a.left, 14, o.name()+": none, too many errors")
		return
	}
	x := a.at(*m.QuantileMS)
	c.line("quantile", x, top-10, x, base)
	anchor, at := placed(x, a)
	if limit := a.at(float64(o.LimitMS)); math.Abs(limit-x) < 76 {
		anchor, at = beside(x, limit, a)
	}
	c.text("strong", anchor, at, 32, fmt.Sprintf("%s %s ms", o.name(), short(*m.QuantileMS)))
	if m.LowerMS != nil && m.UpperMS != nil {
		c.text("small", anchor, at, 46, fmt.Sprintf("bounds %s to %s", short(*m.LowerMS), short(*m.UpperMS)))
	}
}

func (c *chart) limit(o Objective, a axis, base float64) {
	x := a.at(float64(o.LimitMS))
	c.line("limit", x, 20, x, base)
	anchor, at := placed(x, a)
	c.text("bad strong", anchor, at, 14, fmt.Sprintf("limit %d ms", o.LimitMS))
}

// beside puts a label on the side of its line that the limit is not on, or inside where there is no room.
func beside(x, limit float64, a axis) (anchor string, at float64) {
	const room = 130
	if limit >= x && x-a.left > room || a.right-x < room {
		return "end", math.Min(x, limit) - 6
	}
	return "start", math.Max(x, limit) + 6
}

// placed keeps a label inside the drawing.
func placed(x float64, a axis) (anchor string, at float64) {
	switch {
	case x < a.left+60:
		return "start", math.Max(x-4, a.left)
	case x > a.right-60:
		return "end", math.Min(x+4, a.right)
	default:
		return "middle", x
	}
}

func (o Objective) name() string { return fmt.Sprintf("P%.6g", o.Quantile*100) }

func (o Objective) inWords() string {
	m := o.Measured
	if m.QuantileMS == nil {
		return "no quantile, too many errors"
	}
	return fmt.Sprintf("%s is %s ms against a limit of %d ms, over %d requests with %d errors", o.name(), short(*m.QuantileMS), o.LimitMS, m.Judged, m.Errors)
}

// axis is a logarithmic scale.
type axis struct{ from, to, left, right float64 }

func (a axis) at(ms float64) float64 {
	ms = math.Min(math.Max(ms, a.from), a.to)
	return a.left + (a.right-a.left)*math.Log(ms/a.from)/math.Log(a.to/a.from)
}

// ticks marks 1, 2 and 5 of every power of ten, where there is room.
func (c *chart) ticks(a axis, base float64) {
	last := math.Inf(-1)
	for power := math.Floor(math.Log10(a.from)); power <= math.Ceil(math.Log10(a.to)); power++ {
		for _, digit := range []float64{1, 2, 5} {
			v := digit * math.Pow(10, power)
			if v < a.from || v > a.to {
				continue
			}
			x := a.at(v)
			c.line("axis", x, base, x, base+4)
			label := short(v)
			half := float64(len(label)) * sansWidth / 2
			if x-half > last+10 && x-half >= 0 && x+half <= c.W {
				c.text("small", "middle", x, base+18, label)
				last = x + half
			}
		}
	}
	c.text("small", "end", a.right, base+32, "milliseconds, on a logarithmic scale")
}

// short shows three significant digits.
func short(v float64) string {
	if v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}
