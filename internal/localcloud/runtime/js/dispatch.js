// Delivers queue batches and cron triggers, which a socket cannot, to the scripts of this process.
import { WorkerEntrypoint } from "cloudflare:workers";

const decode = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

function message({ id, timestamp, attempts, contentType, body = "", ...more }) {
  const common = { id, timestamp: new Date(timestamp), attempts };
  if ("value" in more) return { ...common, body: more.value };
  const bytes = decode(body);
  switch (contentType) {
    case "text":
      return { ...common, body: new TextDecoder().decode(bytes) };
    case "json":
      return { ...common, body: JSON.parse(new TextDecoder().decode(bytes)) };
    case "bytes":
      return { ...common, body: bytes };
    default: // v8: only the receiving isolate can read it
      return { ...common, serializedBody: bytes };
  }
}

export default {
  async fetch(request, env) {
    const event = await request.json();
    const target = env[event.script];
    if (target === undefined) return new Response("no such script", { status: 404 });
    switch (event.type) {
      case "queue":
        return Response.json(await target.queue(event.queue, event.messages.map(message)));
      case "scheduled":
        return Response.json(await target.scheduled({ cron: event.cron, scheduledTime: new Date(event.time) }));
      default:
        return new Response("unknown event", { status: 400 });
    }
  },
};

// Lets scripts of other processes call the Durable Objects of this one; env maps a class's unique key to its namespace.
export class Gate extends WorkerEntrypoint {
  stub(key, id) {
    const namespace = this.env[key];
    return namespace.get(namespace.idFromString(id));
  }

  call(key, id, method, args) {
    return this.stub(key, id)[method](...args);
  }

  read(key, id, property) {
    return this.stub(key, id)[property];
  }

  fetch(request) {
    const headers = new Headers(request.headers);
    const [key, id] = JSON.parse(headers.get("cogctl-object"));
    headers.delete("cogctl-object");
    return this.stub(key, id).fetch(new Request(request, { headers }));
  }
}
