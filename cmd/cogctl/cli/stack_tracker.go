package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cognomega/edge/internal/platform"
	"github.com/cognomega/edge/internal/term"
)

// stackTracker turns the events of a stack's run into one moving line, and keeps what the result needs.
type stackTracker struct {
	progress   *term.Progress
	Policy     string // what the policies were judged on
	Plan       []platform.StackEvent
	Drift      []platform.StackEvent
	Violations []platform.StackEvent
	Failures   []platform.StackEvent
	Summary    platform.StackEvent
}

func (s *stackTracker) on(e platform.StackEvent) {
	switch e.Type {
	case "step":
		if e.Name == "policy" {
			s.Policy = e.Msg
		}
		s.say(stepWords(e), 0, 0)
	case "plan":
		s.Plan = append(s.Plan, e)
	case "drift":
		s.Drift = append(s.Drift, e)
	case "violation":
		s.Violations = append(s.Violations, e)
	case "progress":
		s.say("apply  "+e.Name, e.Done, e.Total)
		if e.Status == "failed" {
			s.Failures = append(s.Failures, e)
		}
	case "diagnostic":
		if e.Severity == "error" && !consequence(e.Message) {
			s.Failures = append(s.Failures, e)
		}
	case "summary":
		s.Summary = e
	}
}

// consequence tells the engine's notes that follow from another resource's failure: they name innocent resources.
func consequence(message string) bool {
	return strings.HasPrefix(message, "expected resource operations for") && strings.HasSuffix(message, "none were seen")
}

func (s *stackTracker) say(what string, done, total int) {
	if s.progress != nil {
		s.progress.Set(what, done, total)
	}
}

func stepWords(e platform.StackEvent) string {
	if e.Msg == "" {
		return e.Name
	}
	return e.Name + "  " + e.Msg
}

// changed counts the resources that were, or would be, touched.
func (s *stackTracker) changed() int {
	n := 0
	for op, count := range s.Summary.Changes {
		if op != "same" {
			n += count
		}
	}
	return n
}

// changesText is "2 create, 1 update, 35 same", in a stable order with what changes first.
func changesText(changes map[string]int) string {
	if len(changes) == 0 {
		return "nothing"
	}
	ops := slices.SortedFunc(maps.Keys(changes), func(a, b string) int {
		if (a == "same") != (b == "same") {
			if a == "same" {
				return 1
			}
			return -1
		}
		return strings.Compare(a, b)
	})
	parts := make([]string, 0, len(ops))
	for _, op := range ops {
		parts = append(parts, fmt.Sprintf("%d %s", changes[op], op))
	}
	return strings.Join(parts, ", ")
}

// planRows lists what would change, why, and what has drifted; what stays the same is not news.
func planRows(plan, drift []platform.StackEvent) term.Rows {
	rows := term.Rows{Columns: []string{"op", "type", "name", "because"}}
	for _, e := range plan {
		if e.Op != "same" && e.Op != "read" {
			rows.Rows = append(rows.Rows, term.Row(e.Op, shortType(e.ResourceType), e.Name, strings.Join(e.Diff, ", ")))
		}
	}
	for _, e := range drift {
		rows.Rows = append(rows.Rows, term.Row("drift", e.Kind, e.ID, e.Message))
	}
	return rows
}

// shortType is a resource type without its module: cloudflare:index/queue:Queue is Queue.
func shortType(t string) string {
	if i := strings.LastIndexByte(t, ':'); i >= 0 {
		return t[i+1:]
	}
	return t
}
