package runtime

import (
	"cmp"
	"maps"
	"slices"

	"github.com/cognomega/edge/internal/localcloud/store"
)

// Candidate is a version of a script that serves or is to serve. Its share of the traffic is in the script's newest deployment.
type Candidate struct {
	Script  store.Script
	Version store.Version
}

// Change is a deployment to apply: every serving version of each changed script, and the scripts that go.
type Change struct {
	Put    []Candidate
	Delete []string
}

// share is the part of the traffic in percent: 100 when the deployment does not say.
func (c Candidate) share() float64 {
	if len(c.Script.Deployments) == 0 {
		return 100
	}
	for _, v := range c.Script.Deployments[0].Versions {
		if v.VersionID == c.Version.ID {
			return v.Percentage
		}
	}
	return 100
}

func (c Candidate) ownsObjects() bool { return len(c.Version.DOClasses) > 0 }

// deployed are the serving versions by script, the one with the largest share first: bindings to the script reach that one.
type deployed map[string][]Candidate

func (d deployed) with(ch Change) deployed {
	next := maps.Clone(d)
	if next == nil {
		next = deployed{}
	}
	for _, name := range ch.Delete {
		delete(next, name)
	}
	fresh := map[string][]Candidate{}
	for _, c := range ch.Put {
		fresh[c.Script.Name] = append(fresh[c.Script.Name], c)
	}
	for name, cs := range fresh {
		slices.SortStableFunc(cs, func(a, b Candidate) int { return cmp.Compare(b.share(), a.share()) })
		if cs[0].ownsObjects() {
			cs = cs[:1] // two processes must never share a Durable Object's folder
		}
		next[name] = cs
	}
	return next
}

// primary is the version that bindings to a script reach.
func (d deployed) primary(script string) (Candidate, bool) {
	cs := d[script]
	if len(cs) == 0 {
		return Candidate{}, false
	}
	return cs[0], true
}

// sharedUnit is the name of the process of all scripts without Durable Objects; no script can be called so.
const sharedUnit = "(shared)"

// unitSpec says which workers run in one process.
type unitSpec struct {
	name    string
	owner   bool
	members []Candidate
}

// layout puts every script without Durable Objects into one process, and each owner of some into one of its own.
func layout(d deployed) []unitSpec {
	shared := unitSpec{name: sharedUnit}
	var specs []unitSpec
	for _, name := range sortedKeys(d) {
		cs := d[name]
		if cs[0].ownsObjects() {
			specs = append(specs, unitSpec{name: name, owner: true, members: cs})
		} else {
			shared.members = append(shared.members, cs...)
		}
	}
	if len(shared.members) > 0 {
		specs = append([]unitSpec{shared}, specs...)
	}
	return specs
}

func (d deployed) unitOf(script string) string {
	c, ok := d.primary(script)
	if !ok {
		return ""
	}
	if c.ownsObjects() {
		return script
	}
	return sharedUnit
}

// serviceName is a candidate's name inside workerd: the script's for the primary, with the version's id for the others.
func (d deployed) serviceName(c Candidate) string {
	if p, _ := d.primary(c.Script.Name); p.Version.ID == c.Version.ID {
		return c.Script.Name
	}
	return c.Script.Name + "@" + c.Version.ID
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
