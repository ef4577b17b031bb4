package snapshot

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
)

func (r *reader) routes(ctx context.Context) error {
	found, err := r.api.Routes(ctx, r.into.Zone.ID)
	out := map[string]Route{}
	for _, f := range byID(found, func(f cfapi.Route) string { return f.ID }) {
		keep(out, f.Pattern, Route{ID: f.ID, Worker: f.Script})
	}
	r.into.Content.Routes = out
	return err
}

func (r *reader) domains(ctx context.Context) error {
	found, err := r.api.Domains(ctx, r.into.Zone.ID)
	out := map[string]Domain{}
	for _, f := range byID(found, func(f cfapi.Domain) string { return f.ID }) {
		keep(out, strings.ToLower(f.Hostname), Domain{ID: f.ID, Worker: f.Service, Zone: f.ZoneName})
	}
	r.into.Content.Domains = out
	return err
}

// dns asks for the host and for every wildcard that could stand in for it (RFC 4592).
func (r *reader) dns(ctx context.Context) error {
	sets, err := each(ctx, names(r.host, r.into.Zone.Name), func(ctx context.Context, name string) ([]cfapi.TimedRecord, error) {
		return r.api.TimedRecords(ctx, r.into.Zone.ID, name)
	})
	out := map[string]map[string]Record{}
	for _, f := range byID(slices.Concat(sets...), func(f cfapi.TimedRecord) string { return f.ID }) {
		key := f.Type + " " + strings.ToLower(f.Name)
		if out[key] == nil {
			out[key] = map[string]Record{}
		}
		keep(out[key], f.Content, Record{ID: f.ID, Proxied: f.Proxied, TTL: f.TTL})
	}
	r.into.Content.DNS = out
	return err
}

// names lists the record names that may answer for a host: itself, then the wildcards up to its zone.
func names(host, zone string) []string {
	list := []string{host}
	for at := host; at != zone; {
		_, parent, ok := strings.Cut(at, ".")
		if !ok || len(parent) < len(zone) {
			break
		}
		list, at = append(list, "*."+parent), parent
	}
	return list
}

func (r *reader) namespaces(ctx context.Context) error {
	found, err := r.api.Namespaces(ctx)
	out := map[string]Namespace{}
	for _, f := range byID(found, func(f cfapi.Namespace) string { return f.ID }) {
		keep(out, f.Title, Namespace{ID: f.ID})
	}
	r.into.Content.Namespaces = out
	return err
}

func (r *reader) queues(ctx context.Context) error {
	found, err := r.api.Queues(ctx)
	if err != nil {
		return err
	}
	found = byID(found, func(f cfapi.Queue) string { return f.ID })
	read, err := each(ctx, found, func(ctx context.Context, q cfapi.Queue) (map[string]Consumer, error) { return r.consumers(ctx, q.ID) })
	out := map[string]Queue{}
	for i, f := range found {
		if read[i] == nil {
			continue // deleted since the list was read
		}
		keep(out, f.Name, Queue{
			ID: f.ID, DeliveryDelayS: f.Settings.DeliveryDelayS, Paused: f.Settings.DeliveryPaused, RetentionS: f.Settings.RetentionPeriod, Consumers: read[i],
		})
	}
	r.into.Content.Queues = out
	return err
}

func (r *reader) consumers(ctx context.Context, queueID string) (map[string]Consumer, error) {
	found, err := r.api.Consumers(ctx, queueID)
	if err != nil {
		return nil, unlessGone(err)
	}
	out := map[string]Consumer{}
	for _, f := range byID(found, func(f cfapi.Consumer) string { return f.ID }) {
		keep(out, cmp.Or(f.ScriptName, f.Type), Consumer{ID: f.ID, Type: f.Type, DeadLetterQueue: f.DeadLetterQueue, Settings: f.Settings})
	}
	return out, nil
}

// unlessGone drops the error of something that was deleted between its list and itself.
func unlessGone(err error) error {
	if errors.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

func (r *reader) buckets(ctx context.Context) error {
	found, err := r.api.Buckets(ctx)
	if err != nil {
		return err
	}
	read, err := each(ctx, found, func(ctx context.Context, b cfapi.Bucket) (map[string]Rule, error) { return r.lifecycle(ctx, b.Name) })
	out := map[string]Bucket{}
	for i, f := range found {
		if read[i] == nil {
			continue // deleted since the list was read
		}
		keep(out, f.Name, Bucket{
			Location: f.Location, StorageClass: unless(f.StorageClass, "Standard"), Jurisdiction: unless(f.Jurisdiction, "default"), Lifecycle: read[i],
		})
	}
	r.into.Content.Buckets = out
	return err
}

// unless is text, or nothing when it is what is so anyway.
func unless(text, usual string) string {
	if text == usual {
		return ""
	}
	return text
}

func (r *reader) lifecycle(ctx context.Context, bucket string) (map[string]Rule, error) {
	found, err := r.api.BucketLifecycle(ctx, bucket)
	if err != nil {
		return nil, unlessGone(err)
	}
	out := map[string]Rule{}
	for _, f := range found {
		rule := Rule{Enabled: f.Enabled, Prefix: f.Conditions.Prefix, Delete: action(f.Delete), AbortMultipart: action(f.AbortMultipart)}
		for i := range f.Transitions {
			if a := action(&f.Transitions[i]); a != nil {
				rule.Transitions = append(rule.Transitions, *a)
			}
		}
		slices.SortFunc(rule.Transitions, func(a, b Action) int {
			return cmp.Or(cmp.Compare(a.StorageClass, b.StorageClass), cmp.Compare(a.AfterS, b.AfterS), cmp.Compare(a.Date, b.Date))
		})
		keep(out, f.ID, rule)
	}
	return out, nil
}

// action is nil for one without a condition, which answers may have and which never happens.
func action(a *cfapi.LifecycleAction) *Action {
	if a == nil || a.Condition == nil {
		return nil
	}
	return &Action{AfterS: a.Condition.MaxAge, Date: a.Condition.Date, StorageClass: a.StorageClass}
}

func (r *reader) hyperdrives(ctx context.Context) error {
	found, err := r.api.Hyperdrives(ctx)
	out := map[string]Hyperdrive{}
	for _, f := range byID(found, func(f cfapi.Hyperdrive) string { return f.ID }) {
		keep(out, f.Name, Hyperdrive{ID: f.ID, Origin: f.Origin, Caching: tidy(f.Caching), MTLS: tidy(f.MTLS), ConnectionLimit: f.ConnectionLimit})
	}
	r.into.Content.Hyperdrives = out
	return err
}
