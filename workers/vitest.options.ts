// Runs in Node, while vitest reads its configuration: turns the contract into what the test runtime binds.
import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { buildSync } from "esbuild";

const compatibilityDate = "2026-11-01";

interface Binding {
  readonly kv?: string;
  readonly service?: string;
  readonly var?: string;
  readonly ai?: boolean;
  readonly secret?: boolean;
  readonly optional?: boolean;
}

const contract = (subject: string) => JSON.parse(readFileSync(new URL(`../contract/${subject}.json`, import.meta.url), "utf8"));
const workers: Record<string, { bindings: Record<string, Binding> }> = contract("workers");
const local = contract("envs").local;

export const workerNames = Object.keys(workers);

const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const kid = "test-k1";
const secrets: Record<string, string> = {
  ADMIN_API_KEY: "test-admin-key",
  KID: kid,
  PRIVATE_KEY_PEM: privateKey.export({ type: "pkcs8", format: "pem" }) as string,
};
const settings: Record<string, string> = { ...local, allowed_origins: local.origins.join(",") };

/** What every test may use beside its Worker's own bindings. */
const fixture = {
  TEST_ADMIN_API_KEY: secrets.ADMIN_API_KEY as string,
  TEST_KEY_VECTORS: readFileSync(new URL("../contract/testdata/keys.json", import.meta.url), "utf8"),
  TEST_ISSUER: local.issuer as string,
  TEST_JWKS: JSON.stringify({ keys: [{ ...publicKey.export({ format: "jwk" }), kid, alg: "RS256", use: "sig" }] }),
  TEST_PRIVATE_JWK: JSON.stringify({ ...privateKey.export({ format: "jwk" }), kid }),
};

/** The runtime's options for the tests of one Worker: the Worker, the services behind it, and a double of the model. */
export function options(name: string) {
  const own = bindings(workers[name]?.bindings ?? { KEYS: { kv: "keys" } });
  const services = Object.values(own.serviceBindings).filter((service) => service !== "ai-double");
  return {
    compatibilityDate,
    ...own,
    bindings: { ...own.bindings, ...fixture },
    outboundService: "internet-double",
    workers: [...services.map(service), aiDouble, internetDouble],
  };
}

function bindings(declared: Record<string, Binding>) {
  const made = {
    bindings: {} as Record<string, string>,
    kvNamespaces: {} as Record<string, string>,
    serviceBindings: {} as Record<string, string>,
  };
  for (const [name, binding] of Object.entries(declared)) {
    if (binding.kv !== undefined) {
      made.kvNamespaces[name] = binding.kv;
    } else if (binding.service !== undefined || binding.ai === true) {
      made.serviceBindings[name] = binding.service ?? "ai-double";
    } else if (binding.var !== undefined) {
      made.bindings[name] = settings[binding.var] as string;
    } else if (binding.optional !== true) {
      made.bindings[name] = secrets[name] as string;
    }
  }
  return made;
}

function service(name: string) {
  const { outputFiles } = buildSync({
    entryPoints: [`${name}/src/worker.ts`],
    bundle: true,
    format: "esm",
    conditions: ["workerd"],
    write: false,
    external: ["cloudflare:*"],
  });
  const script = outputFiles[0]?.text as string;
  return { name, modules: true as const, script, compatibilityDate, ...bindings(workers[name]?.bindings ?? {}) };
}

/** Answers as Workers AI does, repeating the prompt; "stall" never answers and "fail" throws. */
const aiDouble = {
  name: "ai-double",
  modules: true as const,
  compatibilityDate,
  script: `import { WorkerEntrypoint } from "cloudflare:workers";
export default class extends WorkerEntrypoint {
  async run(model, { prompt, max_tokens }) {
    if (prompt === "fail") throw new Error("3040: out of capacity");
    return { response: model + " " + max_tokens + " " + prompt };
  }
}`,
};

/** All that is outside: Turnstile's check, which takes the response "good" under the secret "test-secret", and is out of order for "broken". */
const internetDouble = {
  name: "internet-double",
  modules: true as const,
  compatibilityDate,
  script: `export default {
  async fetch(request) {
    const form = new URLSearchParams(await request.text());
    if (form.get("response") === "broken") return new Response("down", { status: 500 });
    const success = request.method === "POST" && form.get("response") === "good" && form.get("secret") === "test-secret" && form.get("remoteip") === "192.0.2.7";
    return Response.json({ success });
  },
};`,
};
