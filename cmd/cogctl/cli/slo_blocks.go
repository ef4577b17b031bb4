package cli

import (
	"fmt"
	"strings"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/slo"
	"github.com/cognomega/edge/internal/term"
)

// histogramBuckets is how wide a histogram is drawn.
const histogramBuckets = 16

func (r *sloResult) blocks() []term.Block {
	var blocks []term.Block
	if len(r.Objectives) > 1 {
		blocks = append(blocks, headline(r.Verdict, counted(len(r.Objectives), "objective")+" on "+r.Hostname+" ("+r.Env+")"))
	}
	var findings []audit.Finding
	for _, o := range r.Objectives {
		blocks = append(blocks, o.facts())
		findings = append(findings, o.Findings...)
	}
	if len(findings) > 0 {
		blocks = append(blocks, findingRows(findings, "got", "want"))
		blocks = append(blocks, hintLines(findings)...)
	}
	return blocks
}

func (o provedObjective) facts() term.Facts {
	facts := term.Facts{{Name: "objective", Value: term.T(o.Title)}}
	m := o.Measured
	if m == nil {
		return append(facts, term.Fact{Name: "verdict", Value: term.Mark(term.Inconclusive)}, term.Fact{Name: "because", Value: term.T(o.Summary)})
	}
	name := fmt.Sprintf("P%.6g", o.Quantile*100)
	facts = append(facts,
		term.Fact{Name: "sent", Value: term.T(fmt.Sprintf("%s at %g/s for %s, open loop, after %d of warm-up, %s",
			counted(o.Sent, "request"), o.Plan.Rate, seconds(o.LastedMS), o.Plan.WarmUp, counted(m.Errors, "error")))},
		term.Fact{Name: name, Value: term.T(fmt.Sprintf("%s   %.4g %% bounds [%s, %s]   %s", ms(m.QuantileMS), o.confidence*100, ms(m.LowerMS), ms(m.UpperMS), spark(o.Histogram, o.LimitMS)))},
		term.Fact{Name: "verdict", Value: term.Mark(term.Verdict(o.Verdict))},
		term.Fact{Name: "basis", Value: term.DimText(o.odds())},
	)
	if m.LateSends > 0 && m.Verdict != audit.Inconclusive {
		facts = append(facts, term.Fact{Name: "late", Value: term.DimText(fmt.Sprintf("%s sent late by this machine, the worst %.0f ms: counted against the verdict, which stands", counted(m.LateSends, "request"), m.WorstMS))})
	}
	if m.Elsewhere > 0 && m.Verdict != audit.Inconclusive {
		facts = append(facts, term.Fact{Name: "others", Value: term.DimText(counted(m.Elsewhere, "answer") + " came another way than is measured: counted against the verdict, which stands")})
	}
	if m.Because != "" {
		facts = append(facts, term.Fact{Name: "because", Value: term.T(m.Because)})
	}
	if o.Proof != "" {
		facts = append(facts, term.Fact{Name: "proof", Value: term.DimText(o.Proof + "  (cogctl verify re-derives this)")})
	}
	return facts
}

// odds says how wrong the verdict may be, and how much it had to go by.
func (o provedObjective) odds() string {
	m := o.Measured
	text := fmt.Sprintf("P(false %s) ≤ %.2g", o.Verdict, m.ErrorRate)
	if o.Verdict == audit.Inconclusive {
		text = fmt.Sprintf("comparing P%.6g alone would say %s", o.Quantile*100, m.Naive)
	}
	if m.Least > 0 {
		text += fmt.Sprintf(" · passes from %d requests, had %d of %d", m.Least, m.Judged, o.Plan.Requests)
	}
	return text
}

func ms(v *float64) string {
	if v == nil {
		return "none"
	}
	return fmt.Sprintf("%.1f ms", *v)
}

// spark draws a histogram in one line, with the limit where it falls.
func spark(buckets []slo.Bucket, limitMS int) string {
	const levels = "▁▂▃▄▅▆▇█"
	steps, most := []rune(levels), 0
	for _, b := range buckets {
		most = max(most, b.Count)
	}
	var (
		line  strings.Builder
		drawn bool
		limit = float64(limitMS)
	)
	for _, b := range buckets {
		if !drawn && b.FromMS >= limit {
			line.WriteRune('│')
			drawn = true
		}
		if b.Count == 0 {
			line.WriteRune(' ')
			continue
		}
		line.WriteRune(steps[min(b.Count*len(steps)/(most+1), len(steps)-1)])
	}
	if !drawn {
		line.WriteString("  ·│")
	}
	return strings.TrimRight(line.String(), " ") + fmt.Sprintf(" %d ms", limitMS)
}
