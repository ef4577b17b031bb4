// Package cors sends the preflights that browsers would send, to every public path and from every kind of origin, and judges each answer exactly.
package cors

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/contract"
)

// parallel bounds the requests in flight: enough to be quick, too few to trip a rate limit.
const parallel = 16

// probed is a header that no contract allows; an answer that repeats it copies what it is asked.
const probed = "X-Cogctl-Not-Allowed"

// Check says that every public path answers a preflight as the contract has it, to allowed origins alone.
func Check() audit.Check {
	return audit.Check{Name: "preflight", Title: "preflight 204 on every public path", Run: run, Judge: audit.Rejudge(rejudge)}
}

// Exchange is one request and what of its answer is judged.
type Exchange struct {
	Request
	Status  int                 `json:"status"`
	Body    int                 `json:"body_bytes"`
	Headers map[string][]string `json:"headers"`
}

// Evidence is every exchange, in a fixed order.
type Evidence struct {
	Paths     int        `json:"paths"`
	Origins   int        `json:"origins"`
	Exchanges []Exchange `json:"exchanges"`
}

func run(ctx context.Context, t *audit.Target) (audit.Result, error) {
	exchanges := plan(t)
	if err := send(ctx, t, exchanges); err != nil {
		return audit.Result{}, err
	}
	return conclude(t, exchanges), nil
}

// rejudge judges kept answers, after seeing that they answer what would be asked: an answer left out could be the wrong one.
func rejudge(t *audit.Target, e Evidence) (audit.Result, error) {
	if err := answers(plan(t), e.Exchanges); err != nil {
		return audit.Result{}, err
	}
	return conclude(t, e.Exchanges), nil
}

// answers refuses exchanges that are not those that were planned, each in its place.
func answers(planned, kept []Exchange) error {
	if len(planned) != len(kept) {
		return audit.Misfit("it holds %d answers, want %d", len(kept), len(planned))
	}
	for i, x := range kept {
		if want := planned[i]; x.Request != want.Request {
			return audit.Misfit("answer %d is of %s %s from %s, want %s %s from %s", i, x.Method, x.Path, x.Origin, want.Method, want.Path, want.Origin)
		}
	}
	return nil
}

func conclude(t *audit.Target, exchanges []Exchange) audit.Result {
	if len(t.Origins) == 0 {
		return audit.Undecided("the environment allows no origin, so no preflight can be told right from wrong", Evidence{Exchanges: []Exchange{}})
	}
	var all []fact
	for _, x := range exchanges {
		all = append(all, judge(t.Contract.HTTP.CORS, x)...)
	}
	paths := t.Contract.PublicPaths()
	summary := fmt.Sprintf("%d paths, %d preflights and %d reads from %d origins", len(paths), count(exchanges, http.MethodOptions), count(exchanges, http.MethodGet), origins(exchanges))
	return audit.Conclude(summary, group(t, all), Evidence{len(paths), origins(exchanges), exchanges})
}

func count(xs []Exchange, method string) int {
	n := 0
	for _, x := range xs {
		if x.Method == method {
			n++
		}
	}
	return n
}

func origins(xs []Exchange) int {
	seen := map[string]bool{}
	for _, x := range xs {
		seen[x.Origin] = true
	}
	return len(seen)
}

// plan is a preflight for every path, alias and origin, and a plain read of what may be read without side effects.
func plan(t *audit.Target) []Exchange {
	if len(t.Origins) == 0 {
		return nil
	}
	foreign := lookalikes(t.Origins)
	var xs []Exchange
	add := func(r Request) { xs = append(xs, Exchange{Request: r}) }
	for _, path := range t.Contract.PublicPaths() {
		for _, origin := range slices.Sorted(slices.Values(t.Origins)) {
			add(Request{Method: http.MethodOptions, Path: path, Origin: origin, Allowed: true})
		}
		for _, origin := range foreign {
			add(Request{Method: http.MethodOptions, Path: path, Origin: origin})
		}
		if readable(t.Contract, path) {
			add(Request{Method: http.MethodGet, Path: path, Origin: slices.Sorted(slices.Values(t.Origins))[0], Allowed: true})
			add(Request{Method: http.MethodGet, Path: path, Origin: foreign[0]})
		}
	}
	return xs
}

func readable(c *contract.Contract, path string) bool {
	p, ok := pathOf(c, path)
	return ok && slices.Contains(p.Methods, http.MethodGet)
}

// lookalikes are origins that careless comparisons let through: by prefix, by suffix, without scheme or port, or by reflection.
func lookalikes(allowed []string) []string {
	foreign := []string{"https://evil.example", "null"}
	for _, origin := range allowed {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || u.Scheme != "https" {
			continue
		}
		foreign = append(foreign, origin+".evil.example", "https://evil-"+u.Host, "https://evil."+u.Host, "http://"+u.Host, origin+":8443", origin+"/")
	}
	slices.Sort(foreign)
	foreign = slices.Compact(foreign)
	return slices.DeleteFunc(foreign, func(f string) bool { return slices.Contains(allowed, f) })
}

func send(ctx context.Context, t *audit.Target, xs []Exchange) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i := range xs {
		g.Go(func() error { return xs[i].send(ctx, t) })
	}
	return g.Wait()
}

func methodOf(c *contract.Contract, path string) string {
	if p, ok := pathOf(c, path); ok {
		return p.Methods[0]
	}
	return http.MethodGet
}
