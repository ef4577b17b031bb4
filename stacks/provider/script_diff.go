package provider

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
)

// Diff compares what is live, as far as it is known, with what is declared, field by field.
func (WorkerScript) Diff(_ context.Context, req infer.DiffRequest[WorkerScriptArgs, WorkerScriptState]) (infer.DiffResponse, error) {
	return diffScript(req.State, req.Inputs).response(false), nil
}

func diffScript(live WorkerScriptState, want WorkerScriptArgs) changes {
	c := changes{}
	c.replaceText("accountId", live.AccountID, want.AccountID)
	c.replaceText("name", live.Name, want.Name)
	c.text("mainModule", live.MainModule, want.MainModule)
	c.modules(live.Modules, want.Modules)
	c.bindings(live.Bindings, want.Bindings, want.Name)
	c.secrets(live, want)
	c.text("compatibilityDate", live.CompatibilityDate, want.CompatibilityDate)
	c.set("compatibilityFlags", live.CompatibilityFlags, want.CompatibilityFlags)
	c.objects(live.DurableObjects, want)
	c.flag("workersDev", live.WorkersDev, want.WorkersDev)
	c.flag("previews", live.Previews, want.Previews)
	c.observability(live.Observability, want.Observability)
	c.text("placement", text(live.Placement), text(want.Placement))
	c.number("cpuMs", live.CPUMS, want.CPUMS)
	c.flag("logpush", live.Logpush, want.Logpush)
	c.set("tailConsumers", live.TailConsumers, want.TailConsumers)
	c.set("tags", live.Tags, want.Tags)
	c.flag("keepSecrets", live.KeepSecrets, want.KeepSecrets)
	c.set("rotatedSecrets", live.RotatedSecrets, want.RotatedSecrets)
	c.flag("forceDestroy", live.ForceDestroy, want.ForceDestroy)
	return c
}

// modules compares digests and types: where a file lies on this machine is no change.
func (c changes) modules(live, want map[string]Module) {
	for _, name := range sortedKeys(live) {
		if _, stays := want[name]; !stays {
			c.mark(key("modules", name), p.Delete)
		}
	}
	for _, name := range sortedKeys(want) {
		old, known := live[name]
		if !known {
			c.mark(key("modules", name), p.Add)
			continue
		}
		c.text(key("modules", name)+".digest", text(old.Digest), text(want[name].Digest))
		c.text(key("modules", name)+".type", moduleType(name, old), moduleType(name, want[name]))
	}
}

func (c changes) bindings(live, want []Binding, script string) {
	place := map[string]int{}
	for i, b := range live {
		place[b.Name] = i
	}
	for i, b := range want {
		at := "bindings[" + strconv.Itoa(i) + "]"
		old, known := place[b.Name]
		delete(place, b.Name)
		if !known {
			c.mark(at, p.Add)
			continue
		}
		c.binding(at, live[old].normal(script), b.normal(script))
	}
	for _, i := range place {
		c.mark("bindings["+strconv.Itoa(i)+"]", p.Delete)
	}
}

func (c changes) binding(at string, live, want Binding) {
	c.text(at+".type", live.Type, want.Type)
	for _, f := range textFields {
		c.optional(at+"."+f.name, *f.of(&live), *f.of(&want))
	}
	for _, f := range numberFields {
		c.number(at+"."+f.name, *f.of(&live), *f.of(&want))
	}
}

// secrets compares names and keyed digests; values are never read back.
func (c changes) secrets(live WorkerScriptState, want WorkerScriptArgs) {
	rotated := func(name string) bool { return slices.Contains(want.RotatedSecrets, name) }
	for _, name := range sortedKeys(live.SecretDigests) {
		if _, stays := want.Secrets[name]; !stays && !rotated(name) {
			c.mark(key("secrets", name), p.Delete)
		}
	}
	for _, name := range sortedKeys(want.Secrets) {
		known, exists := live.SecretDigests[name]
		switch {
		case !exists:
			c.mark(key("secrets", name), p.Add)
		case !rotated(name) && !sameSecret(live.SecretKey, name, want.Secrets[name], known):
			c.mark(key("secrets", name), p.Update)
		}
	}
}

// objects takes no notice of renames and deletions that are done: saying so may stay in the program.
func (c changes) objects(live []DurableObject, want WorkerScriptArgs) {
	known := map[string]DurableObject{}
	for _, o := range live {
		known[o.Class] = o
	}
	for i, o := range want.DurableObjects {
		at := "durableObjects[" + strconv.Itoa(i) + "]"
		old, exists := known[o.Class]
		switch {
		case !exists:
			c.mark(at, p.Add)
		case old.SQLite != o.SQLite:
			c.mark(at+".sqlite", p.Update)
		}
		delete(known, o.Class)
	}
	for i, o := range live {
		if _, left := known[o.Class]; left {
			c.mark("durableObjects["+strconv.Itoa(i)+"]", p.Delete)
		}
	}
}

func (c changes) observability(live, want *Observability) {
	live, want = live.normal(), want.normal()
	switch {
	case live == nil && want == nil:
	case live == nil:
		c.mark("observability", p.Add)
	case want == nil:
		c.mark("observability", p.Delete)
	default:
		c.text("observability.headSamplingRate", rate(live.HeadSamplingRate), rate(want.HeadSamplingRate))
		c.flag("observability.invocationLogs", live.InvocationLogs, want.InvocationLogs)
	}
}

// normal is nil for off, in whichever way off is said.
func (o *Observability) normal() *Observability {
	if o == nil || !o.Enabled {
		return nil
	}
	return o
}

// rate spells a sampling rate; none is Cloudflare's default of everything.
func rate(r *float64) string {
	if r == nil {
		return "1"
	}
	return strconv.FormatFloat(*r, 'g', -1, 64)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// key is a property path into a map, quoted where the engine's path syntax needs it.
func key(parent, name string) string {
	if strings.ContainsAny(name, `."[]`) {
		return fmt.Sprintf("%s[%q]", parent, name)
	}
	return parent + "." + name
}
