import { CORS } from "./contract.gen";

/** Decides by exact comparison; no origin is reflected that is not in the list, and null is never in it. */
export type Origins = ReadonlySet<string>;

/** Reads the comma-separated list of an environment. An empty list allows nobody. */
export function parseOrigins(list: string): Origins {
  const origins = new Set(list.split(",").map((origin) => origin.trim()));
  for (const never of ["", "*", "null"]) {
    origins.delete(never);
  }
  return origins;
}

/** Headers that only this file may set; whatever a service says of them is taken out. */
const layer = [
  "access-control-allow-origin",
  "access-control-allow-credentials",
  "access-control-allow-methods",
  "access-control-allow-headers",
  "access-control-expose-headers",
  "access-control-max-age",
  "access-control-allow-private-network",
];

/** Takes another layer's CORS headers out of an answer. */
export function stripCors(headers: Headers): void {
  for (const name of layer) {
    headers.delete(name);
  }
}

/** Marks an answer so that no cache mixes origins, and lets an allowed origin read it. */
export function applyCors(headers: Headers, origin: string | null, origins: Origins): void {
  headers.append("vary", CORS.vary);
  if (origin === null || !origins.has(origin)) {
    return;
  }
  headers.set("access-control-allow-origin", origin);
  headers.set("access-control-expose-headers", CORS.exposeHeaders);
  if (CORS.credentials) {
    headers.set("access-control-allow-credentials", "true");
  }
}

/** Answers OPTIONS: 204 without a body. What is allowed is the contract's list, never what the request asked for. */
export function preflight(origin: string | null, origins: Origins, allow: string): Response {
  const headers = new Headers({ allow });
  if (origin !== null && origins.has(origin)) {
    headers.set("access-control-allow-methods", CORS.methods);
    headers.set("access-control-allow-headers", CORS.allowHeaders);
    headers.set("access-control-max-age", CORS.maxAge);
  }
  return new Response(null, { status: 204, headers });
}
