package deploy

import (
	"maps"
	"regexp"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
)

// plan is what a preview said.
type plan struct {
	steps     []apitype.StepEventMetadata // in the engine's order, refreshes left out
	drifted   []apitype.StepEventMetadata // refreshes that found something changed
	problems  []string                    // error diagnostics
	refreshes bool                        // every step is a refresh, and its operation says what the refresh found
}

// collect reads events until the channel is closed.
func (p *plan) collect(ch <-chan events.EngineEvent, out *emitter) {
	for e := range ch {
		switch {
		case e.ResourcePreEvent != nil:
			if m := e.ResourcePreEvent.Metadata; m.Op != apitype.OpRefresh && !p.refreshes {
				p.steps = append(p.steps, m)
			}
		case e.ResOutputsEvent != nil:
			if m := e.ResOutputsEvent.Metadata; p.refresh(m) && refreshed(m) {
				p.drifted = append(p.drifted, m)
			}
		case e.DiagnosticEvent != nil:
			p.diagnostic(*e.DiagnosticEvent, out)
		}
	}
}

// refresh says whether a finished step was a refresh of something that the engine looks after.
func (p *plan) refresh(m apitype.StepEventMetadata) bool {
	if p.refreshes {
		return writes(m.Op)
	}
	return m.Op == apitype.OpRefresh
}

var colour = regexp.MustCompile(`<\{%[^%]*%\}>|\x1b\[[0-9;]*m`)

func (p *plan) diagnostic(d apitype.DiagnosticEvent, out *emitter) {
	message := strings.TrimSpace(colour.ReplaceAllString(d.Message, ""))
	if d.Ephemeral || message == "" || (d.Severity != "warning" && d.Severity != "error") {
		return
	}
	if d.Severity == "error" {
		p.problems = append(p.problems, message)
	}
	out.emit(Line{Type: "diagnostic", Severity: d.Severity, Message: message, URN: d.URN})
}

// refreshed says whether a refresh found the resource gone or changed.
func refreshed(m apitype.StepEventMetadata) bool {
	if m.Old == nil || m.New == nil {
		return m.Old != m.New
	}
	return !sameJSON(m.Old.Inputs, m.New.Inputs) || !sameJSON(lasting(m.Old.Outputs), lasting(m.New.Outputs))
}

// lasting leaves out which version serves where a key rotation makes versions of its own: writing a secret is one.
func lasting(outputs map[string]any) map[string]any {
	if rotated, _ := outputs["rotatedSecrets"].([]any); len(rotated) == 0 {
		return outputs
	}
	out := maps.Clone(outputs)
	delete(out, "versionId")
	delete(out, "deploymentId")
	return out
}

// changes are the steps that write.
func (p *plan) changes() []apitype.StepEventMetadata {
	return slices.DeleteFunc(slices.Clone(p.steps), func(m apitype.StepEventMetadata) bool { return !writes(m.Op) })
}

// deletes says whether the plan deletes a resource for good.
func (p *plan) deletes(urn string) bool {
	return slices.ContainsFunc(p.steps, func(m apitype.StepEventMetadata) bool { return m.URN == urn && m.Op == apitype.OpDelete })
}

func writes(op apitype.OpType) bool {
	switch op {
	case apitype.OpSame, apitype.OpRead, apitype.OpReadDiscard, apitype.OpRefresh, apitype.OpReadReplacement:
		return false
	default:
		return true
	}
}

// counts is the number of steps of each kind.
func (p *plan) counts() map[string]int {
	n := map[string]int{}
	for _, m := range p.steps {
		// A replacement is one change to a person, though it is three steps to the engine.
		if m.Op == apitype.OpCreateReplacement || m.Op == apitype.OpDeleteReplaced {
			continue
		}
		n[string(m.Op)]++
	}
	return n
}

// emit writes a plan line for each step that would write.
func (p *plan) emit(out *emitter) {
	for _, m := range p.drifted {
		message := "was changed behind the stack's back"
		if m.New == nil {
			message = "does not exist any more"
		} else if paths := changedPaths(m); len(paths) > 0 {
			message += ": " + strings.Join(paths, ", ")
		}
		out.emit(Line{Type: "drift", Kind: shortType(m.Type), ID: idOf(m), URN: m.URN, Message: nameOf(m.URN) + " " + message})
	}
	for _, m := range p.changes() {
		out.emit(Line{Type: "plan", Op: string(m.Op), URN: m.URN, ResourceType: m.Type, Name: nameOf(m.URN), Diff: diffOf(m)})
	}
}

func idOf(m apitype.StepEventMetadata) string {
	if m.Old != nil {
		return m.Old.ID
	}
	return ""
}

// changedPaths are the top-level properties in which a refresh found a difference.
func changedPaths(m apitype.StepEventMetadata) []string {
	var paths []string
	for key, v := range m.New.Inputs {
		if !sameJSON(v, m.Old.Inputs[key]) {
			paths = append(paths, key)
		}
	}
	for key := range m.Old.Inputs {
		if _, ok := m.New.Inputs[key]; !ok {
			paths = append(paths, key)
		}
	}
	sort.Strings(paths)
	return paths
}

// diffOf lists the property paths that change: names alone, so that no value gets into logs.
func diffOf(m apitype.StepEventMetadata) []string {
	var paths []string
	for path, d := range m.DetailedDiff {
		paths = append(paths, path+" ("+string(d.Kind)+")")
	}
	if len(paths) == 0 {
		paths = slices.Clone(m.Diffs)
	}
	sort.Strings(paths)
	return paths
}

// nameOf is the last part of a URN: the resource's own name.
func nameOf(urn string) string { return urn[strings.LastIndex(urn, "::")+2:] }

// shortType is the last part of a type token: WorkerScript of cognomega:index:WorkerScript.
func shortType(token string) string { return token[strings.LastIndex(token, ":")+1:] }

// progress turns an apply's events into progress lines.
type progress struct {
	out     *emitter
	total   int
	done    int
	started map[string]time.Time
	applied plan // what was really done
}

func (p *progress) collect(ch <-chan events.EngineEvent) {
	p.started = map[string]time.Time{}
	for e := range ch {
		switch {
		case e.ResourcePreEvent != nil:
			p.step(e.ResourcePreEvent.Metadata, "start")
		case e.ResOutputsEvent != nil:
			p.step(e.ResOutputsEvent.Metadata, "done")
		case e.ResOpFailedEvent != nil:
			p.step(e.ResOpFailedEvent.Metadata, "failed")
		case e.DiagnosticEvent != nil:
			p.applied.diagnostic(*e.DiagnosticEvent, p.out)
		}
	}
}

func (p *progress) step(m apitype.StepEventMetadata, status string) {
	if m.Op == apitype.OpRefresh {
		return
	}
	if status == "done" {
		p.applied.steps = append(p.applied.steps, m)
	}
	if !writes(m.Op) {
		return
	}
	key := string(m.Op) + " " + m.URN
	line := Line{Type: "progress", Op: string(m.Op), URN: m.URN, ResourceType: m.Type, Name: nameOf(m.URN), Status: status, Total: p.total}
	if status == "start" {
		p.started[key] = time.Now()
	} else {
		p.done++
		if began, ok := p.started[key]; ok {
			line.MS = time.Since(began).Milliseconds()
		}
	}
	line.Done = p.done
	p.out.emit(line)
}
