import { Problem } from "./problem";

export type Params = Readonly<Record<string, string>>;

/** What a path leads to, with the values of its parameters as they stand in the URL. */
export interface Match<T> {
  readonly value: T;
  readonly params: Params;
}

const noParams: Params = Object.freeze({});

/** Compiles paths such as /jobs/:id. A literal path wins over one with parameters. */
export function createRouter<T>(paths: ReadonlyMap<string, T>): (path: string) => Match<T> | undefined {
  const exact = new Map<string, Match<T>>();
  const patterns: { segments: string[]; value: T }[] = [];
  for (const [path, value] of paths) {
    if (path.includes("/:")) {
      patterns.push({ segments: path.split("/"), value });
    } else {
      exact.set(path, { value, params: noParams });
    }
  }
  return (path) => exact.get(path) ?? matchPattern(patterns, path);
}

function matchPattern<T>(patterns: { segments: string[]; value: T }[], path: string): Match<T> | undefined {
  if (patterns.length === 0) {
    return undefined;
  }
  const given = path.split("/");
  for (const { segments, value } of patterns) {
    const params = matchSegments(segments, given);
    if (params !== undefined) {
      return { value, params };
    }
  }
  return undefined;
}

function matchSegments(wanted: string[], given: string[]): Params | undefined {
  if (wanted.length !== given.length) {
    return undefined;
  }
  const params: Record<string, string> = {};
  for (const [i, segment] of wanted.entries()) {
    const value = given[i] as string;
    if (segment.startsWith(":") && value !== "") {
      params[segment.slice(1)] = value;
    } else if (segment !== value) {
      return undefined;
    }
  }
  return params;
}

/** Puts raw parameter values into a path with :names. */
export function fillPath(path: string, params: Params): string {
  return path.replace(/:([a-z_]+)/g, (_, name: string) => params[name] as string);
}

/** Decodes parameters once a handler is found; a broken escape is the caller's mistake. */
export function decodeParams(params: Params): Params {
  if (params === noParams) {
    return params;
  }
  try {
    return Object.fromEntries(Object.entries(params).map(([name, value]) => [name, decodeURIComponent(value)]));
  } catch {
    throw new Problem(400, "bad_path", "The path has an escape that is not UTF-8.");
  }
}

/**
 * Path and query of an absolute URL. A Worker's request.url is normalised already, so slicing is enough;
 * parsing it again costs more than all the routing.
 */
export function splitUrl(url: string): { path: string; query: string } {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  const mark = url.indexOf("?", start);
  return mark < 0 ? { path: url.slice(start), query: "" } : { path: url.slice(start, mark), query: url.slice(mark) };
}
