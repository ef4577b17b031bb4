package snapshot

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"reflect"
	"slices"

	"github.com/cognomega/edge/audit"
)

// Change is one difference. Was is what the first side says, Is the second.
type Change struct {
	Op   string `json:"op"` // added, removed, changed; renamed when only the name of a thing is another; disagrees
	Path string `json:"path"`
	Was  any    `json:"was,omitempty"`
	Is   any    `json:"is,omitempty"`
	Why  string `json:"why,omitempty"` // of an expected difference
}

// Difference is in what two snapshots differ.
type Difference struct {
	Verdict  audit.Verdict  `json:"verdict"`
	Changes  []Change       `json:"changes"`
	Expected []Change       `json:"expected"`      // that the contract lets vary, or that were accepted
	Unseen   []Unseen       `json:"unseen"`        // sections that one side could not see, and that were not compared
	Disagree []Disagreement `json:"disagreements"` // of a side with itself: what its Workers see is not what the API says
}

// The operations.
const (
	added   = "added"
	removed = "removed"
	changed = "changed"
	renamed = "renamed"
	// disagrees is what inside and outside of one side do.
	disagrees = "disagrees"
)

// differ walks two snapshots side by side.
type differ struct {
	a, b   *Snapshot
	env    bool // two environments: what the contract lets vary may differ
	out    Difference
	unseen map[string]bool
}

// Diff tells in what two snapshots differ. Exchanging them exchanges added with removed and was with is, and nothing else.
func Diff(a, b *Snapshot, accepted Accepted) *Difference {
	d := &differ{a: a, b: b, env: a.Env != b.Env, unseen: map[string]bool{}}
	d.out = Difference{Changes: []Change{}, Expected: []Change{}, Unseen: []Unseen{}, Disagree: append(append([]Disagreement{}, a.disagreements("a")...), b.disagreements("b")...)}
	before, after := tree(a.Content), tree(b.Content)
	for _, u := range slices.Concat(a.Unseen, b.Unseen) {
		if !d.unseen[u.Section] {
			d.unseen[u.Section] = true
			d.out.Unseen = append(d.out.Unseen, u)
		}
	}
	for _, section := range slices.Sorted(maps.Keys(before)) {
		if !d.unseen[section] {
			d.value(place{[]string{section}, section}, before[section], after[section])
		}
	}
	d.conclude(accepted)
	return &d.out
}

func (d *differ) conclude(accepted Accepted) {
	d.out.Changes = slices.DeleteFunc(d.out.Changes, func(c Change) bool {
		if !accepted.covers(c.Path) {
			return false
		}
		c.Why = "accepted by --ignore"
		d.out.Expected = append(d.out.Expected, c)
		return true
	})
	d.out.Disagree = slices.DeleteFunc(d.out.Disagree, func(g Disagreement) bool {
		if !accepted.covers(g.Path) {
			return false
		}
		d.out.Expected = append(d.out.Expected, Change{Op: disagrees, Path: g.Path, Was: g.Outside, Is: g.Inside, Why: "accepted by --ignore"})
		return true
	})
	order := func(a, b Change) int { return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Op, b.Op)) }
	slices.SortStableFunc(d.out.Changes, order)
	slices.SortStableFunc(d.out.Expected, order)
	slices.SortStableFunc(d.out.Unseen, func(a, b Unseen) int { return cmp.Compare(a.Section, b.Section) })
	switch {
	case len(d.out.Changes)+len(d.out.Disagree) > 0:
		d.out.Verdict = audit.Fail
	case len(d.out.Unseen) > 0:
		d.out.Verdict = audit.Inconclusive
	default:
		d.out.Verdict = audit.Pass
	}
}

// tree is a value as its JSON says it, with numbers as they are written.
func tree(v any) map[string]any {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // what came from JSON, or from the contract, goes back
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var out map[string]any
	if err := dec.Decode(&out); err != nil {
		panic(err)
	}
	return out
}

// value compares two values that are there on both sides.
func (d *differ) value(at place, a, b any) {
	switch x := a.(type) {
	case map[string]any:
		if y, same := b.(map[string]any); same {
			d.objects(at, x, y)
			return
		}
	case []any:
		if y, same := b.([]any); same {
			d.lists(at, x, y)
			return
		}
	}
	if !reflect.DeepEqual(a, b) {
		d.differ(Change{Op: changed, Path: at.path, Was: a, Is: b}, d.excuse(at, a, b))
	}
}

// differ notes a difference, as expected when there is an excuse for it.
func (d *differ) differ(c Change, excuse string) {
	if excuse == "" {
		d.out.Changes = append(d.out.Changes, c)
		return
	}
	c.Why = excuse
	d.out.Expected = append(d.out.Expected, c)
}

