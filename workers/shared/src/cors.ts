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

/** Every response header of the Fetch standard's CORS protocol and of its extensions: only this file may set one. */
const names = [
  "access-control-allow-origin",
  "access-control-allow-credentials",
  "access-control-allow-methods",
  "access-control-allow-headers",
  "access-control-allow-local-network",
  "access-control-allow-private-network",
  "access-control-expose-headers",
  "access-control-max-age",
];

/**
 * Takes out what another layer says, adds what every answer carries so that no cache mixes origins, and lets an allowed origin read
 * it. Names are taken out one by one, because to look through the headers costs more than all of this.
 */
export function setCors(headers: Headers, origin: string | null, origins: Origins): void {
  for (const name of names) {
    headers.delete(name);
  }
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

/**
 * What a preflight is answered with, beside what every answer carries. It is the contract's list, never what the request asked for.
 */
export function addPreflight(headers: Headers, origin: string | null, origins: Origins): void {
  if (origin !== null && origins.has(origin)) {
    headers.set("access-control-allow-methods", CORS.methods);
    headers.set("access-control-allow-headers", CORS.allowHeaders);
    headers.set("access-control-max-age", CORS.maxAge);
  }
}
