package report

import (
	"fmt"
	"slices"
	"time"

	"github.com/cognomega/edge/audit/jwks"
)

// keyLine is one key as the proofs have seen it.
type keyLine struct {
	KID         string
	First, Last time.Time
	Seen        []time.Time
	Signed      []time.Time
	Now         bool // it is in the newest sighting
}

func keyLines(sightings []jwks.Sighting) []keyLine {
	var lines []keyLine
	for n, s := range sightings {
		for _, k := range s.Keys {
			i := slices.IndexFunc(lines, func(l keyLine) bool { return l.KID == k.KID })
			if i < 0 {
				i = len(lines)
				lines = append(lines, keyLine{KID: k.KID, First: s.At})
			}
			l := &lines[i]
			l.Last, l.Seen, l.Now = s.At, append(l.Seen, s.At), n == len(sightings)-1
			if s.Signer == k.KID {
				l.Signed = append(l.Signed, s.At)
			}
		}
	}
	return lines
}

// keyChart draws for each key the time in which proofs saw it published, with a dot for each; full where it signed.
func keyChart(k Keys) *pair {
	lines := keyLines(k.Sightings)
	if len(lines) == 0 {
		return nil
	}
	first, last := k.Sightings[0].At, k.Sightings[len(k.Sightings)-1].At
	return both(func(width float64) chart {
		c := chart{W: width, Alt: fmt.Sprintf("%s seen by %s from %s to %s", counted(len(lines), "key", "keys"), counted(len(k.Sightings), "proof", "proofs"), stamp(first), stamp(last))}
		left, right := 12.0, width-12
		at := func(t time.Time) float64 {
			if span := last.Sub(first); span > 0 {
				return left + (right-left)*float64(t.Sub(first))/float64(span)
			}
			return (left + right) / 2
		}
		y := 0.0
		for _, l := range lines {
			state := "retired: the newest proof does not see it"
			if l.Now {
				state = "published"
			}
			c.text("mono", "start", left-8, y+16, fit(l.KID, width-20, monoWidth))
			c.text("small", "start", left-8, y+32, state)
			c.line("key", at(l.First), y+46, at(l.Last), y+46)
			for _, t := range l.Seen {
				c.dot("seen", at(t), y+46, 4, "published at "+stamp(t))
			}
			for _, t := range l.Signed {
				c.dot("signed", at(t), y+46, 4, "signed a token at "+stamp(t))
			}
			y += 62
		}
		c.line("axis", left, y, right, y)
		if first.Equal(last) {
			c.text("small", "middle", (left+right)/2, y+16, stamp(first))
		} else {
			c.text("small", "start", left-8, y+16, stamp(first))
			c.text("small", "end", right+8, y+16, stamp(last))
		}
		c.H = y + 22
		return c
	})
}

func stamp(t time.Time) string { return t.UTC().Format("2 Jan 15:04 UTC") }
