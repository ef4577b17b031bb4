import type { Marks } from "../../shared/src/auth/revocations";
import { AUTH } from "../../shared/src/contract.gen";
import { BadData, type Database, openDatabase } from "../../shared/src/database";
import { KEYS, key } from "../../shared/src/keys";
import { Problem } from "../../shared/src/problem";
import type { Env } from "./env.gen";

/** What a sign-in stands for. */
export interface Holder {
  readonly account: string;
  readonly role: string;
  readonly tenant: string | null;
}

/** What a refresh token is good for. */
export interface Shown extends Holder {
  readonly family: string;
  readonly expires: number;
  readonly active: boolean;
}

export type Turned =
  | (Holder & { readonly outcome: "turned"; readonly family: string; readonly expires: number })
  | { readonly outcome: "unknown" | "closed" | "expired" | "reused" | "suspended" };

/** A tenant, and why it is in its state. */
export interface Tenant {
  readonly tenant: string;
  readonly state: "active" | "suspended";
  readonly why: string;
  readonly created_at: string;
  readonly changed_at: string;
}

export type RevokedKind = "jti" | "subject" | "family";

/** A revocation, and the seconds that bound it. */
export interface Revocation {
  readonly kind: RevokedKind;
  readonly value: string;
  readonly issuedUntil: number;
  readonly listedUntil: number;
  readonly why: string;
}

interface Listed {
  readonly jti: string[];
  readonly family: string[];
  readonly subject: [string, number][];
  readonly tenant: string[];
  readonly fresh: number;
}

const tenantRows =
  "SELECT id AS tenant, state, why, to_json(created_at) #>> '{}' AS created_at, to_json(changed_at) #>> '{}' AS changed_at FROM auth.tenant";

/** KV takes one write a second of one key. */
const kvPaceMs = 1_100;
const kvTries = 4;

/** The refresh tokens and revocations of the database, over one connection. */
export class Books {
  private readonly db: Database;

  constructor(db: Database) {
    this.db = db;
  }

  async open(id: string, { account, role, tenant }: Holder, digest: string): Promise<number> {
    const [row] = await this.db.query<{ expires: string }>(
      "SELECT auth.open_family($1::text::uuid, $2, $3, $4, $5, $6::text::integer) AS expires",
      [id, account, role, tenant, digest, String(AUTH.refreshLife)],
    );
    return Number(row?.expires);
  }

  /** A suspended tenant's refresh token is not used up: the sign-in goes on when the tenant does. */
  async turn(digest: string, next: string): Promise<Turned> {
    const [row] = await this.db.query<{ turned: Turned }>(
      "SELECT CASE WHEN auth.is_suspended($1) THEN jsonb_build_object('outcome', 'suspended') ELSE auth.turn($1, $2) END AS turned",
      [digest, next],
    );
    return (row as { turned: Turned }).turned;
  }

  async show(digest: string): Promise<Shown | undefined> {
    const [row] = await this.db.query<{ shown: Shown | null; suspended: boolean }>(
      "SELECT auth.show_refresh($1) AS shown, auth.is_suspended($1) AS suspended",
      [digest],
    );
    return row?.shown == null ? undefined : { ...row.shown, active: row.shown.active && !row.suspended };
  }

  async isRevoked({ jti, subject, issued, family, tenant }: Marks): Promise<boolean> {
    const [row] = await this.db.query<{ is: boolean }>(
      "SELECT auth.is_revoked($1, $2, $3::text::bigint, $4) OR EXISTS (SELECT FROM auth.tenant WHERE id = $5 AND state = 'suspended') AS is",
      [jti ?? null, subject, String(issued), family ?? null, tenant ?? null],
    );
    return row?.is !== false;
  }

  async tenants(after: string, limit: number): Promise<Tenant[]> {
    return this.db.query<Tenant>(`${tenantRows} WHERE id > $1 ORDER BY id LIMIT $2::text::integer`, [after, String(limit)]);
  }

  async tenant(name: string): Promise<Tenant | undefined> {
    const [row] = await this.db.query<Tenant>(`${tenantRows} WHERE id = $1`, [name]);
    return row;
  }

  /** Whether it was added, and not there before. */
  async addTenant(name: string, why: string): Promise<boolean> {
    const added = await this.db.query("INSERT INTO auth.tenant (id, why) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING RETURNING id", [
      name,
      why,
    ]);
    return added.length > 0;
  }

  /** Whether it was in another state before. */
  async turnTenant(name: string, state: Tenant["state"], why: string): Promise<boolean> {
    const turned = await this.db.query(
      "UPDATE auth.tenant SET state = $2, why = $3, changed_at = now() WHERE id = $1 AND state <> $2 RETURNING id",
      [name, state, why],
    );
    return turned.length > 0;
  }

  async revoke({ kind, value, issuedUntil, listedUntil, why }: Revocation): Promise<void> {
    await this.db.query("SELECT auth.revoke($1, $2, $3::text::bigint, $4::text::bigint, $5)", [
      kind,
      value,
      String(issuedUntil),
      String(listedUntil),
      why,
    ]);
  }

  /** How many revocations are listed. */
  async listed(): Promise<number> {
    const [row] = await this.db.query<{ n: string }>("SELECT count(*) AS n FROM auth.revocation");
    return Number(row?.n);
  }

  /**
   * Gives KV the list. The transaction keeps every other list out until KV has this one: two that overtook each other would leave the
   * older one standing. Whoever waited finds their revocation published already, so that a crowd that signs out is one write.
   */
  async publish(kv: KVNamespace, now: number, always = false): Promise<void> {
    await this.db.query("BEGIN");
    try {
      const [row] = await this.db.query<{ list: Listed }>("SELECT auth.list_with_tenants($1::text::bigint, $2::text::bigint) AS list", [
        String(now),
        String(listedUntil(now)),
      ]);
      const { fresh, ...list } = (row as { list: Listed }).list;
      if (fresh > 0 || always) {
        await put(kv, JSON.stringify({ as_of: now, ...list }));
      }
      await this.db.query("COMMIT");
    } catch (error) {
      await this.db.query("ROLLBACK").catch(() => {}); // a connection that is closed rolls back too
      throw error;
    }
  }
}

async function put(kv: KVNamespace, list: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await kv.put(key(KEYS.revoked, {}), list);
    } catch (error) {
      if (tries === kvTries) {
        throw error;
      }
      await scheduler.wait(kvPaceMs);
    }
  }
}

/** The second after which no token that was issued by now can be valid anywhere. */
export function listedUntil(now: number): number {
  return now + AUTH.life + AUTH.clockSkew;
}

/** Runs with books of its own; a database that is away is the caller's to try again. */
export async function withBooks<T>(env: Env, ctx: ExecutionContext, use: (books: Books) => Promise<T>): Promise<T> {
  const db = openDatabase(env.DB);
  try {
    return await use(new Books(db));
  } catch (error) {
    if (error instanceof Problem) {
      throw error;
    }
    throw error instanceof BadData
      ? new Problem(400, "invalid_request", "A value has characters that cannot be kept.", { cause: error })
      : new Problem(503, "tokens_unavailable", undefined, { cause: error, headers: { "retry-after": "5" } });
  } finally {
    ctx.waitUntil(db.close());
  }
}
