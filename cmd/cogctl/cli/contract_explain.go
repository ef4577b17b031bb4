package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

// explanation is one thing of the contract: what it is, why it is there, and what it touches.
type explanation struct {
	Kind  string            `json:"kind"`
	Name  string            `json:"name"`
	Why   string            `json:"why"`
	Facts map[string]string `json:"facts"`
}

func newContractExplain(d *Deps) *cobra.Command {
	return &cobra.Command{
		Use: "explain <name>", Short: "Say what a thing of the contract is, why it is there and what uses it",
		Long:    "Say what a thing of the contract is, why it is there and what uses it. A name is a Worker, a store, a path or alias, a key, an objective, an environment, a tier, a model that sees or hears, a role, or a binding as worker/BINDING.",
		Example: "  cogctl contract explain keys\n  cogctl contract explain cognomega-api/AUTH\n  cogctl contract explain /healthz",
		Args:    cobra.ExactArgs(1), ValidArgsFunction: d.completeNames,
		RunE: func(_ *cobra.Command, args []string) error {
			c, err := d.Contract()
			if err != nil {
				return err
			}
			found := explain(c, args[0])
			if len(found) == 0 {
				return fault.New(fault.Invalid, "nothing in the contract is named %q", args[0]).WithHint("cogctl contract show")
			}
			return d.Term.Print(explainReport(found))
		},
	}
}

func (d *Deps) completeNames(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	c, err := d.Contract()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names := slices.Concat(sortedKeys(c.Workers), sortedKeys(c.Stores), c.PublicPaths(), sortedKeys(c.Keys), sortedKeys(c.SLO), sortedKeys(c.Uptime), sortedKeys(c.Flow), sortedKeys(c.Envs),
		sortedKeys(c.Models.Tiers), sortedKeys(c.Models.Vision), sortedKeys(c.Models.Hearing.Models), sortedKeys(c.Limits.Roles))
	return names, cobra.ShellCompDirectiveNoFileComp
}

func explainReport(found []explanation) term.Report {
	r := term.Report{Schema: "cogctl/contract.explain/v1", Data: struct {
		Found []explanation `json:"found"`
	}{found}}
	for _, e := range found {
		facts := term.Facts{{Name: "why", Value: term.T(e.Why)}}
		for _, name := range sortedKeys(e.Facts) {
			if e.Facts[name] != "" {
				facts = append(facts, term.Fact{Name: name, Value: term.T(e.Facts[name])})
			}
		}
		r.Blocks = append(r.Blocks, term.Line{term.Text{Text: e.Name, Tone: term.Strong}, term.DimText("  " + e.Kind)}, facts)
	}
	return r
}

// explain lists everything of that name: a store and a key may share one.
func explain(c *contract.Contract, name string) []explanation {
	var found []explanation
	if w, ok := c.Workers[name]; ok {
		found = append(found, explanation{"Worker", name, w.Why, workerFacts(c, name, w)})
	}
	if worker, binding, ok := strings.Cut(name, "/"); ok && worker != "" {
		if b, ok := c.Workers[worker].Bindings[binding]; ok {
			found = append(found, explanation{"binding", name, b.Why, map[string]string{"is": bindingWords(c, b)}})
		}
	}
	if s, ok := c.Stores[name]; ok {
		found = append(found, explanation{"store", name, s.Why, storeFacts(c, name, s)})
	}
	for _, path := range sortedKeys(c.HTTP.Paths) {
		if p := c.HTTP.Paths[path]; slices.Contains(p.All(path), name) {
			found = append(found, explanation{"path", path, p.Why, map[string]string{
				"methods": strings.Join(p.Methods, ", "), "answered by": p.Worker, "auth": string(p.Auth), "aliases": strings.Join(p.Aliases, ", "),
			}})
		}
	}
	if k, ok := c.Keys[name]; ok {
		found = append(found, explanation{"key", name, k.Why, map[string]string{"store": k.Store, "format": k.Format}})
	}
	if o, ok := c.SLO[name]; ok {
		found = append(found, explanation{"objective", name, o.Why, map[string]string{
			"promise": fmt.Sprintf("P%g of %s %s ≤ %d ms, at %g confidence", o.Quantile*100, o.Probe.Method, o.Probe.Path, o.MaxMS, o.Confidence),
		}})
	}
	if u, ok := c.Uptime[name]; ok {
		found = append(found, explanation{"objective", name, u.Why, map[string]string{"promise": fmt.Sprintf("%.6g %% of what %s is asked ends without an error, at %g confidence", u.Share*100, u.Worker, u.Confidence)}})
	}
	if f, ok := c.Flow[name]; ok {
		found = append(found, explanation{"objective", name, f.Why, map[string]string{"promise": flowPromise(c, f)}})
	}
	if e, ok := c.Envs[name]; ok {
		found = append(found, explanation{"environment", name, e.Why, map[string]string{
			"hostname": e.Hostname, "zone": e.Zone, "issuer": e.Issuer, "API": e.APIURL, "origins": strings.Join(e.Origins, ", "),
		}})
	}
	return append(found, explainAsked(c, name)...)
}

