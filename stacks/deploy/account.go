package deploy

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"

	"github.com/cloudflare/cloudflare-go"

	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
)

// item is one live resource in the words of its Pulumi type.
type item struct {
	id    string
	key   string         // its natural key: unique where it lives, and chosen by whoever creates it
	props map[string]any // what the API says of the declared properties
}

// kind is how resources of one sdk/v5 type are found live. The official plugin's own reads are too weak to rest on:
// it does not notice a renamed namespace, and fails where a bucket or a Hyperdrive is gone.
type kind struct {
	name  string                               // for people
	scope func(inputs map[string]any) []string // what is listed to find it: a zone, a script, or nothing for the account
	key   func(inputs map[string]any) string
	list  func(ctx context.Context, api *cfapi.Client, scope []string) ([]item, error)
	// restore undoes an edit that the plugin cannot undo; nil when the plugin can.
	restore func(ctx context.Context, api *cfapi.Client, id string, inputs map[string]any) error
}

func kinds() map[string]kind {
	account := func(map[string]any) []string { return nil }
	zone := func(in map[string]any) []string { return []string{text(in["zoneId"])} }
	input := func(names ...string) func(map[string]any) string {
		return func(in map[string]any) string {
			parts := make([]string, len(names))
			for i, n := range names {
				parts[i] = text(in[n])
			}
			return strings.Join(parts, " ")
		}
	}
	return map[string]kind{
		"cloudflare:index/workersKvNamespace:WorkersKvNamespace": {name: "kv_namespace", scope: account, key: input("title"), list: listNamespaces},
		"cloudflare:index/queue:Queue":                           {name: "queue", scope: account, key: input("name"), list: listQueues, restore: renameQueue},
		"cloudflare:index/r2Bucket:R2Bucket":                     {name: "r2_bucket", scope: account, key: input("name"), list: listBuckets},
		"cloudflare:index/hyperdriveConfig:HyperdriveConfig":     {name: "hyperdrive", scope: account, key: input("name"), list: listHyperdrives},
		"cloudflare:index/workersRoute:WorkersRoute":             {name: "route", scope: zone, key: input("pattern"), list: listRoutes},
		"cloudflare:index/record:Record":                         {name: "dns_record", scope: zone, key: input("type", "name"), list: listRecords},
		"cloudflare:index/workersCronTrigger:WorkersCronTrigger": {
			name: "cron", scope: func(in map[string]any) []string { return []string{text(in["scriptName"])} }, key: input("scriptName"), list: listCrons,
		},
	}
}

func listNamespaces(ctx context.Context, api *cfapi.Client, _ []string) ([]item, error) {
	found, err := api.Namespaces(ctx)
	return items(found, err, func(n cfapi.Namespace) item {
		return item{id: n.ID, key: n.Title, props: map[string]any{"title": n.Title}}
	})
}

func listQueues(ctx context.Context, api *cfapi.Client, _ []string) ([]item, error) {
	found, err := api.Queues(ctx)
	return items(found, err, func(q cfapi.Queue) item {
		return item{id: q.ID, key: q.Name, props: map[string]any{"name": q.Name}}
	})
}

// renameQueue gives a queue its declared name back: the plugin would look for it under the new name and not find it.
func renameQueue(ctx context.Context, api *cfapi.Client, id string, inputs map[string]any) error {
	_, err := api.CF().Raw(ctx, http.MethodPatch, "/accounts/"+api.AccountID()+"/queues/"+id, map[string]any{"queue_name": text(inputs["name"])}, nil)
	if err != nil {
		return fault.New(kindOf(err), "rename queue %s back to %s: %w", id, text(inputs["name"]), err)
	}
	return nil
}

func listBuckets(ctx context.Context, api *cfapi.Client, _ []string) ([]item, error) {
	found, err := api.Buckets(ctx)
	return items(found, err, func(b cfapi.Bucket) item {
		return item{id: b.Name, key: b.Name, props: map[string]any{"name": b.Name}}
	})
}

