package main

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/cognomega/edge/internal/term"
)

// figure is one measured promise: a value a round, and the bound that their median must keep.
type figure struct {
	Name     string               `json:"name"`
	Against  string               `json:"against"` // the baseline of a ratio, or what an absolute figure is held to
	Unit     string               `json:"unit"`
	Bound    float64              `json:"bound"`
	Rounds   []float64            `json:"rounds"`
	Raw      map[string][]float64 `json:"raw,omitempty"` // what the rounds were computed from
	RawUnits string               `json:"raw_units,omitempty"`
}

// summary is a figure as it is printed and kept.
type summary struct {
	figure
	Median float64 `json:"median"`
	OK     bool    `json:"ok"`
}

func summarise(f figure) summary {
	m := median(f.Rounds)
	return summary{f, m, len(f.Rounds) > 0 && m <= f.Bound}
}

// keep notes a raw value of a round.
func (f *figure) keep(name string, v float64) {
	if f.Raw == nil {
		f.Raw = map[string][]float64{}
	}
	f.Raw[name] = append(f.Raw[name], v)
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}

func (s summary) row() []term.Text {
	verdict := term.Text{Text: "ok", Tone: term.Good}
	if !s.OK {
		verdict = term.Text{Text: "over", Tone: term.Bad}
	}
	low, high := slices.Min(s.Rounds), slices.Max(s.Rounds)
	row := term.Row(s.Name, number(s.Median)+" "+s.Unit, number(s.Bound)+" "+s.Unit)
	return append(row, verdict, term.T(fmt.Sprintf("%s-%s of %d", number(low), number(high), len(s.Rounds))), term.T(s.Against))
}

// number shows three significant digits, which is more than the rounds agree on.
func number(v float64) string {
	if v >= 100 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}
