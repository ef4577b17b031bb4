package main

import (
	"context"
	"slices"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/platform"
)

const (
	// bareObject is the least that a Durable Object can do and be believed: it writes a row, and answers when that is on disk.
	bareObject = `import { DurableObject } from "cloudflare:workers";
export class Bare extends DurableObject {
  constructor(ctx, env) { super(ctx, env); ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS calls (id TEXT PRIMARY KEY, micro INTEGER) WITHOUT ROWID"); }
  write(id) { this.ctx.storage.sql.exec("INSERT INTO calls (id, micro) VALUES (?, ?)", id, 1000); return id; }
}
export default { fetch() { return new Response("bare"); } };`
	bareCaller = `export default { async fetch(_, env) { return new Response(await env.OBJECT.getByName("bench").write(crypto.randomUUID())); } };`

	// limiterCaller asks as orchestrator-svc does: the answer waits for the admission, and nobody waits for the settlement.
	limiterCaller = `const allowance = { rate: { count: 1e6, periodMs: 1000, burst: 1e6 }, micro: 1e12 };
const subjects = ["caller:bench@limiter.test", "tenant:bench"].map((name) => ({ name, allowance }));
const post = (env, what, body) => env.LIMITS.fetch("https://limiter/_" + what, { method: "POST", body: JSON.stringify(body) });
export default { async fetch(request, env, ctx) {
  const id = crypto.randomUUID();
  const said = await (await post(env, "admit", { subjects, id, weight: 1, micro: 1000 })).json();
  if (!said.every((one) => one?.outcome === "admitted")) return Response.json(said, { status: 500 });
  if (new URL(request.url).pathname === "/settled") ctx.waitUntil(post(env, "settle", { subjects, id, micro: 600 }));
  return new Response(id);
} };`
)

// limiter compares the CPU of deciding over a question, in the process that keeps the limiters, with that of a Durable Object that
// writes one row for each request.
func limiter(ctx context.Context, s *stage, o options) ([]figure, error) {
	loads, err := s.limiterLoads(ctx, o.requests/10)
	if err != nil {
		return nil, err
	}
	const units = "ms of CPU a request, in the objects' process"
	admit := figure{Name: "limiter: CPU to admit a question, of its caller and its tenant", Against: "each written to disk", Unit: "ms", Bound: 0.4, RawUnits: units}
	whole := figure{Name: "limiter: the same and its settlement", Against: "a bare Durable Object that writes a row", Unit: "x", Bound: 3.5, RawUnits: units}
	for round := range o.rounds + 1 {
		costs := map[string]float64{}
		for turn := range 4 {
			for i := range loads {
				l := loads[(turn+i)%len(loads)]
				used, err := s.processCost(ctx, l)
				if err != nil {
					return nil, err
				}
				costs[l.name] += used / 4
			}
		}
		if round == 0 {
			continue // compiles, and makes the objects
		}
		for _, f := range []*figure{&admit, &whole} {
			for name, used := range costs {
				f.keep(name, used)
			}
		}
		admit.Rounds = append(admit.Rounds, costs["admitted"])
		whole.Rounds = append(whole.Rounds, costs["settled"]/costs["bare"])
	}
	return []figure{admit, whole}, nil
}

// objectLoad is a load on the objects of one script.
type objectLoad struct {
	load
	name, script string
}

func (s *stage) limiterLoads(ctx context.Context, requests int) ([]objectLoad, error) {
	if err := s.upload(ctx, "bench-object", bareObject, `"bindings":[],"migrations":{"new_tag":"v1","new_sqlite_classes":["Bare"]}`); err != nil {
		return nil, err
	}
	bare, err := s.deploy(ctx, "bench-bare", bareCaller, `{"type":"durable_object_namespace","name":"OBJECT","class_name":"Bare","script_name":"bench-object"}`)
	if err != nil {
		return nil, err
	}
	asking, err := s.deploy(ctx, "bench-limiter", limiterCaller, `{"type":"service","name":"LIMITS","service":"rate-limiter-do"}`)
	if err != nil {
		return nil, err
	}
	at := func(name, script, host, path string) objectLoad {
		return objectLoad{load{dial: s.edge, request: get(host, path), connections: 1, requests: requests / 4}, name, script}
	}
	return []objectLoad{
		at("bare", "bench-object", bare, "/"),
		at("admitted", "rate-limiter-do", asking, "/"),
		at("settled", "rate-limiter-do", asking, "/settled"),
	}, nil
}

// processCost is the CPU time of a request in the process that runs a script, in ms.
func (s *stage) processCost(ctx context.Context, l objectLoad) (float64, error) {
	pid, err := s.processOf(ctx, l.script)
	if err != nil {
		return 0, err
	}
	before, err := cpuTime(pid)
	if err != nil {
		return 0, err
	}
	if _, err := l.run(ctx); err != nil {
		return 0, err
	}
	after, err := cpuTime(pid)
	return ms(after-before) / float64(l.requests), err
}

func (s *stage) processOf(ctx context.Context, script string) (int, error) {
	l, err := platform.FindLayout(s.root, s.dir)
	if err != nil {
		return 0, err
	}
	status, err := platform.StatusLocal(ctx, l)
	if err != nil {
		return 0, err
	}
	for _, p := range status.Processes {
		if slices.Contains(p.Scripts, script) {
			return p.PID, nil
		}
	}
	return 0, fault.New(fault.NotFound, "no process runs %s", script)
}