func listHyperdrives(ctx context.Context, api *cfapi.Client, _ []string) ([]item, error) {
	found, err := api.CF().ListHyperdriveConfigs(ctx, cloudflare.AccountIdentifier(api.AccountID()), cloudflare.ListHyperdriveConfigParams{})
	return items(found, err, func(h cloudflare.HyperdriveConfig) item {
		caching := map[string]any{"maxAge": float64(h.Caching.MaxAge), "staleWhileRevalidate": float64(h.Caching.StaleWhileRevalidate), "disabled": false}
		if h.Caching.Disabled != nil {
			caching["disabled"] = *h.Caching.Disabled
		}
		return item{id: h.ID, key: h.Name, props: map[string]any{"name": h.Name, "caching": caching, "origin": map[string]any{
			"scheme": h.Origin.Scheme, "host": h.Origin.Host, "port": float64(h.Origin.Port), "database": h.Origin.Database, "user": h.Origin.User,
		}}}
	})
}

func listRoutes(ctx context.Context, api *cfapi.Client, scope []string) ([]item, error) {
	found, err := api.Routes(ctx, scope[0])
	return items(found, err, func(r cfapi.Route) item {
		return item{id: r.ID, key: r.Pattern, props: map[string]any{"pattern": r.Pattern, "scriptName": r.Script}}
	})
}

func listRecords(ctx context.Context, api *cfapi.Client, scope []string) ([]item, error) {
	found, _, err := api.CF().ListDNSRecords(ctx, cloudflare.ZoneIdentifier(scope[0]), cloudflare.ListDNSRecordsParams{})
	return items(found, err, func(r cloudflare.DNSRecord) item {
		return item{id: r.ID, key: r.Type + " " + r.Name, props: map[string]any{
			"type": r.Type, "name": r.Name, "content": r.Content, "value": r.Content, "ttl": float64(r.TTL), "comment": r.Comment,
			"proxied": r.Proxied != nil && *r.Proxied,
		}}
	})
}

// listCrons gives no item when the script has none left or is gone itself: the trigger is the list, and an empty one is no trigger.
func listCrons(ctx context.Context, api *cfapi.Client, scope []string) ([]item, error) {
	found, err := api.CF().ListWorkerCronTriggers(ctx, cloudflare.AccountIdentifier(api.AccountID()), cloudflare.ListWorkerCronTriggersParams{ScriptName: scope[0]})
	if kindOf(err) == fault.NotFound || err == nil && len(found) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	crons := make([]any, 0, len(found))
	for _, c := range found {
		crons = append(crons, c.Cron)
	}
	// The plugin's id is a checksum of its own; matching by key spares knowing it.
	return []item{{key: scope[0], props: map[string]any{"schedules": crons}}}, nil
}

func items[T any](found []T, err error, convert func(T) item) ([]item, error) {
	if err != nil {
		return nil, err
	}
	out := make([]item, 0, len(found))
	for _, f := range found {
		out = append(out, convert(f))
	}
	return out, nil
}

// kindOf is the kind of an error that may come from the plain client, which knows the API's status alone.
func kindOf(err error) fault.Kind {
	if k := fault.KindOf(err); k != fault.Internal {
		return k
	}
	var refusal *cfapi.Refusal
	if !errors.As(err, &refusal) {
		return fault.Unavailable
	}
	switch refusal.Status {
	case http.StatusNotFound:
		return fault.NotFound
	case http.StatusUnauthorized, http.StatusForbidden:
		return fault.Denied
	default:
		return fault.Unavailable
	}
}

// catalog lists each scope of each kind once, and in parallel.
type catalog struct {
	api *cfapi.Client
	mu  sync.Mutex
	got map[string]*listing
}

type listing struct {
	once  sync.Once
	items []item
	err   error
}

func (c *catalog) list(ctx context.Context, k kind, inputs map[string]any) ([]item, error) {
	scope := k.scope(inputs)
	key := k.name + " " + strings.Join(scope, " ")
	c.mu.Lock()
	l, ok := c.got[key]
	if !ok {
		l = &listing{}
		c.got[key] = l
	}
	c.mu.Unlock()
	l.once.Do(func() {
		if l.items, l.err = k.list(ctx, c.api, scope); l.err != nil {
			l.err = fault.New(kindOf(l.err), "look at live %ss: %w", k.name, l.err)
		}
	})
	return l.items, l.err
}
