package snapshot

import (
	"maps"
	"slices"
	"time"

	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
)

// What every deployment of the platform does, beyond what the contract says.
const (
	firstTag       = "v1"    // of the migration that makes a script's first Durable Object classes
	discardAddress = "100::" // nothing answers there: without its Worker the hostname serves nothing
	automaticTTL   = 1
	daySeconds     = 24 * 60 * 60
	keptDays       = 4                              // a queue keeps a message so long
	defaultRule    = "Default Multipart Abort Rule" // of every new bucket
)

// Declared is what an environment consists of when it is as the contract says. Ids and digests of code are not in it.
func Declared(c *contract.Contract, env string, at time.Time) (*Snapshot, error) {
	e, ok := c.Envs[env]
	if !ok {
		return nil, fault.New(fault.Invalid, "the contract has no environment %q", env)
	}
	s := &Snapshot{
		At: at.UTC().Truncate(time.Second), Env: env, Account: e.AccountID, Zone: Zone{Name: e.Zone}, Settings: settings(c, env), Unseen: []Unseen{},
		declared: true, optional: map[string]any{},
	}
	s.Content = Content{
		Workers: map[string]Worker{}, Routes: map[string]Route{}, Domains: map[string]Domain{}, Queues: map[string]Queue{},
		Namespaces: map[string]Namespace{}, Buckets: map[string]Bucket{}, Hyperdrives: map[string]Hyperdrive{},
		DNS: map[string]map[string]Record{"AAAA " + e.Hostname: {discardAddress: {Proxied: true, TTL: automaticTTL}}},
	}
	for name, store := range c.Stores {
		switch store.Kind {
		case contract.StoreKV:
			s.Content.Namespaces[store.Name] = Namespace{}
		case contract.StoreR2:
			s.Content.Buckets[store.Name] = Bucket{Lifecycle: declaredRules(store.Lifecycle)}
			if len(store.Lifecycle) == 0 { // else the deployment replaces Cloudflare's
				s.optional[under(under(under(secBuckets, store.Name), "lifecycle"), defaultRule)] = tree(Rule{Enabled: true, AbortMultipart: afterDays(7)})
			}
		case contract.StoreQueue:
			s.Content.Queues[store.Name] = Queue{RetentionS: keptDays * daySeconds, Consumers: declaredConsumers(c, name)}
		case contract.StoreHyperdrive:
			s.Content.Hyperdrives[store.Name] = Hyperdrive{Caching: Fields{"disabled": true}}
		default:
			return nil, fault.New(fault.Unsupported, "store %q is of kind %q, which snapshots do not know", name, store.Kind)
		}
	}
	for name, w := range c.Workers {
		if err := s.declare(c, e, name, w); err != nil {
			return nil, fault.New(fault.Invalid, "worker %q: %w", name, err)
		}
	}
	return s, nil
}

func (s *Snapshot) declare(c *contract.Contract, e contract.Env, name string, w contract.Worker) error {
	out := Worker{
		Serving: []Share{{Percentage: 100}}, Bindings: map[string]Fields{}, Secrets: []string{}, Objects: map[string]ObjectClass{},
		CompatibilityDate: w.CompatibilityDate, CompatibilityFlags: sorted(w.CompatibilityFlags),
		Crons:         slices.Sorted(maps.Keys(w.Crons)),
		Observability: Fields{"enabled": true, "logs": map[string]any{"enabled": true, "invocation_logs": true}},
	}
	for binding, b := range w.Bindings {
		if b.Kind() == contract.BindSecret {
			out.Secrets = append(out.Secrets, binding)
			if b.Optional {
				s.optional[under(under(under(secWorkers, name), "secrets"), binding)] = nil
			}
			continue
		}
		fields, err := declaredBinding(c, e, binding, b)
		if owner, ok := c.ObjectOwner(b.Object); ok && owner != name {
			fields["script_name"] = owner
		}
		if err != nil {
			return err
		}
		out.Bindings[binding] = fields
	}
	for class := range w.Objects {
		out.Objects[class], out.MigrationTag = ObjectClass{SQLite: true}, firstTag
	}
	slices.Sort(out.Secrets)
	s.Content.Workers[name] = out
	if w.Public {
		s.Content.Routes[e.Hostname+"/*"] = Route{Worker: name}
	}
	return nil
}

func declaredBinding(c *contract.Contract, e contract.Env, name string, b contract.Binding) (Fields, error) {
	switch kind := b.Kind(); kind {
	case contract.BindKV:
		return Fields{"type": "kv_namespace", "namespace": c.Stores[b.KV].Name}, nil
	case contract.BindR2:
		return Fields{"type": "r2_bucket", "bucket_name": c.Stores[b.R2].Name}, nil
	case contract.BindQueue:
		return Fields{"type": "queue", "queue_name": c.Stores[b.Queue].Name}, nil
	case contract.BindHyperdrive:
		return Fields{"type": "hyperdrive", "config": c.Stores[b.Hyperdrive].Name}, nil
	case contract.BindObject:
		return Fields{"type": "durable_object_namespace", "class_name": b.Object}, nil
	case contract.BindVersion:
		return Fields{"type": "version_metadata"}, nil
	case contract.BindService:
		return Fields{"type": "service", "service": b.Service}, nil
	case contract.BindVar:
		text, ok := e.Setting(b.Var)
		if !ok {
			return nil, fault.New(fault.Invalid, "binding %q names the setting %q, which environments do not have", name, b.Var)
		}
		return Fields{"type": "plain_text", "text": plain(name, text)}, nil
	case contract.BindAI:
		return Fields{"type": "ai"}, nil
	default:
		return nil, fault.New(fault.Unsupported, "binding %q is of kind %q, which snapshots do not know", name, kind)
	}
}

// declaredConsumers are none or one: what takes a queue's messages.
func declaredConsumers(c *contract.Contract, queue string) map[string]Consumer {
	out := map[string]Consumer{}
	worker, how, ok := c.ConsumerOf(queue)
	if !ok {
		return out
	}
	consumer := Consumer{Type: "worker", Settings: cfapi.ConsumerSettings{
		BatchSize: &how.Batch, MaxWaitMS: &how.WaitMS, MaxRetries: &how.Retries, RetryDelaySeconds: &how.RetryDelayS,
	}}
	if how.MaxConcurrency > 0 {
		consumer.Settings.MaxConcurrency = &how.MaxConcurrency
	}
	if how.DeadLetter != "" {
		consumer.DeadLetterQueue = c.Stores[how.DeadLetter].Name
	}
	out[worker] = consumer
	return out
}

func declaredRules(rules map[string]contract.LifecycleRule) map[string]Rule {
	out := map[string]Rule{}
	for id, r := range rules {
		rule := Rule{Enabled: true, Prefix: r.Prefix, Delete: afterDays(r.DeleteAfterDays), AbortMultipart: afterDays(r.AbortMultipartAfterDays)}
		if a := afterDays(r.InfrequentAccessAfterDays); a != nil {
			a.StorageClass = "InfrequentAccess"
			rule.Transitions = []Action{*a}
		}
		out[id] = rule
	}
	return out
}

func afterDays(days int) *Action {
	if days == 0 {
		return nil
	}
	return &Action{AfterS: int64(days) * daySeconds}
}
