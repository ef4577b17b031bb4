package term_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

func sample() term.Report {
	type finding struct {
		URL string `json:"url"`
	}
	return term.Report{
		Schema: "cogctl/sample/v1",
		Data: struct {
			Verdict  term.Verdict `json:"verdict"`
			Findings []finding    `json:"findings"`
		}{term.Fail, []finding{{"https://a.test/x?y=<1>&z"}}},
		Blocks: []term.Block{
			term.Headline(term.Fail, "1 shadow on a.test"),
			term.Rows{
				Columns: []string{"witness url", "verdict", "because"},
				Rows: [][]term.Text{
					{term.T("https://a.test/x"), term.Mark(term.Fail), term.T("route a.test/x* | is more specific")},
					{term.T("https://a.test/longer"), term.Mark(term.Pass), term.T("fine")},
				},
			},
			term.Facts{{Name: "host", Value: term.T("a.test")}, {Name: "owner", Value: term.DimText("gateway")}},
			term.Hint("look"),
		},
	}
}

const plainSample = `✗ 1 shadow on a.test

  WITNESS URL             VERDICT   BECAUSE
  https://a.test/x        ✗ fail    route a.test/x* | is more specific
  https://a.test/longer   ✓ pass    fine

host   a.test
owner  gateway

hint  look
`

