// Lets scripts of other processes call the Durable Objects of this one; env maps a class's unique key to its namespace.
import { WorkerEntrypoint } from "cloudflare:workers";

export default class Gate extends WorkerEntrypoint {
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
