import { BINDINGS } from "./contract.gen";
import type { WorkerName } from "./worker";

/** What a Worker says of its environment: the text of its variables, and of all else whether it is there. */
export interface EnvReport {
  readonly worker: WorkerName;
  readonly vars: Readonly<Record<string, string>>;
  readonly secrets: Readonly<Record<string, boolean>>;
  readonly bindings: Readonly<Record<string, boolean>>;
  /** Secrets that may be left out. */
  readonly optional: readonly string[];
}

interface Declared {
  readonly kind: string;
  readonly optional: boolean;
}

/** Holds what a Worker is given against what the contract declares for it. */
export function describeEnv(worker: WorkerName, env: unknown): EnvReport {
  const given = env as Readonly<Record<string, unknown>>;
  const declared: Readonly<Record<string, Declared>> = BINDINGS[worker];
  const of = <T>(wanted: (kind: string) => boolean, tell: (value: unknown) => T): Record<string, T> =>
    Object.fromEntries(Object.entries(declared).flatMap(([name, { kind }]) => (wanted(kind) ? [[name, tell(given[name])]] : [])));
  return {
    worker,
    vars: of(
      (kind) => kind === "var",
      (value) => String(value ?? ""),
    ),
    secrets: of(
      (kind) => kind === "secret",
      (value) => typeof value === "string" && value !== "",
    ),
    bindings: of(
      (kind) => kind !== "var" && kind !== "secret",
      (value) => typeof value === "object" && value !== null,
    ),
    optional: Object.entries(declared).flatMap(([name, { optional }]) => (optional ? [name] : [])),
  };
}
