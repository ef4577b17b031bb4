package deploy

import (
	"encoding/json"
	"io"
	"sync"

	"github.com/cognomega/edge/internal/fault"
)

// Line is one line of the JSON protocol on stdout; Type says which members are set.
type Line struct {
	Type         string         `json:"type"`
	Name         string         `json:"name,omitempty"`
	Msg          string         `json:"msg,omitempty"`
	Op           string         `json:"op,omitempty"`
	URN          string         `json:"urn,omitempty"`
	ResourceType string         `json:"resource_type,omitempty"`
	Diff         []string       `json:"diff,omitempty"`
	Rule         string         `json:"rule,omitempty"`
	Title        string         `json:"title,omitempty"`
	Message      string         `json:"message,omitempty"`
	Kind         string         `json:"kind,omitempty"`
	ID           string         `json:"id,omitempty"`
	Status       string         `json:"status,omitempty"`
	Done         int            `json:"done,omitempty"`
	Total        int            `json:"total,omitempty"`
	MS           int64          `json:"ms,omitempty"`
	Severity     string         `json:"severity,omitempty"`
	Hint         string         `json:"hint,omitempty"`
	Changes      map[string]int `json:"changes,omitempty"`
	DurationMS   int64          `json:"duration_ms,omitempty"`
	Outputs      map[string]any `json:"outputs,omitempty"`
}

// emitter writes lines one at a time; the first error stays, and ends the run at its end.
type emitter struct {
	mu  sync.Mutex
	w   io.Writer
	err error
}

func (e *emitter) emit(l Line) {
	e.mu.Lock()
	defer e.mu.Unlock()
	raw, err := json.Marshal(l)
	if err == nil {
		_, err = e.w.Write(append(raw, '\n'))
	}
	if err != nil && e.err == nil {
		e.err = fault.New(fault.Unavailable, "report progress: %w", err)
	}
}

func (e *emitter) step(name, msg string) { e.emit(Line{Type: "step", Name: name, Msg: msg}) }

// ErrorLine is how an error ends the report.
func ErrorLine(err error) Line {
	return Line{Type: "error", Kind: string(fault.KindOf(err)), Message: err.Error(), Hint: fault.HintOf(err)}
}
