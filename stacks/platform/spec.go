package platform

import (
	"maps"
	"slices"

	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/stacks/provider/sdk"
)

// Spec is what one environment shall consist of; maps are keyed by the name each thing goes by in the contract.
type Spec struct {
	Hostname    string
	Zone        string
	Namespaces  map[string]string // title
	Buckets     map[string]Bucket
	Queues      map[string]string // queue name
	Hyperdrives map[string]Hyperdrive
	Workers     map[string]Worker
}

// Bucket is an R2 bucket with all its lifecycle rules.
type Bucket struct {
	Name  string
	Rules []sdk.LifecycleRule
}

// Hyperdrive is a database connection without a cache. Where the database is and who may use it is one secret, a connection string.
type Hyperdrive struct {
	Name      string
	URLSecret string
}

// Worker is a script with what is bound to it; a public one owns every path of the hostname.
type Worker struct {
	Public             bool
	CompatibilityDate  string
	CompatibilityFlags []string
	Bindings           []Binding
	DurableObjects     []sdk.DurableObject
	DeletedClasses     []string
	Rotated            []string // secrets that key rotation owns once they are there
	Consumes           []Consumer
	Crons              []string
}

// Binding is one member of a Worker's env. Ref names the store, queue, Hyperdrive or Worker that is bound, or holds a var's text.
type Binding struct {
	Name     string
	Kind     string // kv, r2, queue, hyperdrive, service, durable_object, var, secret, ai, version_metadata
	Ref      string
	Class    string // of a durable_object
	Optional bool   // of a secret: without a value there is no binding
}

// Consumer is a queue whose messages the Worker takes; zero numbers are Cloudflare's defaults.
type Consumer struct {
	Queue, DeadLetter        string
	Batch, WaitMS, Retries   int
	Concurrency, RetryDelayS int
}

// FromContract is the Spec of one environment of the contract.
func FromContract(c *contract.Contract, env string) (Spec, error) {
	e, ok := c.Envs[env]
	if !ok {
		return Spec{}, fault.New(fault.Invalid, "the contract has no environment %q", env).
			WithHint("environments are in contract/envs.json: %v", slices.Sorted(maps.Keys(c.Envs)))
	}
	s := Spec{
		Hostname: e.Hostname, Zone: e.Zone, Namespaces: map[string]string{}, Buckets: map[string]Bucket{}, Queues: map[string]string{},
		Hyperdrives: map[string]Hyperdrive{}, Workers: map[string]Worker{},
	}
	for name, store := range c.Stores {
		switch store.Kind {
		case contract.StoreKV:
			s.Namespaces[name] = store.Name
		case contract.StoreR2:
			s.Buckets[name] = Bucket{Name: store.Name, Rules: rules(store.Lifecycle)}
		case contract.StoreQueue:
			s.Queues[name] = store.Name
		case contract.StoreHyperdrive:
			s.Hyperdrives[name] = Hyperdrive{Name: store.Name, URLSecret: store.DatabaseSecret}
		default:
			return Spec{}, fault.New(fault.Unsupported, "store %q is of kind %q, which the stacks do not provision", name, store.Kind)
		}
	}
	for name, w := range c.Workers {
		bindings, err := bindings(c, name, e)
		if err != nil {
			return Spec{}, fault.New(fault.Invalid, "worker %q: %w", name, err)
		}
		out := Worker{
			Public: w.Public, CompatibilityDate: w.CompatibilityDate, CompatibilityFlags: w.CompatibilityFlags, Bindings: bindings,
			Consumes: consumers(w), Crons: slices.Sorted(maps.Keys(w.Crons)), DurableObjects: objects(w),
		}
		if name == c.Auth.Signing.Worker {
			out.Rotated = c.Auth.Signing.Names()
		}
		s.Workers[name] = out
	}
	return s, nil
}

func rules(declared map[string]contract.LifecycleRule) []sdk.LifecycleRule {
	list := make([]sdk.LifecycleRule, 0, len(declared))
	for _, id := range slices.Sorted(maps.Keys(declared)) {
		r := declared[id]
		list = append(list, sdk.LifecycleRule{
			ID: id, Prefix: r.Prefix, ExpireDays: r.DeleteAfterDays,
			InfrequentDays: r.InfrequentAccessAfterDays, AbortMultipartDays: r.AbortMultipartAfterDays,
		})
	}
	return list
}

func consumers(w contract.Worker) []Consumer {
	list := make([]Consumer, 0, len(w.Consumes))
	for _, queue := range slices.Sorted(maps.Keys(w.Consumes)) {
		c := w.Consumes[queue]
		list = append(list, Consumer{
			Queue: queue, DeadLetter: c.DeadLetter, Batch: c.Batch, WaitMS: c.WaitMS, Retries: c.Retries,
			Concurrency: c.MaxConcurrency, RetryDelayS: c.RetryDelayS,
		})
	}
	return list
}

func objects(w contract.Worker) []sdk.DurableObject {
	list := make([]sdk.DurableObject, 0, len(w.Objects))
	for _, class := range slices.Sorted(maps.Keys(w.Objects)) {
		list = append(list, sdk.DurableObject{Class: class, SQLite: true})
	}
	return list
}

func bindings(c *contract.Contract, worker string, e contract.Env) ([]Binding, error) {
	w := c.Workers[worker]
	list := make([]Binding, 0, len(w.Bindings))
	for _, name := range slices.Sorted(maps.Keys(w.Bindings)) {
		b := w.Bindings[name]
		kind := b.Kind()
		out := Binding{Name: name, Kind: string(kind), Optional: b.Optional}
		switch kind {
		case contract.BindKV:
			out.Ref = b.KV
		case contract.BindR2:
			out.Ref = b.R2
		case contract.BindQueue:
			out.Ref = b.Queue
		case contract.BindHyperdrive:
			out.Ref = b.Hyperdrive
		case contract.BindService:
			out.Ref = b.Service
		case contract.BindObject:
			out.Kind, out.Class = "durable_object", b.Object
			if owner, _ := c.ObjectOwner(b.Object); owner != worker {
				out.Ref = owner
			}
		case contract.BindVersion:
			out.Kind = "version_metadata"
		case contract.BindVar:
			text, ok := e.Setting(b.Var)
			if !ok {
				return nil, fault.New(fault.Invalid, "binding %q names the setting %q, which environments do not have", name, b.Var)
			}
			out.Ref = text
		case contract.BindAI, contract.BindSecret:
		default:
			return nil, fault.New(fault.Unsupported, "binding %q is of kind %q, which the stacks do not provision", name, kind)
		}
		list = append(list, out)
	}
	return list, nil
}