// objects compares by key, then what is left over by what else tells that two things are one.
func (d *differ) objects(at place, a, b map[string]any) {
	if !at.holdsNames() && !at.isValue() {
		a, b = d.comparable(a, b)
	}
	var onlyA, onlyB []string
	for _, key := range slices.Sorted(maps.Keys(a)) {
		if other, both := b[key]; both {
			d.value(at.under(key), a[key], other)
		} else {
			onlyA = append(onlyA, key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(b)) {
		if _, both := a[key]; !both {
			onlyB = append(onlyB, key)
		}
	}
	for _, keyA := range onlyA {
		found := slices.IndexFunc(onlyB, func(keyB string) bool { return at.holdsNames() && d.pair(at, keyA, keyB, a[keyA], b[keyB]) })
		if found < 0 {
			d.differ(Change{Op: removed, Path: at.under(keyA).path, Was: a[keyA]}, d.spare(at.under(keyA), a[keyA]))
			continue
		}
		onlyB = slices.Delete(onlyB, found, found+1)
	}
	for _, key := range onlyB {
		d.differ(Change{Op: added, Path: at.under(key).path, Is: b[key]}, d.spare(at.under(key), b[key]))
	}
}

// pair compares two things of different names when they are one thing: named after its environment, or renamed.
func (d *differ) pair(at place, keyA, keyB string, a, b any) bool {
	if d.env {
		if one, why := d.varies(keyA, keyB); why != "" {
			d.differ(Change{Op: renamed, Path: at.path, Was: keyA, Is: keyB}, why)
			d.value(at.under(one), a, b)
			return true
		}
	}
	if id(a) == "" || !reflect.DeepEqual(a, b) {
		return false
	}
	d.differ(Change{Op: renamed, Path: at.path, Was: keyA, Is: keyB}, "")
	return true
}

func id(v any) string {
	fields, _ := v.(map[string]any)
	return Fields(fields).Text("id")
}

// comparable leaves out of both what cannot be compared.
func (d *differ) comparable(a, b map[string]any) (map[string]any, map[string]any) {
	var skip []string
	for _, key := range []string{"namespace", "config"} {
		if d.resolved(key, a, b) {
			skip = append(skip, key)
		}
	}
	if d.a.declared || d.b.declared {
		for _, side := range []map[string]any{a, b} {
			for key := range side {
				if unsaid(key) {
					skip = append(skip, key)
				}
			}
		}
	}
	if len(skip) == 0 {
		return a, b
	}
	return without(a, skip...), without(b, skip...)
}

// resolved is true for the name of a bound thing when the binding is to the same thing still, or when names were not seen.
func (d *differ) resolved(key string, a, b map[string]any) bool {
	idOf := map[string]struct{ field, kind, section string }{
		"namespace": {"namespace_id", "kv_namespace", secNamespaces}, "config": {"id", "hyperdrive", secHyperdrives},
	}[key]
	if Fields(a).Text("type") != idOf.kind || Fields(b).Text("type") != idOf.kind {
		return false
	}
	idA := Fields(a).Text(idOf.field)
	return d.unseen[idOf.section] || idA != "" && idA == Fields(b).Text(idOf.field)
}

// lists compares lists of texts as the sets that they are, and others place by place.
func (d *differ) lists(at place, a, b []any) {
	setA, textsA := texts(a)
	setB, textsB := texts(b)
	if textsA && textsB && !at.isValue() {
		d.sets(at, setA, setB)
		return
	}
	for i := range max(len(a), len(b)) {
		switch {
		case i >= len(a):
			d.differ(Change{Op: added, Path: at.index(i).path, Is: b[i]}, "")
		case i >= len(b):
			d.differ(Change{Op: removed, Path: at.index(i).path, Was: a[i]}, "")
		default:
			d.value(at.index(i), a[i], b[i])
		}
	}
}

func (d *differ) sets(at place, a, b map[string]bool) {
	for _, member := range slices.Sorted(maps.Keys(a)) {
		if !b[member] {
			d.differ(Change{Op: removed, Path: at.under(member).path, Was: member}, d.spare(at.under(member), member))
		}
	}
	for _, member := range slices.Sorted(maps.Keys(b)) {
		if !a[member] {
			d.differ(Change{Op: added, Path: at.under(member).path, Is: member}, d.spare(at.under(member), member))
		}
	}
}

func texts(list []any) (map[string]bool, bool) {
	set := map[string]bool{}
	for _, v := range list {
		text, ok := v.(string)
		if !ok {
			return nil, false
		}
		set[text] = true
	}
	return set, true
}
