package cors

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
)

// The paths of the matrix that no contract has. They lie in a folder of their own, so that nothing else is ever meant by them.
const (
	nowhere      = "/cogctl-probe/no-such-path"
	nowhereGroup = "unknown paths"
)

// The methods of preflights beside the contract's: one that nobody knows, one in the wrong case, and none, which is no preflight.
var oddMethods = []string{"BREW", "patch", ""}

// smallBody is the largest limit that is overstepped: what is over it is not sent to paths that take whole files.
const smallBody = 64 << 10

// MatrixEvidence is every exchange of the matrix, in a fixed order.
type MatrixEvidence struct {
	Exchanges []Exchange `json:"exchanges"`
}

// Matrix says that CORS is one right layer on every path, for every kind of origin, method and requested header, on errors too.
func Matrix() audit.Check {
	return audit.Check{Name: "cors", Title: "one CORS layer on every answer", Run: runMatrix(0), Judge: audit.Rejudge(rejudgeMatrix)}
}

// MatrixWithin is the matrix that sends nothing at all when it would take more than most requests.
func MatrixWithin(most int) audit.Check {
	c := Matrix()
	c.Run = runMatrix(most)
	return c
}

func runMatrix(most int) func(context.Context, *audit.Target) (audit.Result, error) {
	return func(ctx context.Context, t *audit.Target) (audit.Result, error) {
		exchanges := planMatrix(t)
		if most > 0 && len(exchanges) > most {
			return audit.Result{}, fault.New(fault.Invalid, "the matrix takes %d requests, the limit is %d: nothing was sent", len(exchanges), most).
				WithHint("--max-requests %d", len(exchanges))
		}
		if err := send(ctx, t, exchanges); err != nil {
			return audit.Result{}, err
		}
		return concludeMatrix(t, exchanges), nil
	}
}

func rejudgeMatrix(t *audit.Target, e MatrixEvidence) (audit.Result, error) {
	if err := answers(planMatrix(t), e.Exchanges); err != nil {
		return audit.Result{}, err
	}
	return concludeMatrix(t, e.Exchanges), nil
}

// Requests are what the matrix sends to a target, in order.
func Requests(t *audit.Target) []Request {
	planned := planMatrix(t)
	requests := make([]Request, len(planned))
	for i, x := range planned {
		requests[i] = x.Request
	}
	return requests
}

// planMatrix is the same for the same contract and origins, whoever makes it.
func planMatrix(t *audit.Target) []Exchange {
	if len(t.Origins) == 0 {
		return []Exchange{}
	}
	p := &planner{c: t.Contract, paths: t.Contract.PublicPaths(), callers: callers(t.Origins)}
	p.preflights()
	p.reads()
	p.credentials()
	p.unknownPaths()
	p.wrongMethods()
	p.longURLs()
	p.bodies()
	return p.xs
}

type planner struct {
	c       *contract.Contract
	paths   []string
	callers []caller
	turn    int // whose turn it is where not everybody is asked
	xs      []Exchange
}

// add plans one request from a caller to the i-th path's namesake.
func (p *planner) add(who caller, i int, r Request) {
	r.Origin, r.Kind, r.Allowed = who.at(i), who.kind, who.allowed
	p.xs = append(p.xs, Exchange{Request: r})
}

// next goes round all callers, so that over many paths each has its turn.
func (p *planner) next() caller {
	p.turn++
	return p.callers[(p.turn-1)%len(p.callers)]
}

// both are an allowed and a foreign caller, going round each kind.
func (p *planner) both(i int) []caller {
	foreign := slices.IndexFunc(p.callers, func(c caller) bool { return !c.allowed })
	return []caller{p.callers[i%foreign], p.callers[foreign+i%(len(p.callers)-foreign)]}
}

func (p *planner) preflights() {
	methods := append(slices.Clone(p.c.HTTP.CORS.Methods), oddMethods...)
	for _, c := range pairwise(axes{len(p.paths), len(p.callers), len(methods), len(askSets)}) {
		r := Request{Probe: probePreflight, Method: http.MethodOptions, Path: p.paths[c[0]], AskMethod: methods[c[2]], AskHeaders: askSets[c[3]]}
		if r.AskMethod == "" {
			r.Probe = probeOptions
		}
		p.add(p.callers[c[1]], c[0], r)
	}
}