func workerFacts(c *contract.Contract, name string, w contract.Worker) map[string]string {
	facts := map[string]string{"entry": w.Entry, "compatibility date": w.CompatibilityDate, "called by": strings.Join(callers(c, name), ", ")}
	var bindings, paths []string
	for _, b := range sortedKeys(w.Bindings) {
		bindings = append(bindings, b+" ("+bindingWords(c, w.Bindings[b])+")")
	}
	for _, path := range sortedKeys(c.HTTP.Paths) {
		if c.HTTP.Paths[path].Worker == name {
			paths = append(paths, path)
		}
	}
	var queues []string
	for _, q := range sortedKeys(w.Consumes) {
		queues = append(queues, c.Stores[q].Name+" ("+consumerWords(c, w.Consumes[q])+")")
	}
	facts["consumes"], facts["crons"] = strings.Join(queues, ", "), strings.Join(sortedKeys(w.Crons), ", ")
	facts["bindings"], facts["answers"] = strings.Join(bindings, ", "), strings.Join(paths, ", ")
	return facts
}

func callers(c *contract.Contract, worker string) []string {
	var names []string
	for _, name := range sortedKeys(c.Workers) {
		for _, b := range c.Workers[name].Bindings {
			if b.Service == worker {
				names = append(names, name)
				break
			}
		}
	}
	return names
}

func storeFacts(c *contract.Contract, name string, s contract.Store) map[string]string {
	var users, keys []string
	for _, w := range sortedKeys(c.Workers) {
		for _, b := range sortedKeys(c.Workers[w].Bindings) {
			if binding := c.Workers[w].Bindings[b]; name == cmp.Or(binding.KV, binding.R2, binding.Queue, binding.Hyperdrive) {
				users = append(users, w+"/"+b)
			}
		}
	}
	for _, k := range sortedKeys(c.Keys) {
		if c.Keys[k].Store == name {
			keys = append(keys, c.Keys[k].Format)
		}
	}
	var consumer string
	if worker, how, ok := c.ConsumerOf(name); ok {
		consumer = worker + " (" + consumerWords(c, how) + ")"
	}
	return map[string]string{
		"consumed by": consumer, "database": s.DatabaseSecret,
		"kind": string(s.Kind), "name": s.Name, "bound as": strings.Join(users, ", "),
		"keys": strings.Join(keys, ", "), "lifecycle": strings.Join(sortedKeys(s.Lifecycle), ", "),
	}
}

func consumerWords(c *contract.Contract, how contract.Consumer) string {
	words := fmt.Sprintf("batches of %d within %d ms, %d retries", how.Batch, how.WaitMS, how.Retries)
	if how.DeadLetter != "" {
		words += ", then " + c.Stores[how.DeadLetter].Name
	}
	return words
}

func bindingWords(c *contract.Contract, b contract.Binding) string {
	switch b.Kind() {
	case contract.BindKV:
		return "KV namespace " + c.Stores[b.KV].Name
	case contract.BindR2:
		return "R2 bucket " + c.Stores[b.R2].Name
	case contract.BindQueue:
		return "queue " + c.Stores[b.Queue].Name
	case contract.BindHyperdrive:
		return "Hyperdrive " + c.Stores[b.Hyperdrive].Name
	case contract.BindObject:
		owner, _ := c.ObjectOwner(b.Object)
		return "Durable Object class " + b.Object + " of " + owner
	case contract.BindService:
		return "Worker " + b.Service
	case contract.BindVar:
		return "setting " + b.Var
	case contract.BindSecret:
		if b.Optional {
			return "optional secret"
		}
		return "secret"
	default:
		return string(b.Kind())
	}
}
