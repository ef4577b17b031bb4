import { type JsonObject, readJsonObject } from "./body";
import { CALLER_HEADER, type Caller, decodeCaller, REQUEST_ID_HEADER } from "./caller";
import { LIMITS, PATHS, type ROUTES } from "./contract.gen";
import { describeEnv } from "./env-report";
import { answerError, json, Problem } from "./problem";
import { createRouter, decodeParams, type Params, splitUrl } from "./router";

/** One request on its way through a service. */
export class Call<Env> {
  readonly request: Request;
  readonly env: Env;
  readonly ctx: ExecutionContext;
  readonly params: Params;
  private readonly maxBody: number;
  private known: Caller | undefined;

  constructor(request: Request, env: Env, ctx: ExecutionContext, route: { params: Params; maxBody: number }) {
    this.request = request;
    this.env = env;
    this.ctx = ctx;
    this.params = route.params;
    this.maxBody = route.maxBody;
  }

  /** The id that the gateway gave the request. */
  get requestId(): string {
    return requestIdOf(this.request);
  }

  /** Who is calling, by the gateway's word. */
  get caller(): Caller {
    this.known ??= decodeCaller(this.request.headers.get(CALLER_HEADER));
    return this.known;
  }

  /** The body as a JSON object within the path's limit. */
  json(options?: { optional: boolean }): Promise<JsonObject> {
    return readJsonObject(this.request, this.maxBody, options);
  }
}

export type Handler<Env> = (call: Call<Env>) => Response | Promise<Response>;

export type WorkerName = keyof typeof ROUTES;

/** Every public route the contract gives a Worker, and routes of its own for the gateway alone, whose paths begin with /_. */
export type Routes<Name extends WorkerName, Env> = Record<(typeof ROUTES)[Name][number], Handler<Env>> &
  Partial<Record<`${"GET" | "POST"} /_${string}`, Handler<Env>>>;

interface Resource<Env> {
  readonly handlers: Map<string, Handler<Env>>;
  readonly allow: string;
  readonly maxBody: number;
}

/** Makes a service of its routes. The factory owns methods, error answers and timing; request ids, CORS and identity are the gateway's. */
export function createWorker<Name extends WorkerName, Env>(name: Name, routes: Routes<Name, Env>): ExportedHandler<Env> {
  const report: [string, Handler<Env>] = ["GET /_env", ({ env }) => json(describeEnv(name, env))];
  const route = createRouter(resources<Env>([...(Object.entries(routes) as [string, Handler<Env>][]), report]));

  async function answer(request: Request, env: Env, ctx: ExecutionContext): Promise<Response> {
    const match = route(splitUrl(request.url).path);
    if (match === undefined) {
      throw new Problem(404, "not_found");
    }
    const { handlers, allow, maxBody } = match.value;
    const head = request.method === "HEAD";
    const handler = handlers.get(head ? "GET" : request.method);
    if (handler === undefined) {
      throw new Problem(405, "method_not_allowed", undefined, { headers: { allow } });
    }
    const response = await handler(new Call(request, env, ctx, { params: decodeParams(match.params), maxBody }));
    return head ? new Response(null, response) : response;
  }

  return {
    async fetch(request, env, ctx) {
      const started = Date.now();
      let response: Response;
      try {
        response = await answer(request, env, ctx);
      } catch (error) {
        response = answerError(error, name, requestIdOf(request), splitUrl(request.url).path);
      }
      // Clocks in a Worker move only with I/O: 0 means that this call waited for nothing.
      const waited = Date.now() - started;
      if (waited > 0) {
        response.headers.set("server-timing", `${name};dur=${waited}`);
      }
      return response;
    },
  };
}

function requestIdOf(request: Request): string {
  return request.headers.get(REQUEST_ID_HEADER) ?? "none";
}

function resources<Env>(routes: [string, Handler<Env>][]): Map<string, Resource<Env>> {
  const byPath = new Map<string, Map<string, Handler<Env>>>();
  for (const [route, handler] of routes) {
    const [method, path] = route.split(" ") as [string, string];
    const handlers = byPath.get(path) ?? new Map<string, Handler<Env>>();
    byPath.set(path, handlers.set(method, handler));
  }
  const entries = [...byPath].map(([path, handlers]): [string, Resource<Env>] => [
    path,
    { handlers, allow: allowHeader([...handlers.keys()]), maxBody: maxBodyOf(path) },
  ]);
  return new Map(entries);
}

function maxBodyOf(path: string): number {
  const limits: Readonly<Record<string, { readonly maxBody: number }>> = PATHS;
  return limits[path]?.maxBody ?? LIMITS.maxBodyBytes;
}

/** Spells an Allow header: HEAD goes with GET, OPTIONS with all. */
export function allowHeader(methods: readonly string[]): string {
  return [...methods.flatMap((m) => (m === "GET" ? ["GET", "HEAD"] : [m])), "OPTIONS"].join(", ");
}
