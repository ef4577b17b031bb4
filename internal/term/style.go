package term

import "github.com/charmbracelet/lipgloss"

// Tone says what a text is, not what colour it has; every tone but Plain and Dim also carries a sign or a word.
type Tone int

// The tones.
const (
	Plain Tone = iota
	Good
	Warn
	Bad
	Dim
	Strong
)

// Text is a piece of output with a tone.
type Text struct {
	Text string
	Tone Tone
}

// T is plain text.
func T(s string) Text { return Text{Text: s} }

// DimText is a secondary fact.
func DimText(s string) Text { return Text{Text: s, Tone: Dim} }

// Verdict is the outcome of a check.
type Verdict string

// The verdicts.
const (
	Pass         Verdict = "pass"
	Fail         Verdict = "fail"
	Warning      Verdict = "warn"
	Inconclusive Verdict = "inconclusive"
	Skipped      Verdict = "skipped"
)

// Mark is a verdict's sign and word: "✓ pass".
func Mark(v Verdict) Text {
	t := Sign(v)
	t.Text += " " + string(v)
	return t
}

// Sign is a verdict's sign alone, for lines whose words say the rest.
func Sign(v Verdict) Text {
	switch v {
	case Pass:
		return Text{"✓", Good}
	case Fail:
		return Text{"✗", Bad}
	case Warning:
		return Text{"!", Warn}
	case Inconclusive:
		return Text{"?", Warn}
	default:
		return Text{"-", Dim}
	}
}

func paint(r *lipgloss.Renderer, t Text) string {
	shown := printable(t.Text)
	if t.Tone == Plain || shown == "" {
		return shown
	}
	return toneStyle(r, t.Tone).Render(shown)
}

func toneStyle(r *lipgloss.Renderer, tone Tone) lipgloss.Style {
	s := r.NewStyle()
	switch tone {
	case Good:
		return s.Foreground(lipgloss.Color("2"))
	case Warn:
		return s.Foreground(lipgloss.Color("3"))
	case Bad:
		return s.Foreground(lipgloss.Color("1"))
	case Dim:
		return s.Faint(true)
	case Strong:
		return s.Bold(true)
	default:
		return s
	}
}
