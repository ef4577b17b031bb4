import { noted } from "../../shared/src/admin-note";
import { type JsonObject, requiredText } from "../../shared/src/body";
import { AUTH } from "../../shared/src/contract.gen";
import { json, Problem } from "../../shared/src/problem";
import type { Call } from "../../shared/src/worker";
import { type Books, type Tenant, withBooks } from "./books";
import type { Env } from "./env.gen";

/** Names of tenants: they are in claims, in the names of objects and in logs. Guests together have the name guests among limits. */
const shape = /^[\w-]{1,128}$/;
const taken = "guests";

const pageSize = 1_000;

/** The tenants by name, a page at a time. */
export async function listTenants(call: Call<Env>): Promise<Response> {
  forOperators(call);
  const after = new URL(call.request.url).searchParams.get("after") ?? "";
  const tenants = await withBooks(call.env, call.ctx, (books) => books.tenants(after, pageSize));
  return json({ ok: true, tenants, next_after: tenants.length < pageSize ? null : (tenants.at(-1)?.tenant ?? null) });
}

/** Adds a tenant, suspends or resumes one. Asked again it changes nothing, and publishes what was not. */
export async function changeTenant(call: Call<Env>): Promise<Response> {
  forOperators(call);
  const body = await call.json();
  const action = requiredText(body, "action", 16);
  const act = Object.hasOwn(actions, action) ? actions[action] : undefined;
  if (act === undefined) {
    throw new Problem(400, "unknown_action", `The actions are ${Object.keys(actions).join(", ")}.`);
  }
  const tenant = tenantIn(body);
  const reason = requiredText(body, "reason", 512);
  const done = await withBooks(call.env, call.ctx, (books) => act(books, call.env, tenant, reason));
  const within = { usually_within_s: AUTH.revokedUsual, within_s: AUTH.revokedBound };
  return noted(json({ ok: true, ...done, ...within }), { action, tenant, changed: done.changed, reason });
}

interface Done {
  readonly changed: boolean;
  readonly tenant: Tenant;
}

type Action = (books: Books, env: Env, tenant: string, reason: string) => Promise<Done>;

const actions: Readonly<Record<string, Action>> = {
  add: async (books, _, tenant, reason) => {
    const changed = await books.addTenant(tenant, reason);
    return { changed, tenant: await existing(books, tenant) };
  },
  suspend: (books, env, tenant, reason) => turn(books, env, tenant, { state: "suspended", reason }),
  resume: (books, env, tenant, reason) => turn(books, env, tenant, { state: "active", reason }),
};

/** A list that KV does not take stays to be published: by the same call again, or by the cron. */
async function turn(books: Books, env: Env, tenant: string, to: { state: Tenant["state"]; reason: string }): Promise<Done> {
  await existing(books, tenant);
  const changed = await books.turnTenant(tenant, to.state, to.reason);
  await books.publish(env.KEYS, Math.floor(Date.now() / 1000), true);
  return { changed, tenant: await existing(books, tenant) };
}

/** A tenant that is there. */
export async function existing(books: Books, name: string): Promise<Tenant> {
  const tenant = await books.tenant(name);
  if (tenant === undefined) {
    throw new Problem(404, "unknown_tenant", "There is no such tenant. An operator adds one: cogctl tenants add.");
  }
  return tenant;
}

/** Refuses a tenant that no token is given for. */
export async function refuseUnlessActive(books: Books, name: string): Promise<void> {
  if ((await existing(books, name)).state === "suspended") {
    throw suspended();
  }
}

export function suspended(): Problem {
  return new Problem(403, "tenant_suspended", "The tenant is suspended.");
}

function tenantIn(body: JsonObject): string {
  const tenant = requiredText(body, "tenant", 128);
  if (!shape.test(tenant) || tenant === taken) {
    throw new Problem(400, "invalid_tenant", `tenant is letters, digits, - and _, and not ${taken}.`);
  }
  return tenant;
}

/** The gateway checks the key; this checks the gateway. */
function forOperators({ caller }: Call<Env>): void {
  if (!caller.admin) {
    throw new Problem(403, "forbidden", "This needs the admin key.");
  }
}
