package main

import (
	"context"
	"path/filepath"
	"slices"

	esbuild "github.com/evanw/esbuild/pkg/api"

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

	// alone asks for a caller that is decided about by its objects, each time: the answer waits for the admission, and nobody waits for the settlement.
	alone = `const allowance = { rate: { count: 1e6, periodMs: 1000, burst: 1e6 }, micro: 1e12 };
const subjects = ["caller:alone@limiter.test", "tenant:alone"].map((name) => ({ name, allowance }));
const post = (env, what, body) => env.LIMITS.fetch("https://limiter/_" + what, { method: "POST", body: JSON.stringify(body) });
export default { async fetch(request, env, ctx) {
  const id = crypto.randomUUID();
  const said = await (await post(env, "admit", { subjects, id, weight: 1, micro: 1000 })).json();
  if (!said.every((one) => one?.outcome === "admitted")) return Response.json(said, { status: 500 });
  ctx.waitUntil(post(env, "settle", { subjects, id, micro: 600 }));
  return new Response(id);
} };`

	// often asks as orchestrator-svc does, with its code, for a caller that asks all the time; and, to compare with, for nobody.
	often = `import { admit } from "./shared/src/limits/admission";
const caller = { id: "` + oftenCaller + `", role: "user", tenant: "` + oftenTenant + `", admin: false };
export default { async fetch(request, env, ctx) {
  if (new URL(request.url).pathname === "/nobody") return new Response(crypto.randomUUID());
  const admitted = await admit(env.LIMITS, caller, { weight: 1, micro: 1000, waitUntil: (promise) => ctx.waitUntil(promise) });
  ctx.waitUntil(admitted.settle(600));
  return new Response(admitted.headers["x-ratelimit-remaining"]);
} };`
	oftenCaller = "often@limiter.test"
	oftenTenant = "often"
)

// limiter measures what it takes to decide over a question of a caller that asks often, in all processes; and over one that asks seldom, in
// the process that keeps the objects, compared with a Durable Object that writes one row for each request.
func limiter(ctx context.Context, s *stage, o options) ([]figure, error) {
	asking, err := s.oftenLoad(ctx, o.requests)
	if err != nil {
		return nil, err
	}
	loads, err := s.aloneLoads(ctx, o.requests/10)
	if err != nil {
		return nil, err
	}
	decide := figure{Name: "limiter: CPU to decide over a question, and settle it", Against: "none asked, of a caller that asks often", Unit: "ms", Bound: 0.4, RawUnits: "ms of CPU a request, in all processes"}
	whole := figure{Name: "limiter: the same, of a caller that asks seldom", Against: "a bare Durable Object that writes a row", Unit: "x", Bound: 3.5, RawUnits: "ms of CPU a request, in the objects' process"}
	for round := range o.rounds + 1 {
		costs := map[string]float64{}
		for turn := range 4 {
			for i := range asking {
				l := asking[(turn+i)%len(asking)]
				used, err := s.cost(ctx, l.load)
				if err != nil {
					return nil, err
				}
				costs[l.name] += (used.goCPU + used.workerd) / 4
			}
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
		for name, used := range costs {
			if f := map[bool]*figure{true: &whole, false: &decide}[name == "bare" || name == "alone"]; f != nil {
				f.keep(name, used)
			}
		}
		decide.Rounds = append(decide.Rounds, max(0, costs["often"]-costs["nobody"]))
		whole.Rounds = append(whole.Rounds, costs["alone"]/costs["bare"])
	}
	return []figure{decide, whole}, nil
}

// oftenLoad is one caller's questions, as many as it can ask one after another, and as many that nobody is asked about.
func (s *stage) oftenLoad(ctx context.Context, requests int) ([]objectLoad, error) {
	made := esbuild.Build(esbuild.BuildOptions{
		Stdin:  &esbuild.StdinOptions{Contents: often, ResolveDir: filepath.Join(s.root, "workers"), Loader: esbuild.LoaderTS},
		Bundle: true, Format: esbuild.FormatESModule, Target: esbuild.ES2022, LogLevel: esbuild.LogLevelSilent,
	})
	if len(made.Errors) > 0 {
		return nil, fault.New(fault.Internal, "bundle the caller: %s", made.Errors[0].Text)
	}
	host, err := s.deploy(ctx, "bench-often", string(made.OutputFiles[0].Contents), `{"type":"service","name":"LIMITS","service":"rate-limiter-do"}`)
	if err != nil {
		return nil, err
	}
	if _, err := s.cogctl(ctx, "tenants", "add", oftenTenant, "--reason", "bench"); err != nil {
		return nil, err
	}
	for _, whose := range []string{oftenCaller, "tenant:" + oftenTenant} {
		set := []string{"limits", "set", whose}
		if _, err := s.cogctl(ctx, append(set, "--rate", "1000000/1s", "--burst", "1000000", "--credits-a-day", "1000000", "--reason", "bench")...); err != nil {
			return nil, err
		}
	}
	at := func(name string) objectLoad {
		return objectLoad{load{dial: s.edge, request: get(host, "/"+name), connections: 1, requests: requests / 4}, name, ""}
	}
	return []objectLoad{at("often"), at("nobody")}, nil
}

// objectLoad is a load on the objects of one script.
type objectLoad struct {
	load
	name, script string
}

func (s *stage) aloneLoads(ctx context.Context, requests int) ([]objectLoad, error) {
	if err := s.upload(ctx, "bench-object", bareObject, `"bindings":[],"migrations":{"new_tag":"v1","new_sqlite_classes":["Bare"]}`); err != nil {
		return nil, err
	}
	bare, err := s.deploy(ctx, "bench-bare", bareCaller, `{"type":"durable_object_namespace","name":"OBJECT","class_name":"Bare","script_name":"bench-object"}`)
	if err != nil {
		return nil, err
	}
	asking, err := s.deploy(ctx, "bench-alone", alone, `{"type":"service","name":"LIMITS","service":"rate-limiter-do"}`)
	if err != nil {
		return nil, err
	}
	at := func(name, script, host, path string) objectLoad {
		return objectLoad{load{dial: s.edge, request: get(host, path), connections: 1, requests: requests / 4}, name, script}
	}
	return []objectLoad{
		at("bare", "bench-object", bare, "/"),
		at("alone", "rate-limiter-do", asking, "/"),
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