func (p *planner) reads() {
	for i, path := range p.paths {
		if !readable(p.c, path) {
			continue
		}
		for _, who := range append(p.both(i), p.next(), p.next()) {
			p.add(who, i, Request{Probe: probeRead, Method: http.MethodGet, Path: path})
		}
		p.add(p.next(), i, Request{Probe: probeRead, Method: http.MethodHead, Path: path})
	}
}

// credentials provokes 401 by a token that is none, and 403 by claiming to be somebody, where a plain read looks at either.
func (p *planner) credentials() {
	var paths []int
	for i, path := range p.paths {
		if found, _ := pathOf(p.c, path); readable(p.c, path) && (found.Auth == contract.AccessOptional || found.Auth == contract.AccessToken) {
			paths = append(paths, i)
		}
	}
	if len(paths) == 0 {
		return
	}
	for n, who := range p.callers {
		i := paths[n%len(paths)]
		p.add(who, i, Request{Probe: probeToken, Method: http.MethodGet, Path: p.paths[i]})
	}
	for n := range max(2, len(paths)) {
		for _, who := range p.both(n) {
			i := paths[n%len(paths)]
			p.add(who, i, Request{Probe: probeIdentity, Method: http.MethodGet, Path: p.paths[i]})
		}
	}
}

// unknownPaths provokes 404: in a folder nobody has, and beside every path there is.
func (p *planner) unknownPaths() {
	for i, who := range p.callers {
		p.add(who, i, Request{Probe: probePath, Method: http.MethodGet, Path: nowhere})
		p.add(who, i, Request{Probe: probePath, Method: http.MethodOptions, Path: nowhere, AskMethod: http.MethodPost, AskHeaders: askMixed})
	}
	for i, path := range p.paths {
		p.add(p.next(), i, Request{Probe: probePath, Method: http.MethodGet, Path: path + "/"})
	}
}

// wrongMethods provokes 405 by a method that changes nothing even if another Worker should answer.
func (p *planner) wrongMethods() {
	for i, path := range p.paths {
		method := http.MethodGet
		if readable(p.c, path) {
			method = "PROPFIND"
		}
		for _, who := range p.both(i) {
			p.add(who, i, Request{Probe: probeMethod, Method: method, Path: path})
		}
	}
}

func (p *planner) longURLs() {
	for i, path := range p.paths {
		if own, _ := pathOf(p.c, path); readable(p.c, path) && len(own.Aliases) == 0 {
			for _, who := range p.both(i) {
				p.add(who, i, Request{Probe: probeURL, Method: http.MethodGet, Path: path})
			}
		}
	}
}

// bodies provokes 413, where that is harmless: the limit is small and nobody has to be known.
func (p *planner) bodies() {
	for i, path := range p.paths {
		found, _ := pathOf(p.c, path)
		open := found.Auth == contract.AccessNone || found.Auth == contract.AccessOptional
		if !open || !slices.Contains(found.Methods, http.MethodPost) || limitOf(p.c, path) > smallBody {
			continue
		}
		for _, who := range p.both(i) {
			p.add(who, i, Request{Probe: probeBody, Method: http.MethodPost, Path: path})
			p.add(who, i, Request{Probe: probeChunked, Method: http.MethodPost, Path: path})
		}
	}
}

func concludeMatrix(t *audit.Target, exchanges []Exchange) audit.Result {
	evidence := MatrixEvidence{exchanges}
	if len(t.Origins) == 0 {
		return audit.Undecided("the environment allows no origin, so no answer can be told right from wrong", evidence)
	}
	var all []fact
	for _, x := range exchanges {
		all = append(all, judge(t.Contract.HTTP.CORS, x)...)
	}
	coverage := Cover(exchanges)
	summary := fmt.Sprintf("%d requests to %d paths from %d kinds of origin; covered: %s; not covered: %s", len(exchanges), len(t.Contract.PublicPaths()),
		len(callers(t.Origins)), covered(coverage, true), covered(coverage, false))
	r := audit.Conclude(summary, gather(t, all), evidence)
	if r.Verdict == audit.Pass && slices.ContainsFunc(coverage, func(c Coverage) bool { return c.Asked > 0 && !c.Covered }) {
		r.Verdict = audit.Inconclusive
	}
	return r
}
