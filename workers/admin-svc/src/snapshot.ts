import { WORKER_NAMES } from "../../shared/src/contract.gen";
import { within } from "../../shared/src/deadline";
import { describeEnv, type EnvReport } from "../../shared/src/env-report";
import { json, Problem } from "../../shared/src/problem";
import type { Call } from "../../shared/src/worker";
import type { Env } from "./env.gen";

const askTimeoutMs = 5_000;

const note =
  "Of secrets and bindings only whether they are there. workers says it of each; the gateway is not asked, but it checked the admin key of this call.";

/** What every service says of its own environment, and all of it together by name; never a secret's value. */
export async function envSnapshot({ env }: Call<Env>): Promise<Response> {
  const services = Object.entries(env).filter(([, binding]) => isService(binding)) as [string, Fetcher][];
  const asked = await Promise.all(services.map(([, service]) => ask(service)));
  const reports: EnvReport[] = [describeEnv("admin-svc", env), ...asked.filter((report) => report !== undefined)];
  const workers = Object.fromEntries(reports.map((report) => [report.worker, report]));
  const silent = WORKER_NAMES.filter((name) => name !== "cognomega-api" && workers[name] === undefined);
  const all = together(reports);
  const ok = silent.length === 0 && [...Object.values(all.bindings), ...Object.values(all.required)].every((is) => is);
  return json({
    ok,
    at: new Date().toISOString(),
    note,
    vars: all.vars,
    secrets: { ADMIN_API_KEY: true, ...all.secrets },
    bindings: all.bindings,
    workers,
    silent,
  });
}

function isService(binding: unknown): boolean {
  return typeof (binding as Fetcher | null)?.fetch === "function";
}

/** A service that does not answer is named as silent; the rest is told all the same. */
async function ask(service: Fetcher): Promise<EnvReport | undefined> {
  try {
    const answer = await within(askTimeoutMs, service.fetch("https://service/_env"), () => new Problem(504, "service_timeout"));
    return answer.ok ? await answer.json<EnvReport>() : undefined;
  } catch {
    return undefined;
  }
}

/** By name: a binding or a secret that several have is there when all of them have it. */
function together(reports: readonly EnvReport[]) {
  const all = { vars: {} as Record<string, string>, secrets: {} as Flags, bindings: {} as Flags, required: {} as Flags };
  for (const { vars, secrets, bindings, optional } of reports) {
    Object.assign(all.vars, vars);
    merge(all.secrets, secrets);
    merge(all.bindings, bindings);
    merge(all.required, Object.fromEntries(Object.entries(secrets).filter(([name]) => !optional.includes(name))));
  }
  return all;
}

type Flags = Record<string, boolean>;

function merge(all: Flags, more: Readonly<Flags>): void {
  for (const [name, is] of Object.entries(more)) {
    all[name] = (all[name] ?? true) && is;
  }
}
