// Stands for a Durable Object class that another process owns: same unique key, hence same ids; every call goes to the owner.
import { DurableObject } from "cloudflare:workers";

export class Remote extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    const id = ctx.id.toString();
    return new Proxy(this, {
      get(target, name) {
        if (typeof name !== "string" || Reflect.has(target, name)) return Reflect.get(target, name);
        return (...args) => env.GATE.call(env.KEY, id, name, args);
      },
    });
  }

  fetch(request) {
    const headers = new Headers(request.headers);
    headers.set("cogctl-object", JSON.stringify([this.env.KEY, this.ctx.id.toString()]));
    return this.env.GATE.fetch(new Request(request, { headers }));
  }
}
