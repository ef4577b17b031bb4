package term

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"

	"github.com/charmbracelet/lipgloss"

	"github.com/cognomega/edge/internal/fault"
)

// Report is one command's result: typed data for programs, and blocks that show the same to people.
type Report struct {
	Schema string // "cogctl/audit.routes/v1": its keys never change meaning
	Data   any    // encodes to a JSON object
	Blocks []Block
}

// Block is a part of what people see.
type Block interface {
	text(c canvas) string
	markdown() string
}

// canvas is what a block is drawn on.
type canvas struct {
	r     *lipgloss.Renderer
	width int // 0 is without limit
	tty   bool
}

// Print writes a report to stdout in the chosen format.
func (t *Term) Print(r Report) error {
	var (
		raw []byte
		err error
	)
	if t.observe != nil {
		t.observe(r)
	}
	switch t.format {
	case JSON:
		raw, err = encode(r.Schema, r.Data)
	case Markdown:
		raw = []byte(join(r.Blocks, Block.markdown))
	default:
		c := canvas{r: t.renderer(t.outTTY), width: t.width, tty: t.outTTY}
		raw = []byte(join(r.Blocks, func(b Block) string { return b.text(c) }))
	}
	if err != nil {
		return err
	}
	return t.write(t.out, raw)
}

func (t *Term) write(w io.Writer, raw []byte) error {
	if _, err := w.Write(raw); err != nil {
		return fault.New(fault.Unavailable, "write the result: %w", err)
	}
	return nil
}

// Encode is the JSON document of a report: its schema first, then the data's own keys.
func Encode(schema string, data any) ([]byte, error) { return encode(schema, data) }

func encode(schema string, data any) ([]byte, error) {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(data); err != nil {
		return nil, fault.New(fault.Internal, "encode %s: %w", schema, err)
	}
	object, isObject := bytes.CutPrefix(bytes.TrimSpace(body.Bytes()), []byte("{"))
	if !isObject {
		return nil, fault.New(fault.Internal, "encode %s: the data is not an object", schema)
	}
	name, err := json.Marshal(schema)
	if err != nil {
		return nil, fault.New(fault.Internal, "encode %s: %w", schema, err)
	}
	whole := append([]byte(`{"schema":`), name...)
	if !bytes.HasPrefix(object, []byte("}")) {
		whole = append(whole, ',')
	}
	whole = append(whole, object...)
	var out bytes.Buffer
	if err := json.Indent(&out, whole, "", "  "); err != nil {
		return nil, fault.New(fault.Internal, "encode %s: %w", schema, err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// join draws blocks with one empty line between them, except after a Line, which belongs to what follows.
func join(blocks []Block, draw func(Block) string) string {
	var b strings.Builder
	for i, block := range blocks {
		drawn := strings.TrimRight(draw(block), "\n")
		if drawn == "" {
			continue
		}
		if i > 0 && b.Len() > 0 && !(isLine(block) && isLine(blocks[i-1])) {
			b.WriteByte('\n')
		}
		b.WriteString(drawn)
		b.WriteByte('\n')
	}
	return b.String()
}

func isLine(b Block) bool {
	_, ok := b.(Line)
	return ok
}

// Line is a line of toned texts; consecutive lines stay together.
type Line []Text

// Headline is a verdict's sign, then what it is about.
func Headline(v Verdict, what string) Line { return Line{Sign(v), T(" " + what)} }

// Hint is what to try next.
func Hint(text string) Line {
	if text == "" {
		return nil
	}
	return Line{Text{"hint", Strong}, T("  " + text)}
}

func (l Line) text(c canvas) string {
	var b strings.Builder
	for _, t := range l {
		b.WriteString(paint(c.r, t))
	}
	return b.String()
}

func (l Line) markdown() string {
	var b strings.Builder
	for _, t := range l {
		b.WriteString(t.Text)
	}
	return b.String()
}

// Facts are names with values, aligned.
type Facts []Fact

// Fact is one name with its value.
type Fact struct {
	Name  string
	Value Text
}

func (f Facts) text(c canvas) string {
	wide := 0
	for _, fact := range f {
		wide = max(wide, lipgloss.Width(fact.Name))
	}
	var b strings.Builder
	for _, fact := range f {
		pad := strings.Repeat(" ", wide-lipgloss.Width(fact.Name)+2)
		b.WriteString(paint(c.r, DimText(fact.Name)) + pad)
		for i, line := range c.lines(fact.Value.Text, wide+2) {
			if i > 0 {
				b.WriteString(strings.Repeat(" ", wide+2))
			}
			b.WriteString(paint(c.r, Text{line, fact.Value.Tone}) + "\n")
		}
	}
	return b.String()
}

// lines breaks a text between words so that it fits beside an indent; off a terminal, and for a word that is too long, it does not.
func (c canvas) lines(text string, indent int) []string {
	room := c.width - indent
	if !c.tty || c.width <= 0 || room < 20 || lipgloss.Width(text) <= room {
		return []string{text}
	}
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && lipgloss.Width(line)+1+lipgloss.Width(word) > room {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

func (f Facts) markdown() string {
	var b strings.Builder
	for _, fact := range f {
		b.WriteString("- **" + escapeMarkdown(fact.Name) + "**: " + escapeMarkdown(fact.Value.Text) + "\n")
	}
	return b.String()
}
