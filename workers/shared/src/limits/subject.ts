import type { Caller } from "../caller";
import { ALLOWANCES } from "../contract.gen";
import { isAccount } from "../money/account";
import { Problem } from "../problem";
import type { Allowance, Limited } from "./limits";

/** One whose limits count: a caller, or all of a tenant together. */
export interface Subject extends Limited {
  readonly allowance: Allowance & { readonly whenDown: "admit" | "refuse"; readonly shards?: number };
}

/** All guests are one tenant; no token names it, for a tenant's name has no brackets there. */
const guests: Subject = { name: "guests", allowance: ALLOWANCES.guests };

export function callerSubject(id: string): Subject {
  const guest = id.startsWith("guest:");
  return {
    name: `caller:${id}`,
    allowance: guest ? ALLOWANCES.roles.guest : ALLOWANCES.roles.user,
    ...(guest || !isAccount(id) ? {} : { account: id }),
  };
}

export function tenantSubject(tenant: string): Subject {
  return tenant === guests.name ? guests : { name: `tenant:${tenant}`, allowance: ALLOWANCES.tenant };
}

/**
 * Whose limits a call falls under, the caller's own first. Nobody without an identity is admitted; the admin key alone acts for no caller,
 * and has no limit.
 */
export function subjectsOf({ id, role, tenant, admin }: Caller): readonly Subject[] {
  if (admin) {
    return [];
  }
  if (id === null) {
    throw new Problem(401, "token_required", undefined, { headers: { "www-authenticate": "Bearer" } });
  }
  const own = role === "guest" ? { name: `caller:${id}`, allowance: ALLOWANCES.roles.guest } : callerSubject(id);
  if (role === "guest") {
    return [own, guests];
  }
  return tenant === null ? [own] : [own, { name: `tenant:${tenant}`, allowance: ALLOWANCES.tenant }];
}

/** The object that is asked about one question of a subject: itself, or any one of those that keep it together. */
export function askedOf(subject: Subject, random: () => number = Math.random): Subject {
  const [first, ...others] = shardsOf(subject);
  return first === undefined ? subject : ([first, ...others][Math.floor(random() * (others.length + 1))] ?? first);
}

/** The shards of a subject that one object would be too slow for. */
export function shardsOf({ name, allowance }: Subject): readonly Subject[] {
  const { shards = 1 } = allowance;
  return shards === 1 ? [] : Array.from({ length: shards }, (_, n) => shardOf(name, allowance, `shard:${n}:${name}`, shards));
}

function shardOf(lender: string, allowance: Subject["allowance"], shard: string, shards: number): Subject {
  return { name: shard, allowance: { ...allowance, of: { lender, shard, shards } } };
}
