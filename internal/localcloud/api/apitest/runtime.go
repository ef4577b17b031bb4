package apitest

import (
	"context"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	esbuild "github.com/evanw/esbuild/pkg/api"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/api"
	"github.com/cognomega/edge/internal/localcloud/store"
)

// Runtime parses what it is given: a syntax error does not start, and handlers are read off the source.
type Runtime struct {
	Store *store.Store

	mu      sync.Mutex
	serving map[string][]string // version ids by script
}

// Serving are the versions that took traffic last.
func (r *Runtime) Serving(script string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.serving[script]
}

type prepared struct {
	runtime *Runtime
	change  api.Change
	events  map[string][]string
	named   map[string][]store.NamedHandler
}

// Prepare reads every candidate's main module.
func (r *Runtime) Prepare(ctx context.Context, change api.Change) (api.Prepared, error) {
	p := &prepared{r, change, map[string][]string{}, map[string][]store.NamedHandler{}}
	for _, c := range change.Put {
		source, err := r.source(c.Version)
		if err != nil {
			return nil, err
		}
		parsed := esbuild.Transform(source, esbuild.TransformOptions{Loader: esbuild.LoaderJS, LogLevel: esbuild.LogLevelSilent})
		if len(parsed.Errors) > 0 {
			return nil, fault.New(fault.Invalid, "Uncaught SyntaxError: %s", parsed.Errors[0].Text)
		}
		p.events[c.Script.Name], p.named[c.Script.Name] = exports(source)
	}
	return p, nil
}

func (r *Runtime) source(v store.Version) (string, error) {
	f, err := r.Store.OpenBlob(v.Modules[0].Digest)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	return string(data), err
}

var (
	handler = regexp.MustCompile(`\b(fetch|queue|scheduled|tail|email)\s*\(`)
	class   = regexp.MustCompile(`(?:export\s+class\s+(\w+))|(?:\bclass\s+(\w+))|(?:\b(\w+)\s*=\s*class\b)`)
	listed  = regexp.MustCompile(`\bexport\s*\{([^}]*)\}`) // as a bundler writes it
)

func exports(source string) (events []string, named []store.NamedHandler) {
	found := map[string]bool{}
	for _, m := range handler.FindAllStringSubmatch(source, -1) {
		found[m[1]] = true
	}
	classes := map[string]bool{}
	for _, m := range class.FindAllStringSubmatch(source, -1) {
		if m[1] != "" {
			named = append(named, store.NamedHandler{Name: m[1], Handlers: []string{}})
		}
		classes[m[2]+m[3]] = true
	}
	for _, m := range listed.FindAllStringSubmatch(source, -1) {
		for spec := range strings.SplitSeq(m[1], ",") {
			local, as, renamed := strings.Cut(strings.TrimSpace(spec), " as ")
			if !renamed {
				as = local
			}
			if classes[local] && as != "default" {
				named = append(named, store.NamedHandler{Name: as, Handlers: []string{}})
			}
		}
	}
	return slices.Sorted(maps.Keys(found)), named
}

func (p *prepared) Exports(script string) ([]string, []store.NamedHandler) {
	return p.events[script], p.named[script]
}

// StartupTime is nothing: nothing is started.
func (p *prepared) StartupTime() time.Duration { return 0 }

func (p *prepared) Commit() {
	p.runtime.mu.Lock()
	defer p.runtime.mu.Unlock()
	if p.runtime.serving == nil {
		p.runtime.serving = map[string][]string{}
	}
	for _, name := range p.change.Delete {
		delete(p.runtime.serving, name)
	}
	for _, c := range p.change.Put {
		p.runtime.serving[c.Script.Name] = nil
	}
	for _, c := range p.change.Put {
		p.runtime.serving[c.Script.Name] = append(p.runtime.serving[c.Script.Name], c.Version.ID)
	}
}

func (p *prepared) Abort() {}
