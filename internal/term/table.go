package term

import (
	"strings"

	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/lipgloss/table"
)

// narrow is the width below which a table's columns would be slivers; it becomes a list.
const narrow = 60

// Rows is a table. Off a TTY its columns are aligned by spaces alone and nothing is cut.
type Rows struct {
	Columns []string
	Rows    [][]Text
	Empty   string // said instead of a table without rows
}

// Row makes a row of plain texts.
func Row(cells ...string) []Text {
	row := make([]Text, len(cells))
	for i, c := range cells {
		row[i] = T(c)
	}
	return row
}

func (t Rows) text(c canvas) string {
	switch {
	case len(t.Rows) == 0:
		return t.Empty
	case c.width > 0 && c.width < narrow:
		return t.list(c)
	}
	plain := t.aligned(c)
	if c.tty && c.width > 0 && lipgloss.Width(plain) > c.width {
		return t.wrapped(c)
	}
	return plain
}

// aligned pads every column but the last to its widest cell.
func (t Rows) aligned(c canvas) string {
	wide := make([]int, len(t.Columns))
	for i, name := range t.Columns {
		wide[i] = lipgloss.Width(name)
		for _, row := range t.Rows {
			wide[i] = max(wide[i], lipgloss.Width(row[i].Text))
		}
	}
	var b strings.Builder
	line := func(cells []Text) {
		b.WriteString("  ")
		for i, cell := range cells {
			b.WriteString(paint(c.r, cell))
			if i < len(cells)-1 {
				b.WriteString(strings.Repeat(" ", wide[i]-lipgloss.Width(cell.Text)+3))
			}
		}
		b.WriteByte('\n')
	}
	line(t.heading())
	for _, row := range t.Rows {
		line(row)
	}
	return trimLines(b.String())
}

func (t Rows) heading() []Text {
	cells := make([]Text, len(t.Columns))
	for i, name := range t.Columns {
		cells[i] = DimText(strings.ToUpper(name))
	}
	return cells
}

// wrapped lets lipgloss break long cells so that the table fits.
func (t Rows) wrapped(c canvas) string {
	keep := t.unbroken(c.width)
	gap := lipgloss.Border{Left: " ", Right: " ", Middle: " ", MiddleLeft: " ", MiddleRight: " "}
	lt := table.New().Border(gap).BorderTop(false).BorderBottom(false).BorderHeader(false).BorderColumn(false).
		BorderLeft(false).BorderRight(false).Wrap(true).Width(c.width).
		StyleFunc(func(row, col int) lipgloss.Style {
			tone := Dim
			if row != table.HeaderRow {
				tone = t.Rows[row][col].Tone
			}
			s := toneStyle(c.r, tone).PaddingRight(2)
			if col == 0 {
				s = s.PaddingLeft(2)
			}
			if wide := keep[col]; wide > 0 {
				s = s.Width(wide + s.GetHorizontalPadding())
			}
			return s
		})
	lt.Headers(upper(t.Columns)...)
	for _, row := range t.Rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = printable(cell.Text)
		}
		lt.Row(cells...)
	}
	return trimLines(lt.Render())
}

// leastProse is the narrowest column in which sentences are still readable.
const leastProse = 24

// unbroken gives every column but the last its natural width, when that leaves room for the last: names and URLs can then be
// copied whole, and sentences, which stand last, are what is broken. A table too wide for that breaks its long columns.
func (t Rows) unbroken(width int) []int {
	wide := make([]int, len(t.Columns))
	left := width - 2
	for i := range wide[:len(wide)-1] {
		wide[i] = lipgloss.Width(t.Columns[i])
		for _, row := range t.Rows {
			wide[i] = max(wide[i], lipgloss.Width(row[i].Text))
		}
		left -= wide[i] + 2
	}
	for i := range wide {
		if left < leastProse && wide[i] > width/4 {
			wide[i] = 0 // lipgloss decides about the long ones; the short ones stay whole
		}
	}
	return wide
}

func upper(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = strings.ToUpper(n)
	}
	return out
}

// list shows a row as a few lines, for terminals too narrow for columns.
func (t Rows) list(c canvas) string {
	var b strings.Builder
	for i, row := range t.Rows {
		if i > 0 {
			b.WriteByte('\n')
		}
		for j, cell := range row {
			if cell.Text != "" {
				b.WriteString(paint(c.r, DimText(t.Columns[j]+":")) + " " + paint(c.r, cell) + "\n")
			}
		}
	}
	return b.String()
}

func (t Rows) markdown() string {
	if len(t.Rows) == 0 {
		return t.Empty
	}
	var b strings.Builder
	b.WriteString("|")
	for _, name := range t.Columns {
		b.WriteString(" " + escapeMarkdown(name) + " |")
	}
	b.WriteString("\n|" + strings.Repeat(" --- |", len(t.Columns)) + "\n")
	for _, row := range t.Rows {
		b.WriteString("|")
		for _, cell := range row {
			b.WriteString(" " + escapeMarkdown(cell.Text) + " |")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func escapeMarkdown(s string) string {
	return strings.NewReplacer("|", `\|`, "*", `\*`, "_", `\_`, "<", "&lt;", "\n", " ").Replace(s)
}

func trimLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = strings.TrimRight(l, " ")
	}
	return strings.Join(lines, "\n")
}
