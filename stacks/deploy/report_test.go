package deploy_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"slices"
	"testing"

	"github.com/cognomega/edge/stacks/deploy"
)

// result is one run's report.
type result struct {
	t     *testing.T
	lines []deploy.Line
	err   error
}

// run drives the stack in this process; change edits the configuration first.
func (w *world) run(verb deploy.Verb, change ...func(*deploy.Config)) result {
	w.t.Helper()
	var out bytes.Buffer
	c := w.config(verb, &out)
	for _, edit := range change {
		edit(&c)
	}
	err := deploy.Run(w.t.Context(), c)
	return result{t: w.t, lines: parse(w.t, &out), err: err}
}

// must runs a verb that has to succeed.
func (w *world) must(verb deploy.Verb, change ...func(*deploy.Config)) result {
	w.t.Helper()
	r := w.run(verb, change...)
	if r.err != nil {
		r.dump()
		w.t.Fatalf("%s: %v", verb, r.err)
	}
	return r
}

func parse(t *testing.T, out io.Reader) []deploy.Line {
	t.Helper()
	var lines []deploy.Line
	scan := bufio.NewScanner(out)
	scan.Buffer(nil, 16<<20)
	for scan.Scan() {
		var l deploy.Line
		if err := json.Unmarshal(scan.Bytes(), &l); err != nil {
			t.Fatalf("not a line of the protocol: %s", scan.Bytes())
		}
		lines = append(lines, l)
	}
	return lines
}

func (r result) dump() {
	for _, l := range r.lines {
		raw, _ := json.Marshal(l)
		r.t.Logf("%s", raw)
	}
}

func (r result) of(kind string) []deploy.Line {
	return slices.DeleteFunc(slices.Clone(r.lines), func(l deploy.Line) bool { return l.Type != kind })
}

func (r result) summary() map[string]int {
	r.t.Helper()
	s := r.of("summary")
	if len(s) != 1 {
		r.dump()
		r.t.Fatalf("%d summary lines, want 1", len(s))
	}
	return s[0].Changes
}

// planned lists what the plan would write: "update Queue events".
func (r result) planned() []string {
	var list []string
	for _, l := range r.of("plan") {
		list = append(list, l.Op+" "+l.ResourceType[bytes.LastIndexByte([]byte(l.ResourceType), ':')+1:]+" "+l.Name)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
