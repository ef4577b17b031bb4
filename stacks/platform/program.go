// Package platform turns the contract into Pulumi resources: one program for every environment.
package platform

import (
	"cmp"
	"maps"
	"slices"

	cloudflare "github.com/pulumi/pulumi-cloudflare/sdk/v5/go/cloudflare"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/stacks/provider/sdk"
)

// Inputs is everything the program depends on; nothing else is read while it runs.
type Inputs struct {
	AccountID string
	Spec      Spec
	Bundles   map[string]Bundle // by Worker
	Secrets   map[string]string // values of secret bindings, and databases' connection strings
	Protect   bool              // the engine refuses to delete what holds data
}

// Bundle is a Worker's code, ready to be uploaded.
type Bundle struct {
	MainModule string
	Modules    map[string]Module
}

// Module is one file of a bundle.
type Module struct {
	Path    string // absolute, on this machine
	Content string // or the text itself
	Type    string // a media type; else by the name's extension
}

// Program declares every resource of the environment.
func Program(in Inputs) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		if err := in.check(); err != nil {
			return err
		}
		b := &builder{ctx: ctx, in: in, account: pulumi.String(in.AccountID), scripts: map[string]*sdk.WorkerScript{}}
		for _, step := range []func() error{b.stores, b.queues, b.hyperdrives, b.workers, b.consumers, b.public} {
			if err := step(); err != nil {
				return err
			}
		}
		b.export()
		return nil
	}
}

// builder holds what later resources need of earlier ones.
type builder struct {
	ctx     *pulumi.Context
	in      Inputs
	account pulumi.String

	namespaces map[string]*cloudflare.WorkersKvNamespace
	buckets    map[string]*cloudflare.R2Bucket
	queueOf    map[string]*cloudflare.Queue
	hyperdrive map[string]*cloudflare.HyperdriveConfig
	scripts    map[string]*sdk.WorkerScript
	zoneID     pulumi.StringOutput
}

// stateful is the option of a resource that holds data.
func (b *builder) stateful() pulumi.ResourceOption { return pulumi.Protect(b.in.Protect) }

func (b *builder) stores() (err error) {
	b.namespaces, err = each(b.in.Spec.Namespaces, func(name, title string) (*cloudflare.WorkersKvNamespace, error) {
		return cloudflare.NewWorkersKvNamespace(b.ctx, name, &cloudflare.WorkersKvNamespaceArgs{AccountId: b.account, Title: pulumi.String(title)}, b.stateful())
	})
	if err != nil {
		return err
	}
	b.buckets, err = each(b.in.Spec.Buckets, b.bucket)
	return err
}

func (b *builder) bucket(name string, declared Bucket) (*cloudflare.R2Bucket, error) {
	bucket, err := cloudflare.NewR2Bucket(b.ctx, name, &cloudflare.R2BucketArgs{AccountId: b.account, Name: pulumi.String(declared.Name)}, b.stateful())
	if err != nil || len(declared.Rules) == 0 {
		return bucket, err
	}
	// The name is given as text, not as the bucket's output, so that policies can judge it before the bucket exists.
	_, err = sdk.NewR2BucketLifecycle(b.ctx, name, &sdk.R2BucketLifecycleArgs{
		AccountID: b.account, BucketName: pulumi.String(declared.Name), Rules: declared.Rules,
	}, pulumi.DependsOn([]pulumi.Resource{bucket}))
	return bucket, err
}

func (b *builder) queues() (err error) {
	b.queueOf, err = each(b.in.Spec.Queues, func(name, queue string) (*cloudflare.Queue, error) {
		return cloudflare.NewQueue(b.ctx, name, &cloudflare.QueueArgs{AccountId: b.account, Name: pulumi.String(queue)}, b.stateful())
	})
	return err
}

func (b *builder) hyperdrives() (err error) {
	b.hyperdrive, err = each(b.in.Spec.Hyperdrives, func(name string, h Hyperdrive) (*cloudflare.HyperdriveConfig, error) {
		o, err := parseOrigin(b.in.Secrets[h.URLSecret])
		if err != nil {
			return nil, err
		}
		return cloudflare.NewHyperdriveConfig(b.ctx, name, &cloudflare.HyperdriveConfigArgs{
			AccountId: b.account,
			Name:      pulumi.String(h.Name),
			Origin: cloudflare.HyperdriveConfigOriginArgs{
				Scheme: pulumi.String(o.scheme), Host: pulumi.String(o.host), Port: pulumi.Int(o.port),
				Database: pulumi.String(o.database), User: pulumi.String(o.user), Password: secret(o.password),
			},
			Caching: cloudflare.HyperdriveConfigCachingArgs{Disabled: pulumi.Bool(true)},
		}, b.stateful())
	})
	return err
}

func (b *builder) secret(name string) pulumi.StringOutput {
	return secret(b.in.Secrets[name])
}

func secret(value string) pulumi.StringOutput {
	return pulumi.ToSecret(pulumi.String(value)).(pulumi.StringOutput)
}

// public gives the hostname to the one public Worker: a proxied record, without which no route runs, and a route for every path.
func (b *builder) public() error {
	zone, err := cloudflare.LookupZone(b.ctx, &cloudflare.LookupZoneArgs{AccountId: &b.in.AccountID, Name: &b.in.Spec.Zone})
	if err != nil {
		return fault.New(fault.NotFound, "look up zone %s: %w", b.in.Spec.Zone, err)
	}
	b.zoneID = pulumi.String(zone.ZoneId).ToStringOutput()
	_, err = cloudflare.NewRecord(b.ctx, "hostname", &cloudflare.RecordArgs{
		ZoneId: pulumi.String(zone.ZoneId), Name: pulumi.String(b.in.Spec.Hostname),
		// The discard address: nothing answers there, so that without its Worker the hostname serves nothing.
		Type: pulumi.String("AAAA"), Content: pulumi.String("100::"), Proxied: pulumi.Bool(true), Ttl: pulumi.Int(1),
	})
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(b.in.Spec.Workers)) {
		if !b.in.Spec.Workers[name].Public {
			continue
		}
		_, err := cloudflare.NewWorkersRoute(b.ctx, name, &cloudflare.WorkersRouteArgs{
			ZoneId: pulumi.String(zone.ZoneId), Pattern: pulumi.String(b.in.Spec.Hostname + "/*"), ScriptName: pulumi.String(name),
		}, pulumi.DependsOn([]pulumi.Resource{b.scripts[name]}))
		if err != nil {
			return err
		}
	}
	return nil
}

// export tells what later commands need and what stays the same from one deployment to the next.
func (b *builder) export() {
	b.ctx.Export("hostname", pulumi.String(b.in.Spec.Hostname))
	b.ctx.Export("zoneId", b.zoneID)
	namespaces := pulumi.StringMap{}
	for name, ns := range b.namespaces {
		namespaces[name] = ns.ID().ToStringOutput()
	}
	b.ctx.Export("namespaces", namespaces)
}

// each makes one resource for each entry, in the order of the names.
func each[K cmp.Ordered, V, R any](declared map[K]V, register func(K, V) (R, error)) (map[K]R, error) {
	made := map[K]R{}
	for _, name := range slices.Sorted(maps.Keys(declared)) {
		r, err := register(name, declared[name])
		if err != nil {
			return nil, err
		}
		made[name] = r
	}
	return made, nil
}
