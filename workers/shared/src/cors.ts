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

/** True for a header that only this file may set; whatever another layer says of it is taken out. */
export function isCorsHeader(name: string): boolean {
  return name.startsWith("access-control-");
}

/** What every answer carries so that no cache mixes origins, and what lets an allowed origin read it. */
export function addCors(headers: Record<string, string>, origin: string | null, origins: Origins): void {
  const { vary } = headers;
  headers.vary = vary === undefined ? CORS.vary : `${vary}, ${CORS.vary}`;
  if (origin === null || !origins.has(origin)) {
    return;
  }
  headers["access-control-allow-origin"] = origin;
  headers["access-control-expose-headers"] = CORS.exposeHeaders;
  if (CORS.credentials) {
    headers["access-control-allow-credentials"] = "true";
  }
}

/**
 * What a preflight is answered with, beside what every answer carries. It is the contract's list, never what the request asked for.
 */
export function addPreflight(headers: Record<string, string>, origin: string | null, origins: Origins): void {
  if (origin !== null && origins.has(origin)) {
    headers["access-control-allow-methods"] = CORS.methods;
    headers["access-control-allow-headers"] = CORS.allowHeaders;
    headers["access-control-max-age"] = CORS.maxAge;
  }
}
