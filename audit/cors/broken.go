package cors

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/contract"
)

// Breaker has the named Workers answer with a status, or throw when it is 0, until restore is called.
type Breaker func(ctx context.Context, workers []string, status int) (restore func(context.Context) error, err error)

// breakages are what services are made to answer: too many requests, and every way in which one fails.
var breakages = []int{0, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}

// Broken says that CORS is one right layer also on what the gateway answers while the services behind it fail. Its Run breaks
// them, one way after the other, and mends them: it is for a platform that nobody uses.
func Broken(b Breaker) audit.Check {
	return audit.Check{Name: "cors-broken", Title: "one CORS layer while services fail", Form: 1, Run: func(ctx context.Context, t *audit.Target) (audit.Result, error) {
		return runBroken(ctx, t, b)
	}, Judge: audit.Rejudge(rejudgeBroken)}
}

func runBroken(ctx context.Context, t *audit.Target, b Breaker) (audit.Result, error) {
	exchanges := planBroken(t)
	for _, status := range breakages {
		restore, err := b(ctx, Breakable(t.Contract), status)
		if err != nil {
			return audit.Result{}, err
		}
		var mine []int
		for i, x := range exchanges {
			if x.Probe == broken(status) {
				mine = append(mine, i)
			}
		}
		err = sendSome(ctx, t, exchanges, mine)
		// What was broken is mended also when the run was stopped.
		if err := errors.Join(err, restore(context.WithoutCancel(ctx))); err != nil {
			return audit.Result{}, err
		}
	}
	return concludeBroken(t, exchanges), nil
}

func sendSome(ctx context.Context, t *audit.Target, exchanges []Exchange, which []int) error {
	some := make([]Exchange, len(which))
	for n, i := range which {
		some[n] = exchanges[i]
	}
	err := send(ctx, t, some)
	for n, i := range which {
		exchanges[i] = some[n]
	}
	return err
}

func rejudgeBroken(t *audit.Target, e MatrixEvidence) (audit.Result, error) {
	if err := answers(planBroken(t), e.Exchanges); err != nil {
		return audit.Result{}, err
	}
	return concludeBroken(t, e.Exchanges), nil
}

// broken names the probe of a way to fail.
func broken(status int) string {
	if status == 0 {
		return "service_throws"
	}
	return fmt.Sprintf("service_answers_%d", status)
}

// Breakable lists the Workers behind paths that anybody may read: what they answer reaches every origin.
func Breakable(c *contract.Contract) []string {
	workers := map[string]bool{}
	for _, path := range openPaths(c) {
		workers[c.HTTP.Paths[path].Worker] = true
	}
	return slices.Sorted(maps.Keys(workers))
}

func openPaths(c *contract.Contract) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(c.HTTP.Paths)), func(path string) bool {
		p := c.HTTP.Paths[path]
		open := p.Auth == contract.AccessNone || p.Auth == contract.AccessOptional
		return !open || p.Worker == c.Gateway() || !slices.Contains(p.Methods, http.MethodGet)
	})
}

func planBroken(t *audit.Target) []Exchange {
	xs := []Exchange{}
	if len(t.Origins) == 0 {
		return xs
	}
	p := &planner{c: t.Contract, callers: callers(t.Origins)}
	for _, status := range breakages {
		for i, path := range openPaths(t.Contract) {
			for _, who := range p.callers {
				p.add(who, i, Request{Probe: broken(status), Method: http.MethodGet, Path: path})
			}
		}
	}
	return append(xs, p.xs...)
}

func concludeBroken(t *audit.Target, exchanges []Exchange) audit.Result {
	evidence := MatrixEvidence{exchanges}
	if len(exchanges) == 0 {
		return audit.Undecided("no path that anybody may read has a service behind it", evidence)
	}
	var all []fact
	for _, x := range exchanges {
		all = append(all, judge(t.Contract.HTTP.CORS, x)...)
	}
	seen, missing := provoked(exchanges)
	r := audit.Conclude(fmt.Sprintf("%d requests while %s failed; answered %s", len(exchanges), strings.Join(Breakable(t.Contract), ", "), statuses(seen)), gather(t, all), evidence)
	if r.Verdict == audit.Pass && missing != "" {
		r.Verdict = audit.Inconclusive
		r.Summary += "; " + missing
	}
	return r
}

// provoked is which statuses came, and what was to come and did not: a service that throws may become any failure of the
// gateway's, and every other status must be seen as it is.
func provoked(exchanges []Exchange) (seen map[int]bool, missing string) {
	seen = map[int]bool{}
	for _, x := range exchanges {
		seen[x.Status] = true
		if x.Probe == broken(0) && x.Status < http.StatusInternalServerError {
			missing = fmt.Sprintf("a service threw, and GET %s answered %d", x.Path, x.Status)
		}
	}
	for _, status := range breakages {
		if status != 0 && !seen[status] {
			missing = fmt.Sprintf("no answer was %d", status)
		}
	}
	return seen, missing
}

// StandIn is the code of a Worker that answers everything with a status, or throws when it is 0. It claims CORS of its own, as
// a careless service does: only the gateway's may reach a caller.
func StandIn(status int) string {
	if status == 0 {
		return `export default { async fetch() { throw new Error("broken on purpose: cogctl audit cors --break"); } };`
	}
	return fmt.Sprintf(`export default { async fetch() { return Response.json({ error: "broken_on_purpose" }, { status: %d, headers: { "retry-after": "1", "access-control-allow-origin": "*", "access-control-expose-headers": "x-inner" } }); } };`, status)
}