func TestPrint(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fake   term.Fake
		format string
		want   string
	}{
		"off a TTY: aligned, nothing but text": {term.Fake{}, "table", plainSample},
		"on a TTY without colour: the same":    {term.Fake{TTY: true, NoColor: true}, "table", plainSample},
		"narrow: a list": {term.Fake{TTY: true, NoColor: true, Width: 40}, "table", `✗ 1 shadow on a.test

witness url: https://a.test/x
verdict: ✗ fail
because: route a.test/x* | is more specific

witness url: https://a.test/longer
verdict: ✓ pass
because: fine

host   a.test
owner  gateway

hint  look
`},
		"markdown": {term.Fake{TTY: true}, "markdown", `✗ 1 shadow on a.test

| witness url | verdict | because |
| --- | --- | --- |
| https://a.test/x | ✗ fail | route a.test/x\* \| is more specific |
| https://a.test/longer | ✓ pass | fine |

- **host**: a.test
- **owner**: gateway

hint  look
`},
		"json keeps URLs readable": {term.Fake{TTY: true}, "json", `{
  "schema": "cogctl/sample/v1",
  "verdict": "fail",
  "findings": [
    {
      "url": "https://a.test/x?y=<1>&z"
    }
  ]
}
`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tm, out, _ := term.Test(tt.fake)
			if err := tm.SetFormat(tt.format); err != nil {
				t.Fatal(err)
			}
			if err := tm.Print(sample()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, out.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestColour(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fake term.Fake
		mode string
		want bool
	}{
		"a TTY":             {term.Fake{TTY: true}, "auto", true},
		"not a TTY":         {term.Fake{}, "auto", false},
		"NO_COLOR":          {term.Fake{TTY: true, NoColor: true}, "auto", false},
		"never":             {term.Fake{TTY: true}, "never", false},
		"always off a TTY":  {term.Fake{}, "always", true},
		"always beats NO_C": {term.Fake{NoColor: true}, "always", true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tm, out, _ := term.Test(tt.fake)
			if err := tm.SetColor(tt.mode); err != nil {
				t.Fatal(err)
			}
			if err := tm.Print(sample()); err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(out.String(), "\x1b["); got != tt.want {
				t.Errorf("coloured is %v: %q", got, out)
			}
		})
	}
}

func TestWideCellsWrapToTheTerminal(t *testing.T) {
	t.Parallel()
	tm, out, _ := term.Test(term.Fake{TTY: true, Width: 70})
	err := tm.Print(term.Report{Blocks: []term.Block{term.Rows{
		Columns: []string{"url", "because"},
		Rows:    [][]term.Text{{term.T("https://a.test/x"), term.Text{Text: strings.Repeat("very long reason ", 12), Tone: term.Bad}}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(stripped(out.String()), "\n") {
		if n := len([]rune(line)); n > 70 {
			t.Errorf("%d columns: %q", n, line)
		}
	}
	if strings.ContainsAny(out.String(), "│─┌") {
		t.Errorf("box drawing: %q", out)
	}
}

func TestURLsAreNotBroken(t *testing.T) {
	t.Parallel()
	const url = "https://api.example.test/api/voice/rooms"
	tm, out, _ := term.Test(term.Fake{TTY: true, NoColor: true, Width: 90})
	err := tm.Print(term.Report{Blocks: []term.Block{term.Rows{
		Columns: []string{"witness url", "public", "because"},
		Rows:    [][]term.Text{{term.T(url), term.T("yes"), term.T(strings.Repeat("a long reason ", 9))}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, whole := range []string{url, "WITNESS URL", "PUBLIC"} {
		if !strings.Contains(out.String(), whole) {
			t.Errorf("%s is broken: %s", whole, out)
		}
	}
}

func TestUnknownChoicesAreRefused(t *testing.T) {
	t.Parallel()
	tm, _, _ := term.Test(term.Fake{})
	if err := tm.SetFormat("yaml"); !errors.Is(err, fault.Invalid) {
		t.Errorf("format: %v", err)
	}
	if err := tm.SetColor("blue"); !errors.Is(err, fault.Invalid) {
		t.Errorf("colour: %v", err)
	}
	if err := tm.SetFormat("json"); err != nil {
		t.Fatal(err)
	}
	if err := tm.Print(term.Report{Schema: "x/v1", Data: []int{1}}); err == nil {
		t.Error("an array has no room for a schema, and must be refused")
	}
	if err := tm.Print(term.Report{Schema: "x/v1", Data: struct{}{}}); err != nil {
		t.Error(err)
	}
}

func TestErrorsSayWhyAndWhatToTry(t *testing.T) {
	t.Parallel()
	failed := fault.New(fault.Denied, "read Workers of account 9f: %w", errors.New("Cloudflare says 10000 \x1b[2Jno")).WithHint("get a token")
	tests := map[string]struct {
		format string
		err    error
		want   string
	}{
		"text": {"table", failed, "✗ read Workers of account 9f: Cloudflare says 10000 \uFFFD[2Jno\nhint  get a token\n"},
		"json": {"json", fault.New(fault.Denied, "no").WithHint("yes"), `{
  "schema": "cogctl/error/v1",
  "kind": "denied",
  "message": "no",
  "hint": "yes",
  "exit_code": 3
}
`},
		"a verdict that was already printed": {"table", fault.Finding, ""},
		"no error":                           {"table", nil, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tm, out, errs := term.Test(term.Fake{})
			if err := tm.SetFormat(tt.format); err != nil {
				t.Fatal(err)
			}
			tm.Error(tt.err)
			if diff := cmp.Diff(tt.want, errs.String()); diff != "" {
				t.Error(diff)
			}
			if out.Len() != 0 {
				t.Errorf("stdout must stay empty on failure: %q", out)
			}
		})
	}
}

func TestConfirm(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fake term.Fake
		ok   bool
	}{
		"typed":            {term.Fake{TTY: true, Stdin: "local\n"}, true},
		"something else":   {term.Fake{TTY: true, Stdin: "yes\n"}, false},
		"nothing":          {term.Fake{TTY: true}, false},
		"nobody to answer": {term.Fake{Stdin: "local\n"}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tm, _, _ := term.Test(tt.fake)
			if err := tm.Confirm("this deletes the account's data", "local"); (err == nil) != tt.ok {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestProgressMovesOnATTY(t *testing.T) {
	t.Parallel()
	errs := runProgress(t, true, 3, 100*time.Millisecond)
	if n := strings.Count(errs, "\r"); n < 4 {
		t.Errorf("three ticks and a wipe, got %q", errs)
	}
	if !strings.Contains(errs, "█") || !strings.HasSuffix(errs, "\r\x1b[K") {
		t.Errorf("no bar, or not wiped at the end: %q", errs)
	}
}

func TestProgressIsALineEveryTenSecondsOffATTY(t *testing.T) {
	t.Parallel()
	errs := runProgress(t, false, 25, time.Second)
	if diff := cmp.Diff("apply 1/2 (10s)\napply 1/2 (20s)\n", errs); diff != "" {
		t.Error(diff)
	}
}

// runProgress sends ticks of a clock that the test moves, and returns what stderr got.
func runProgress(t *testing.T, tty bool, ticks int, step time.Duration) string {
	t.Helper()
	clock := make(chan time.Time)
	began := time.Date(2026, 11, 22, 18, 0, 0, 0, time.UTC)
	tm, out, errs := term.Test(term.Fake{TTY: tty, Ticks: clock, Now: func() time.Time { return began }})
	p := tm.Progress("plan")
	p.Set("apply", 1, 2)
	for i := range ticks {
		clock <- began.Add(time.Duration(i+1) * step)
	}
	p.Stop()
	p.Stop()
	if out.Len() != 0 {
		t.Errorf("progress on stdout: %q", out)
	}
	return errs.String()
}

func stripped(s string) string {
	var b bytes.Buffer
	for r := strings.NewReader(s); ; {
		c, err := r.ReadByte()
		if errors.Is(err, io.EOF) {
			return b.String()
		}
		if c != 0x1b {
			b.WriteByte(c)
			continue
		}
		for c != 'm' && err == nil {
			c, err = r.ReadByte()
		}
	}
}

func TestLongFactsBreakBetweenWordsOnATerminal(t *testing.T) {
	t.Parallel()
	facts := term.Facts{{Name: "why", Value: term.T("A Worker at workers.dev answers beside the hostname, without checks.")}, {Name: "id", Value: term.T(strings.Repeat("f", 64))}}
	for name, tt := range map[string]struct {
		fake term.Fake
		want string
	}{
		"narrow":      {term.Fake{TTY: true, NoColor: true, Width: 40}, "why  A Worker at workers.dev answers\n     beside the hostname, without\n     checks.\nid   " + strings.Repeat("f", 64) + "\n"},
		"no terminal": {term.Fake{}, "why  A Worker at workers.dev answers beside the hostname, without checks.\nid   " + strings.Repeat("f", 64) + "\n"},
	} {
		tm, out, _ := term.Test(tt.fake)
		if err := tm.Print(term.Report{Schema: "x/v1", Data: struct{}{}, Blocks: []term.Block{facts}}); err != nil || out.String() != tt.want {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
