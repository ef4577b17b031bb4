package platform

import (
	"maps"
	"slices"

	cloudflare "github.com/pulumi/pulumi-cloudflare/sdk/v5/go/cloudflare"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/stacks/provider/sdk"
)

// workers declares the scripts, a service before the Workers that it is bound to: Cloudflare refuses a binding to nothing.
func (b *builder) workers() error {
	order, err := b.in.Spec.order()
	if err != nil {
		return err
	}
	for _, name := range order {
		if err := b.worker(name, b.in.Spec.Workers[name]); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) worker(name string, w Worker) error {
	bundle := b.in.Bundles[name]
	args := &sdk.WorkerScriptArgs{
		AccountID: b.account, Name: pulumi.String(name),
		MainModule: pulumi.String(bundle.MainModule), Modules: modules(bundle),
		Secrets: map[string]pulumi.StringInput{}, RotatedSecrets: w.Rotated,
		CompatibilityDate: pulumi.String(w.CompatibilityDate), CompatibilityFlags: w.CompatibilityFlags,
		DurableObjects: w.DurableObjects, DeletedClasses: w.DeletedClasses,
		Observability: &sdk.Observability{Enabled: true, InvocationLogs: true},
	}
	for _, bound := range w.Bindings {
		b.bind(args, bound)
	}
	script, err := sdk.NewWorkerScript(b.ctx, name, args, pulumi.DependsOn(b.needs(w)))
	if err != nil {
		return err
	}
	b.scripts[name] = script
	if len(w.Crons) == 0 {
		return nil
	}
	_, err = cloudflare.NewWorkersCronTrigger(b.ctx, name, &cloudflare.WorkersCronTriggerArgs{
		AccountId: b.account, ScriptName: pulumi.String(name), Schedules: pulumi.ToStringArray(w.Crons),
	}, pulumi.DependsOn([]pulumi.Resource{script}))
	return err
}

func modules(bundle Bundle) map[string]sdk.Module {
	out := map[string]sdk.Module{}
	for name, m := range bundle.Modules {
		module := sdk.Module{Type: m.Type}
		if m.Path != "" {
			module.Path = pulumi.String(m.Path)
		} else {
			module.Content = pulumi.String(m.Content)
		}
		out[name] = module
	}
	return out
}

// needs are the resources that must be there before the Worker. Names are bound as text and the order is said here:
// an output is unknown in every preview in which its resource changes, and would make the Worker look changed too.
func (b *builder) needs(w Worker) []pulumi.Resource {
	var list []pulumi.Resource
	for _, bound := range w.Bindings {
		switch bound.Kind {
		case "r2":
			list = append(list, b.buckets[bound.Ref])
		case "queue":
			list = append(list, b.queueOf[bound.Ref])
		case "service", "durable_object":
			if script, ok := b.scripts[bound.Ref]; ok {
				list = append(list, script)
			}
		}
	}
	return list
}

func (b *builder) bind(args *sdk.WorkerScriptArgs, bound Binding) {
	if bound.Kind == "secret" {
		if _, ok := b.in.Secrets[bound.Name]; ok {
			args.Secrets[bound.Name] = b.secret(bound.Name)
		}
		return
	}
	out := sdk.Binding{Name: bound.Name}
	switch bound.Kind {
	case "kv":
		out.Type, out.NamespaceID = "kv_namespace", b.namespaces[bound.Ref].ID()
	case "r2":
		out.Type, out.BucketName = "r2_bucket", pulumi.String(b.in.Spec.Buckets[bound.Ref].Name)
	case "queue":
		out.Type, out.QueueName = "queue", pulumi.String(b.in.Spec.Queues[bound.Ref])
	case "hyperdrive":
		out.Type, out.ID = "hyperdrive", b.hyperdrive[bound.Ref].ID()
	case "service":
		out.Type, out.Service = "service", pulumi.String(bound.Ref)
	case "durable_object":
		out.Type, out.ClassName = "durable_object_namespace", pulumi.String(bound.Class)
		if bound.Ref != "" {
			out.ScriptName = pulumi.String(bound.Ref)
		}
	case "var":
		out.Type, out.Text = "plain_text", pulumi.String(bound.Ref)
	default:
		out.Type = bound.Kind // ai, version_metadata: nothing but a name
	}
	args.Bindings = append(args.Bindings, out)
}

// consumers attaches the queues. They depend on the script, and so go before it does, as Cloudflare demands.
func (b *builder) consumers() error {
	for _, name := range slices.Sorted(maps.Keys(b.in.Spec.Workers)) {
		for _, c := range b.in.Spec.Workers[name].Consumes {
			if err := b.consumer(name, c); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *builder) consumer(worker string, c Consumer) error {
	queue := b.queueOf[c.Queue]
	args := &sdk.QueueConsumerArgs{
		AccountID: b.account, QueueID: queue.ID(), ScriptName: pulumi.String(worker),
		BatchSize: number(c.Batch), MaxRetries: number(c.Retries), MaxWaitMS: number(c.WaitMS),
		MaxConcurrency: number(c.Concurrency), RetryDelaySeconds: number(c.RetryDelayS),
	}
	needs := []pulumi.Resource{b.scripts[worker]}
	if c.DeadLetter != "" {
		args.DeadLetterQueue = pulumi.String(b.in.Spec.Queues[c.DeadLetter])
		needs = append(needs, b.queueOf[c.DeadLetter])
	}
	_, err := sdk.NewQueueConsumer(b.ctx, c.Queue, args, pulumi.DependsOn(needs))
	return err
}

func number(n int) pulumi.IntPtrInput {
	if n == 0 {
		return nil
	}
	return pulumi.IntPtr(n)
}

// order lists the Workers so that each comes after those bound to it.
func (s Spec) order() ([]string, error) {
	var list []string
	state := map[string]int{} // 1 being visited, 2 done
	var visit func(name string) error
	visit = func(name string) error {
		switch state[name] {
		case 1:
			return fault.New(fault.Invalid, "worker %q is bound to itself through its services", name).
				WithHint("Cloudflare cannot create Workers that bind each other; break the ring in contract/workers.json")
		case 2:
			return nil
		}
		state[name] = 1
		for _, b := range s.Workers[name].Bindings {
			if (b.Kind == "service" || b.Kind == "durable_object") && b.Ref != "" && b.Ref != name {
				if err := visit(b.Ref); err != nil {
					return err
				}
			}
		}
		state[name] = 2
		list = append(list, name)
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(s.Workers)) {
		if err := visit(name); err != nil {
			return nil, err
		}
	}
	return list, nil
}
