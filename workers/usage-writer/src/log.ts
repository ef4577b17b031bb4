/** Writes a line to the Worker's log. Of an error, what it says and what it came of; never what was being written. */
export function log(what: string, facts: Record<string, unknown>): void {
  const { error, ...rest } = facts;
  const cause = error instanceof Error ? `${error.message}${error.cause instanceof Error ? `: ${error.cause.message}` : ""}` : undefined;
  console.error(JSON.stringify({ worker: "usage-writer", what, ...rest, cause }));
}
