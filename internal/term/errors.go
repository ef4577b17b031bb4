package term

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/cognomega/edge/internal/fault"
)

// Error shows an error on stderr: what was being done and why it failed, then what to try. A bare fault.Kind shows
// nothing: the report that carries the verdict has been printed.
func (t *Term) Error(err error) {
	if _, bare := err.(fault.Kind); bare || err == nil { //nolint:errorlint // a wrapped kind has words of its own
		return
	}
	if t.format == JSON {
		t.errorJSON(err)
		return
	}
	c := canvas{r: t.renderer(t.errTTY)}
	fmt.Fprintln(t.err, paint(c.r, Sign(Fail)), printable(err.Error()))
	if hint := fault.HintOf(err); hint != "" {
		fmt.Fprintln(t.err, Hint(printable(hint)).text(c))
	}
}

func (t *Term) errorJSON(err error) {
	doc := struct {
		Kind     fault.Kind `json:"kind"`
		Message  string     `json:"message"`
		Hint     string     `json:"hint,omitempty"`
		ExitCode int        `json:"exit_code"`
	}{fault.KindOf(err), err.Error(), fault.HintOf(err), fault.ExitCode(err)}
	raw, encodeErr := encode("cogctl/error/v1", doc)
	if encodeErr != nil {
		raw, _ = json.Marshal(err.Error())
	}
	_, _ = t.err.Write(raw)
}

// Note says something on stderr that is not part of the result.
func (t *Term) Note(parts ...Text) {
	c := canvas{r: t.renderer(t.errTTY)}
	fmt.Fprintln(t.err, Line(parts).text(c))
}

// Interject is Note for what comes up while a Progress runs, from any goroutine.
func (t *Term) Interject(parts ...Text) {
	t.errMu.Lock()
	defer t.errMu.Unlock()
	if t.errTTY {
		fmt.Fprint(t.err, "\r\x1b[K")
	}
	t.Note(parts...)
}

// printable keeps what an API answered from moving the cursor or hiding text: control characters become visible.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '\uFFFD'
		}
		return r
	}, s)
}
