package provider

import (
	"slices"
	"strconv"

	p "github.com/pulumi/pulumi-go-provider"
)

// changes are differences between live and declared, by property path.
type changes map[string]p.PropertyDiff

// mark notes one difference; what is both gone and new at a place has been changed there.
func (c changes) mark(path string, kind p.DiffKind) {
	if old, known := c[path]; known && old.Kind != kind {
		kind = p.Update
	}
	c[path] = p.PropertyDiff{Kind: kind, InputDiff: true}
}

func (c changes) text(path, live, want string) { c.optional(path, some(live), some(want)) }

func (c changes) optional(path string, live, want *string) {
	switch {
	case live == nil && want == nil:
	case live == nil:
		c.mark(path, p.Add)
	case want == nil:
		c.mark(path, p.Delete)
	case *live != *want:
		c.mark(path, p.Update)
	}
}

func (c changes) replaceText(path, live, want string) {
	if live != want {
		c.mark(path, p.UpdateReplace)
	}
}

func (c changes) flag(path string, live, want bool) {
	if live != want {
		c.mark(path, p.Update)
	}
}

// number takes 0 for absent.
func (c changes) number(path string, live, want *int) { c.text(path, digits(live), digits(want)) }

func digits(n *int) string {
	if n == nil || *n == 0 {
		return ""
	}
	return strconv.Itoa(*n)
}

// set compares lists whose order means nothing.
func (c changes) set(path string, live, want []string) {
	switch {
	case slices.Equal(sorted(live), sorted(want)):
	case len(live) == 0:
		c.mark(path, p.Add)
	case len(want) == 0:
		c.mark(path, p.Delete)
	default:
		c.mark(path, p.Update)
	}
}

func sorted(in []string) []string { return slices.Compact(slices.Sorted(slices.Values(in))) }

func (c changes) response(deleteFirst bool) p.DiffResponse {
	return p.DiffResponse{HasChanges: len(c) > 0, DetailedDiff: c, DeleteBeforeReplace: deleteFirst}
}

// paths lists the changed paths, for messages.
func (c changes) paths() []string { return sortedKeys(c) }
