import { ADDRESS_HEADERS, FORWARD_HEADERS, LIMITS, PATHS } from "../../shared/src/contract.gen";
import { createRouter } from "../../shared/src/router";
import { allowHeader } from "../../shared/src/worker";
import type { Env } from "./env.gen";

/** Names of the bindings that lead to a service. */
export type ServiceName = { [K in keyof Env]: Env[K] extends Fetcher ? K : never }[keyof Env];

/** One public path, under whichever of its names it was called. */
export interface Target {
  /** The path's own name; services know no other. */
  readonly path: string;
  readonly binding: ServiceName | null;
  readonly methods: ReadonlySet<string>;
  readonly allow: string;
  readonly auth: "none" | "optional" | "token" | "admin";
  readonly maxBody: number;
  /** A body goes inward as it comes, at the pace of the client's connection. */
  readonly streams: boolean;
  /** The only headers from outside that its service sees. */
  readonly forwarded: readonly string[];
  /** When a call with the admin key that is no reading is kept in the admin log; before, unless it says after. */
  readonly audited: "" | "before" | "after";
  /** How long its service has to begin an answer. */
  readonly timeoutMs: number;
  /** Methods that are turned away while usage is written too late. */
  readonly sheds: readonly string[];
}

type PathEntry = Omit<Target, "path" | "methods" | "allow" | "forwarded"> & {
  readonly methods: readonly string[];
  readonly aliases: readonly string[];
  readonly address: boolean;
};

const withAddress: readonly string[] = [...FORWARD_HEADERS, ...ADDRESS_HEADERS];

/** The contract's paths and aliases, compiled once an isolate. */
function targets(): Map<string, Target> {
  const table = new Map<string, Target>();
  const paths: Readonly<Record<string, PathEntry>> = PATHS;
  for (const [path, { binding, methods, aliases, auth, maxBody, streams, address, audited, timeoutMs, sheds }] of Object.entries(paths)) {
    const allow = allowHeader(methods);
    const forwarded = address ? withAddress : FORWARD_HEADERS;
    const target: Target = {
      path,
      binding,
      methods: new Set(allow.split(", ")),
      allow,
      auth,
      maxBody,
      streams,
      forwarded,
      audited,
      timeoutMs,
      sheds,
    };
    for (const name of [path, ...aliases]) {
      table.set(name, target);
    }
  }
  return table;
}

export const findTarget = createRouter(targets());

export const maxUrlBytes = LIMITS.maxUrlBytes;
