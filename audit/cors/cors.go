// Package cors sends the preflights that browsers would send, to every public path and from every kind of origin, and judges each answer exactly.
package cors

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
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
	Method  string              `json:"method"`
	Path    string              `json:"path"`
	Origin  string              `json:"origin"`
	Allowed bool                `json:"origin_allowed"`
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
	asked := plan(t)
	if len(asked) != len(e.Exchanges) {
		return audit.Result{}, audit.Misfit("it holds %d answers, want %d", len(e.Exchanges), len(asked))
	}
	for i, x := range e.Exchanges {
		if want := asked[i]; x.Method != want.Method || x.Path != want.Path || x.Origin != want.Origin || x.Allowed != want.Allowed {
			return audit.Result{}, audit.Misfit("answer %d is of %s %s from %s, want %s %s from %s", i, x.Method, x.Path, x.Origin, want.Method, want.Path, want.Origin)
		}
	}
	return conclude(t, e.Exchanges), nil
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
	for _, path := range t.Contract.PublicPaths() {
		for _, origin := range slices.Sorted(slices.Values(t.Origins)) {
			xs = append(xs, Exchange{Method: http.MethodOptions, Path: path, Origin: origin, Allowed: true})
		}
		for _, origin := range foreign {
			xs = append(xs, Exchange{Method: http.MethodOptions, Path: path, Origin: origin})
		}
		if readable(t.Contract, path) {
			xs = append(xs, Exchange{Method: http.MethodGet, Path: path, Origin: slices.Sorted(slices.Values(t.Origins))[0], Allowed: true},
				Exchange{Method: http.MethodGet, Path: path, Origin: foreign[0]})
		}
	}
	return xs
}

func readable(c *contract.Contract, path string) bool {
	for own, p := range c.HTTP.Paths {
		if slices.Contains(p.All(own), path) {
			return slices.Contains(p.Methods, http.MethodGet)
		}
	}
	return false
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

func (x *Exchange) send(ctx context.Context, t *audit.Target) error {
	req, err := http.NewRequestWithContext(ctx, x.Method, t.URL(x.Path), nil)
	if err != nil {
		return fault.New(fault.Internal, "make a request for %s: %w", x.Path, err)
	}
	req.Header.Set("Origin", x.Origin)
	if x.Method == http.MethodOptions {
		req.Header.Set("Access-Control-Request-Method", methodOf(t.Contract, x.Path))
		req.Header.Set("Access-Control-Request-Headers", strings.ToLower("authorization,content-type,"+probed))
	}
	res, err := t.HTTP.Do(req)
	if err != nil {
		return audit.Unreachable(x.Method, t.URL(x.Path), err)
	}
	defer res.Body.Close()
	n, err := io.Copy(io.Discard, res.Body)
	if err != nil {
		return audit.Unreachable(x.Method, t.URL(x.Path), err)
	}
	x.Status, x.Body, x.Headers = res.StatusCode, int(n), map[string][]string{}
	for name, values := range res.Header {
		if name == "Vary" || strings.HasPrefix(name, "Access-Control-") {
			x.Headers[name] = values
		}
	}
	return nil
}

func methodOf(c *contract.Contract, path string) string {
	for own, p := range c.HTTP.Paths {
		if slices.Contains(p.All(own), path) {
			return p.Methods[0]
		}
	}
	return http.MethodGet
}
