// Package term is everything people see: streams, colour, tables, verdicts, progress and errors, and the same facts as JSON or Markdown for programs.
package term

import (
	"bytes"
	"io"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/charmbracelet/lipgloss"
	"github.com/muesli/termenv"
	xterm "golang.org/x/term"

	"github.com/cognomega/edge/internal/fault"
)

// Format is the shape of results on stdout.
type Format string

// The formats of --output.
const (
	Table    Format = "table"
	JSON     Format = "json"
	Markdown Format = "markdown"
)

// Formats lists every format, for help and completion.
func Formats() []string { return []string{string(Table), string(JSON), string(Markdown)} }

// Term writes results to stdout and everything else to stderr. It is not safe for concurrent use, but for a running Progress.
type Term struct {
	in       io.Reader
	out, err io.Writer
	errMu    sync.Mutex // between a Progress and what is said while it runs

	inTTY, outTTY, errTTY bool

	colorMode string // auto, always, never
	noColor   bool   // NO_COLOR or a dumb terminal
	format    Format
	width     int // columns of stdout; 0 is without limit
	now       func() time.Time
	ticker    func(time.Duration) (<-chan time.Time, func())
	observe   func(Report) // of a test, before a report is printed
}

// System is the process's own terminal; getenv is where NO_COLOR, TERM and COLUMNS are looked up.
func System(getenv func(string) string) *Term {
	t := &Term{
		in: os.Stdin, out: os.Stdout, err: os.Stderr,
		inTTY: isTTY(os.Stdin), outTTY: isTTY(os.Stdout), errTTY: isTTY(os.Stderr),
		colorMode: "auto", format: Table, now: time.Now, ticker: realTicker,
	}
	t.noColor = getenv("NO_COLOR") != "" || getenv("TERM") == "dumb"
	if t.outTTY {
		t.width = columns(os.Stdout, getenv("COLUMNS"))
	}
	return t
}

// Fake describes the terminal of a test.
type Fake struct {
	TTY     bool
	NoColor bool
	Width   int // 0 is 100 on a TTY and no limit off it
	Stdin   string
	Now     func() time.Time
	Ticks   <-chan time.Time // what moves a Progress
	Observe func(Report)     // sees every report before it is printed
}

// Test is a terminal of buffers.
func Test(f Fake) (t *Term, stdout, stderr *bytes.Buffer) {
	stdout, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	t = &Term{
		in: bytes.NewBufferString(f.Stdin), out: stdout, err: stderr,
		inTTY: f.TTY, outTTY: f.TTY, errTTY: f.TTY,
		colorMode: "auto", noColor: f.NoColor, format: Table, width: f.Width, now: f.Now, observe: f.Observe,
		ticker: func(time.Duration) (<-chan time.Time, func()) { return f.Ticks, func() {} },
	}
	if t.now == nil {
		t.now = time.Now
	}
	if f.TTY && f.Width == 0 {
		t.width = 100
	}
	return t, stdout, stderr
}

// SetFormat chooses the shape of results.
func (t *Term) SetFormat(name string) error {
	switch f := Format(name); f {
	case Table, JSON, Markdown:
		t.format = f
		return nil
	default:
		return fault.New(fault.Invalid, "output format %q is not known", name).WithHint("--output table, json or markdown")
	}
}

// SetColor takes the value of --color: auto, always or never.
func (t *Term) SetColor(mode string) error {
	switch mode {
	case "auto", "always", "never":
		t.colorMode = mode
		return nil
	default:
		return fault.New(fault.Invalid, "colour mode %q is not known", mode).WithHint("--color auto, always or never")
	}
}

// Format is the chosen shape of results.
func (t *Term) Format() Format { return t.format }

// Interactive is true when a person can answer a question.
func (t *Term) Interactive() bool { return t.inTTY && t.errTTY }

// Out is stdout, for results that are not documents: a token, a file.
func (t *Term) Out() io.Writer { return t.out }

// Err is stderr, for what a child process says.
func (t *Term) Err() io.Writer { return t.err }

// In is stdin.
func (t *Term) In() io.Reader { return t.in }

func (t *Term) colored(tty bool) bool {
	switch t.colorMode {
	case "always":
		return true
	case "never":
		return false
	default:
		return tty && !t.noColor
	}
}

// renderer never asks the terminal anything: a query would wait for terminals that do not answer.
func (t *Term) renderer(tty bool) *lipgloss.Renderer {
	r := lipgloss.NewRenderer(io.Discard)
	r.SetHasDarkBackground(true)
	r.SetColorProfile(termenv.Ascii)
	if t.colored(tty) {
		r.SetColorProfile(termenv.ANSI)
	}
	return r
}

func isTTY(f *os.File) bool { return xterm.IsTerminal(int(f.Fd())) }

func columns(f *os.File, override string) int {
	if n, err := strconv.Atoi(override); err == nil && n > 0 {
		return n
	}
	if w, _, err := xterm.GetSize(int(f.Fd())); err == nil && w > 0 {
		return w
	}
	return 80
}

func realTicker(every time.Duration) (<-chan time.Time, func()) {
	ticker := time.NewTicker(every)
	return ticker.C, ticker.Stop
}
