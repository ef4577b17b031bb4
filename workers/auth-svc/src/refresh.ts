import { requiredText } from "../../shared/src/body";
import type { Role } from "../../shared/src/caller";
import { AUTH } from "../../shared/src/contract.gen";
import { json, Problem } from "../../shared/src/problem";
import type { Call } from "../../shared/src/worker";
import { type Books, type Holder, withBooks } from "./books";
import type { Env } from "./env.gen";
import { formOrJson, isRefreshToken } from "./form";
import { sign } from "./sign";
import { suspended } from "./tenants";

const secretBytes = 32;

/** 256 bits of chance: what is kept of it is its digest, by which it is found; there is nothing to compare that time could tell. */
export function newRefreshToken(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(secretBytes));
  return (
    AUTH.refreshPrefix +
    btoa(String.fromCharCode(...bytes))
      .replaceAll("+", "-")
      .replaceAll("/", "_")
      .replaceAll("=", "")
  );
}

export async function digestOf(token: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(token));
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Begins a sign-in: a family, its first refresh token, and a token of it. */
export async function openFamily(env: Env, books: Books, holder: Holder, now: number) {
  const family = crypto.randomUUID();
  const refresh_token = newRefreshToken();
  const refresh_exp = await books.open(family, holder, await digestOf(refresh_token));
  return { ...(await signFor(env, holder, family, now)), refresh_token, refresh_exp };
}

function signFor(env: Env, { account, role, tenant }: Holder, fam: string, now: number) {
  const tid = tenant === null ? {} : { tid: tenant };
  return sign(env, { sub: account, email: account, role: role as Role, ...tid, jti: crypto.randomUUID(), fam }, now);
}

const refusals = {
  unknown: "The refresh token is not one of ours.",
  expired: "The sign-in has lasted as long as it may.",
  closed: "The sign-in was ended.",
  reused: "The refresh token was used before, so its sign-in was ended: sign in again.",
} as const;

/** Goes on with a sign-in: the next refresh token, and a token. */
export async function refreshToken(call: Call<Env>): Promise<Response> {
  const token = requiredText(await formOrJson(call), "refresh_token", AUTH.maxBytes);
  if (!isRefreshToken(token)) {
    throw refused("unknown");
  }
  // Before the turn: a token is never younger than the turn that gave it, so that ending the sign-in ends it too.
  const now = Math.floor(Date.now() / 1000);
  const next = newRefreshToken();
  const { env } = call;
  return withBooks(env, call.ctx, async (books) => {
    const turned = await books.turn(await digestOf(token), await digestOf(next));
    if (turned.outcome === "reused") {
      await books.publish(env.KEYS, now);
    }
    if (turned.outcome === "suspended") {
      throw suspended();
    }
    if (turned.outcome !== "turned") {
      throw refused(turned.outcome);
    }
    return json({ ...(await signFor(env, turned, turned.family, now)), refresh_token: next, refresh_exp: turned.expires });
  });
}

function refused(why: keyof typeof refusals): Problem {
  return new Problem(401, why === "reused" ? "refresh_token_reused" : "refresh_token_invalid", refusals[why]);
}
