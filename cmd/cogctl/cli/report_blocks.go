package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/report"
	"github.com/cognomega/edge/internal/term"
)

// What of long lists a comment or a screen shows; the page and JSON have more.
const (
	shownRows     = 20
	shownFindings = 10
)

func (r *reportResult) blocks() []term.Block {
	todo := term.Facts{{Name: "do", Value: term.Text{Text: r.Todo.What, Tone: term.Strong}}, {Name: "because", Value: term.T(r.Todo.Why)}}
	if r.Todo.Command != "" {
		todo = append(todo, term.Fact{Name: "with", Value: term.T(r.Todo.Command)})
	}
	blocks := []term.Block{headline(r.Verdict, r.Headline+": "+r.Hostname+" ("+r.Env+")"), todo, checkRows(r.Report)}
	blocks = append(blocks, notLookedLine(r.Report)...)
	blocks = append(blocks, reportFindings(r.Report)...)
	blocks = append(blocks, territoryRows(r.Routes), objectiveRows(r.Objectives), sightingRows(r.Keys), driftRows(r.Drift), gateRows(r.Gates), unbelievedRows(r.Unbelieved))
	var written term.Facts
	if r.Page != "" {
		written = append(written, term.Fact{Name: "page", Value: term.DimText(r.Page)})
	}
	if r.JUnit != "" {
		written = append(written, term.Fact{Name: "junit", Value: term.DimText(r.JUnit)})
	}
	return append(blocks, written)
}

func checkRows(r *report.Report) term.Rows {
	rows := term.Rows{Columns: []string{"promise", "verdict", "seen", "found"}}
	for _, c := range r.Looked() {
		seen, found := term.DimText("never"), c.Summary
		if c.At != nil {
			seen = term.T(spanAgo(c.AgeS))
		}
		if c.Because != "" {
			found += "; " + c.Because
		}
		rows.Rows = append(rows.Rows, []term.Text{term.T(c.Title), markOf(c), seen, term.T(found)})
	}
	d, seen := r.Drift, term.DimText("never")
	if d.At != nil {
		seen = term.T(spanAgo(d.AgeS))
	}
	says := strings.Trim(fmt.Sprintf("%s; %s", counted(len(d.Changes), "difference"), d.Because), "; ")
	rows.Rows = append(rows.Rows, []term.Text{term.T("what is live is what is declared"), term.Mark(term.Verdict(d.Verdict)), seen, term.T(says)})
	return rows
}

// notLookedLine counts what would only fill the screen.
func notLookedLine(r *report.Report) []term.Block {
	n := len(r.NotLooked())
	if n == 0 {
		return nil
	}
	return []term.Block{term.Line{term.DimText(fmt.Sprintf("%d more that nothing requires were not looked at: the page and --output json name them", n))}}
}

func reportFindings(r *report.Report) []term.Block {
	var all []audit.Finding
	for _, c := range r.Checks {
		if c.State != report.Unjudged {
			all = append(all, c.Findings...)
		}
	}
	if len(all) == 0 {
		return nil
	}
	left := max(len(all)-shownFindings, 0)
	blocks := []term.Block{findingRows(all[:len(all)-left], "got", "want")}
	if left > 0 {
		blocks = append(blocks, term.Line{term.DimText(fmt.Sprintf("and %d more: the page and --output json have them all", left))})
	}
	return append(blocks, hintLines(all)...)
}

func territoryRows(m *report.RouteMap) term.Block {
	rows := term.Rows{Columns: []string{"urls", "scheme", "answered by", "because"}, Empty: "routes: not known, no evidence can be judged"}
	if m == nil {
		return rows
	}
	for _, t := range m.Territories[:min(len(m.Territories), shownRows)] {
		who := term.Text{Text: "✓ " + t.Worker, Tone: term.Good}
		switch {
		case t.Outcome == "ambiguous":
			who = term.Text{Text: "? undecided", Tone: term.Warn}
		case t.Worker == "":
			who = term.Text{Text: "✗ nobody", Tone: term.Bad}
		case !t.Ours:
			who = term.Text{Text: "✗ " + t.Worker, Tone: term.Bad}
		}
		rows.Rows = append(rows.Rows, []term.Text{term.T(strings.Repeat("  ", t.Depth) + t.Text), term.T(t.Scheme), who, term.DimText(t.Cause)})
	}
	return rows
}

func objectiveRows(all []report.Objective) term.Block {
	rows := term.Rows{Columns: []string{"objective", "verdict", "measured", "bounds", "requests"}}
	for _, o := range all {
		if o.Measured == nil {
			continue // the promises above say so
		}
		m := o.Measured
		rows.Rows = append(rows.Rows, []term.Text{term.T(o.Title), term.Mark(term.Verdict(o.Verdict)), term.T(ms(m.QuantileMS)), term.T("[" + ms(m.LowerMS) + ", " + ms(m.UpperMS) + "]"), term.T(fmt.Sprint(m.Judged))})
	}
	return rows
}

func sightingRows(k report.Keys) term.Block {
	rows := term.Rows{Columns: []string{"signing key", "published", "signed a new token"}, Empty: "keys: not known, no evidence can be judged"}
	if n := len(k.Sightings); n > 0 {
		last := k.Sightings[n-1]
		for _, key := range last.Keys {
			signed := "no"
			if key.KID == last.Signer {
				signed = "yes"
			}
			rows.Rows = append(rows.Rows, term.Row(key.KID, "at "+last.At.UTC().Format(rfc3339), signed))
		}
	}
	return rows
}

func driftRows(d report.Drift) term.Block {
	rows := term.Rows{Columns: []string{"drift", "where", "declared", "live"}}
	for _, c := range d.Changes[:min(len(d.Changes), shownRows)] {
		rows.Rows = append(rows.Rows, term.Row(c.Op, c.Path, shown(c.Was), shown(c.Is)))
	}
	return rows
}

func gateRows(gates []report.Gate) term.Block {
	rows := term.Rows{Columns: []string{"gate", "state", "because"}}
	for _, g := range gates {
		state := term.Sign(term.Verdict(g.Verdict))
		if state.Text += " open"; g.Verdict != audit.Pass {
			state.Text = strings.Replace(state.Text, "open", "shut", 1)
		}
		rows.Rows = append(rows.Rows, []term.Text{term.T(g.Name), state, term.T(g.Because)})
	}
	return rows
}

func unbelievedRows(all []report.Unbelieved) term.Block {
	rows := term.Rows{Columns: []string{"not believed", "because"}}
	for _, u := range all {
		rows.Rows = append(rows.Rows, term.Row(u.File, u.Reason))
	}
	return rows
}

func spanAgo(seconds float64) string {
	return (time.Duration(seconds) * time.Second).Round(time.Second).String() + " ago"
}
