package snapshot

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
)

// parallel is how many calls are under way at once.
const parallel = 8

// reader fills a snapshot from an account; each section is written by one goroutine alone.
type reader struct {
	api  *cfapi.Client
	into *Snapshot
	host string
}

// Collect reads the environment from its account. Workers, and the zone, must be readable; another section may stay unseen.
func Collect(ctx context.Context, t *audit.Target) (*Snapshot, error) {
	zone, err := t.API.ZoneByName(ctx, t.ZoneName)
	if err != nil {
		return nil, err
	}
	s := &Snapshot{
		At: t.Now().UTC().Truncate(time.Second), Env: t.Env, Account: t.AccountID, Zone: Zone{zone.ID, zone.Name},
		Settings: settings(t.Contract, t.Env), Unseen: []Unseen{},
	}
	r := &reader{t.API, s, strings.ToLower(t.Hostname)}
	sections := []struct {
		name string
		read func(context.Context) error
	}{
		{secRoutes, r.routes}, {secDomains, r.domains}, {secDNS, r.dns}, {secNamespaces, r.namespaces},
		{secQueues, r.queues}, {secBuckets, r.buckets}, {secHyperdrives, r.hyperdrives},
	}
	unseen := make([]*Unseen, len(sections))
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return r.workers(gctx) })
	for i, section := range sections {
		g.Go(func() (err error) {
			unseen[i], err = tolerate(section.name, section.read(gctx))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for _, u := range unseen {
		if u != nil {
			s.Unseen = append(s.Unseen, *u)
		}
	}
	s.finish()
	s.Inside = askInside(ctx, t)
	return s, s.seal()
}

// tolerate turns a refused permission into something unseen; an API that does not answer is still an error.
func tolerate(section string, err error) (*Unseen, error) {
	if errors.Is(err, fault.Denied) || errors.Is(err, fault.Unauthenticated) {
		return &Unseen{Section: section, Why: audit.ScrubText(err.Error()), Hint: fault.HintOf(err)}, nil
	}
	return nil, err
}

// finish joins what was read apart: names for ids, and an empty section for one that was not seen.
func (s *Snapshot) finish() {
	c := &s.Content
	for _, u := range s.Unseen {
		c.clear(u.Section)
	}
	namespaces, configs := map[string]string{}, map[string]string{}
	for title, n := range c.Namespaces {
		namespaces[n.ID] = title
	}
	for name, h := range c.Hyperdrives {
		configs[h.ID] = name
	}
	for _, w := range c.Workers {
		for _, b := range w.Bindings {
			switch b.Text("type") {
			case "kv_namespace":
				name(b, "namespace", namespaces[b.Text("namespace_id")])
			case "hyperdrive":
				name(b, "config", configs[b.Text("id")])
			}
		}
	}
}

func name(b Fields, field, called string) {
	if called != "" {
		b[field] = called
	}
}

func (c *Content) clear(section string) {
	switch section {
	case secRoutes:
		c.Routes = map[string]Route{}
	case secDomains:
		c.Domains = map[string]Domain{}
	case secDNS:
		c.DNS = map[string]map[string]Record{}
	case secNamespaces:
		c.Namespaces = map[string]Namespace{}
	case secQueues:
		c.Queues = map[string]Queue{}
	case secBuckets:
		c.Buckets = map[string]Bucket{}
	case secHyperdrives:
		c.Hyperdrives = map[string]Hyperdrive{}
	}
}

// settings are the texts that the contract gives this environment: between environments they are expected to differ.
func settings(c *contract.Contract, env string) map[string]string {
	out := map[string]string{}
	if c == nil {
		return out
	}
	e := c.Envs[env]
	out["zone"] = e.Zone
	for _, name := range []string{"allowed_origins", "groq_base", "hostname", "issuer", "openai_base", "turnstile_verify_url"} {
		if text, ok := e.Setting(name); ok {
			out[name] = text
		}
	}
	return out
}

// keep puts v under key, or under key#2 and so on when two things have one name: nothing that was seen is dropped.
func keep[V any](m map[string]V, key string, v V) {
	at := key
	for n := 2; ; n++ {
		if _, taken := m[at]; !taken {
			m[at] = v
			return
		}
		at = key + "#" + strconv.Itoa(n)
	}
}

// each runs read for every item, a few at a time, and returns the results in the items' order.
func each[T, R any](ctx context.Context, items []T, read func(context.Context, T) (R, error)) ([]R, error) {
	results := make([]R, len(items))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i, item := range items {
		g.Go(func() (err error) {
			results[i], err = read(ctx, item)
			return err
		})
	}
	return results, g.Wait()
}

func sorted(list []string) []string {
	out := slices.Clone(list)
	slices.Sort(out)
	return slices.Compact(out)
}

// byID orders things that may share a name, so that each always gets the same key.
func byID[T any](list []T, id func(T) string) []T {
	slices.SortStableFunc(list, func(a, b T) int { return cmp.Compare(id(a), id(b)) })
	return list
}
