package cli

import (
	"fmt"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/internal/term"
)

// headline is a verdict with what it is about.
func headline(v audit.Verdict, what string) term.Line { return term.Headline(term.Verdict(v), what) }

// findingRows shows findings by the URL that witnesses each.
func findingRows(findings []audit.Finding, got, want string) term.Rows {
	rows := term.Rows{Columns: []string{"witness url", got, want, "because"}}
	for _, f := range findings {
		because := term.T(f.Message)
		if f.Severity != audit.Error {
			because = term.DimText(string(f.Severity) + ": " + f.Message)
		}
		rows.Rows = append(rows.Rows, []term.Text{term.T(f.URL), term.T(f.Got), term.T(f.Want), because})
	}
	return rows
}

// hintLines gives each hint once, the first few: a fault that is everywhere has one way out.
func hintLines(findings []audit.Finding) []term.Block {
	const most = 5
	var blocks []term.Block
	seen := map[string]bool{}
	for _, f := range findings {
		if f.Hint == "" || seen[f.Hint] {
			continue
		}
		if seen[f.Hint] = true; len(seen) > most {
			return append(blocks, term.Line{term.DimText("      and more: --output json lists them all")})
		}
		blocks = append(blocks, term.Hint(f.Hint))
	}
	return blocks
}

// counted is "1 finding" or "3 findings".
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
