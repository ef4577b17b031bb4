// Runs in Node for the tests of rotations: auth-svc's own signer, the gateway's own verifier, and jose as a stranger would use it,
// each asked at the time that the test says it is. One JSON request a line, one JSON answer a line.
import { createInterface } from "node:readline";
import { createLocalJWKSet, jwtVerify } from "jose";
import { sign } from "../../../workers/auth-svc/src/sign";
import { Verifier } from "../../../workers/shared/src/auth/verifier";

interface Mint {
  readonly env: Record<string, string>;
}

interface Check {
  readonly gateway: number; // which isolate; -1 is the stranger
  readonly jwks: string; // what KV shows there, or what was last fetched
  readonly tokens: readonly string[];
}

interface Ask {
  readonly now: number;
  readonly issuer: string;
  readonly mint: readonly Mint[] | null;
  readonly check: readonly Check[] | null;
}

const gateways = new Map<number, Verifier>();

async function mint({ env }: Mint, ask: Ask): Promise<object> {
  try {
    // biome-ignore lint/suspicious/noExplicitAny: the bindings are whatever the account has
    const { token } = await sign({ ...env, ISSUER: ask.issuer } as any, { sub: "guest:1", role: "guest" }, ask.now);
    return { token };
  } catch (error) {
    return { error: `${error} ${(error as Error).cause}` };
  }
}

async function check({ gateway, jwks, tokens }: Check, ask: Ask): Promise<(string | null)[]> {
  const refused: (string | null)[] = [];
  for (const token of tokens) {
    try {
      await (gateway < 0 ? stranger(token, jwks, ask) : insider(gateway, token, jwks, ask));
      refused.push(null);
    } catch (error) {
      refused.push(`${(error as { code?: string }).code} ${error}`);
    }
  }
  return refused;
}

async function stranger(token: string, jwks: string, { now, issuer }: Ask): Promise<void> {
  const keys = createLocalJWKSet(JSON.parse(jwks));
  await jwtVerify(token, keys, { issuer, algorithms: ["RS256"], currentDate: new Date(now * 1000), clockTolerance: 60 });
}

async function insider(gateway: number, token: string, jwks: string, { now, issuer }: Ask): Promise<void> {
  const verifier = gateways.get(gateway) ?? new Verifier();
  gateways.set(gateway, verifier);
  // biome-ignore lint/suspicious/noExplicitAny: of KV, the verifier reads the key set, and revocations, of which there are none
  const keys = { get: async (name: string) => (name === "jwks" ? jwks : null) } as any;
  await verifier.verify(token, { keys, issuer, now });
}

for await (const line of createInterface({ input: process.stdin })) {
  const ask = JSON.parse(line) as Ask;
  const minted = [];
  for (const one of ask.mint ?? []) {
    minted.push(await mint(one, ask));
  }
  // A token that was just minted is checked too: it is named by its place.
  const fill = (token: string) => (token.startsWith("#") ? ((minted[Number(token.slice(1))] as { token?: string }).token ?? "") : token);
  const checked = [];
  for (const one of ask.check ?? []) {
    checked.push(await check({ ...one, tokens: one.tokens.map(fill) }, ask));
  }
  process.stdout.write(`${JSON.stringify({ minted, checked })}\n`);
}
