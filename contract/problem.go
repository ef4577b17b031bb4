package contract

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Problem is one thing wrong with the contract, and where.
type Problem struct {
	File string // such as workers.json
	Path string // such as auth-svc.bindings.KEYS.kv; empty for the file as a whole
	Msg  string
}

func (p Problem) String() string {
	if p.Path == "" {
		return p.File + ": " + p.Msg
	}
	return p.File + ": " + p.Path + ": " + p.Msg
}

// Problems is every disagreement found, in the order of files and keys; it is the error of Load.
type Problems []Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	if len(ps) == 1 {
		return lines[0]
	}
	return fmt.Sprintf("the contract has %d problems:\n  %s", len(ps), strings.Join(lines, "\n  "))
}

// report gathers problems; checks go on after the first.
type report struct{ problems Problems }

func (r *report) addf(file, path, format string, args ...any) {
	r.problems = append(r.problems, Problem{File: file, Path: path, Msg: fmt.Sprintf(format, args...)})
}

// err is nil when nothing was found.
func (r *report) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(r.problems, func(a, b Problem) int {
		return strings.Compare(a.File+"\x00"+a.Path, b.File+"\x00"+b.Path)
	})
	return r.problems
}

// sorted lists a map's keys in order: problems, generated files and digests follow it.
func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
