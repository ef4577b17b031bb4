// Package api answers Cloudflare's v4 REST API, with its error numbers, envelopes and semantics, over the local account's store and runtime.
package api

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/cognomega/edge/internal/localcloud/store"
)

// Prefix is where New's handler must be mounted.
const Prefix = "/client/v4"

// Config is what the API serves and with what.
type Config struct {
	Store       *store.Store
	Runtime     Runtime
	Log         *slog.Logger
	AccountID   string // 32 hex digits
	AccountName string
	Now         func() time.Time // defaults to time.Now
	Faults      *Faults          // optional, for tests of clients
	// KVClasses admits new_classes migrations; Cloudflare refuses them on new accounts (10099).
	KVClasses bool
}

// Candidate is a version that shall serve a script.
type Candidate struct {
	Script  store.Script
	Version store.Version
}

// Change is what a deployment does to the set of running scripts.
type Change struct {
	Put    []Candidate
	Delete []string
}

// Prepared is a change that is known to start and is not serving yet; exactly one of Commit and Abort must follow.
type Prepared interface {
	// Exports says which events a candidate's default export handles, and the same of its named exports.
	Exports(script string) (handlers []string, named []store.NamedHandler)
	StartupTime() time.Duration
	Commit()
	Abort()
}

// Runtime starts scripts. A bundle that does not start is a fault.Invalid that carries the runtime's own words.
type Runtime interface {
	Prepare(ctx context.Context, change Change) (Prepared, error)
}

type server struct {
	Config
	routes  *node
	deploys sync.Mutex // code changes one at a time: two candidates of one script must not race to be newest
	scripts keyedMutex
}

// New returns the API as a handler that expects requests under Prefix.
func New(cfg Config) http.Handler {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Faults == nil {
		cfg.Faults = &Faults{}
	}
	s := &server{Config: cfg, routes: &node{}}
	for _, family := range []func() []endpoint{
		s.identity, s.zones, s.dns, s.scriptEndpoints, s.scriptParts, s.versionEndpoints, s.workersBeta, s.routeEndpoints,
		s.domainEndpoints, s.kv, s.kvValues, s.queueEndpoints, s.consumerEndpoints, s.messages, s.r2, s.r2Domains,
		s.hyperdrive, s.durableObjects, s.pages, s.rulesets, s.graphql,
	} {
		for _, e := range family() {
			s.routes.add(e)
		}
	}
	return s
}

func (s *server) now() time.Time { return s.Now().UTC() }

// keyedMutex serialises work on one name while other names go on.
type keyedMutex struct {
	mu    sync.Mutex
	locks map[string]*countedMutex
}

type countedMutex struct {
	sync.Mutex
	users int
}

func (k *keyedMutex) lock(name string) (unlock func()) {
	k.mu.Lock()
	if k.locks == nil {
		k.locks = map[string]*countedMutex{}
	}
	m := k.locks[name]
	if m == nil {
		m = &countedMutex{}
		k.locks[name] = m
	}
	m.users++
	k.mu.Unlock()
	m.Lock()
	return func() {
		m.Unlock()
		k.mu.Lock()
		defer k.mu.Unlock()
		if m.users--; m.users == 0 {
			delete(k.locks, name)
		}
	}
}
