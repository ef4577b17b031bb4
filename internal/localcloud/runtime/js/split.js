// Stands before the versions of a script that is bound and has two: each call goes to one of them, as at the edge.
import { WorkerEntrypoint } from "cloudflare:workers";

// The same as in edge/prefer.go: one member of a dictionary (RFC 8941).
const member = /[ \t]*([a-z*][a-z0-9_.*-]*)(?:=(?:"((?:[ !#-\[\]-~]|\\["\\])*)"|[^",; \t]+))?(?:;[^,"]*)?[ \t]*(?:,|$)/y;

function preferred(text, script) {
  let found;
  for (member.lastIndex = 0; member.lastIndex < text.length; ) {
    const match = member.exec(text);
    if (match === null) return undefined;
    if (match[1] === script) found = match[2];
  }
  return found;
}

// The same as in prefer.go.
function place(key) {
  let h = 2166136261;
  for (const byte of new TextEncoder().encode(key)) h = Math.imul(h ^ byte, 16777619);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return ((h ^ (h >>> 16)) >>> 0) / 2 ** 32;
}

// VERSIONS has the newest first.
function choose(env, headers) {
  const { SCRIPT: script, VERSIONS: versions } = env;
  const wanted = preferred(headers?.get("cloudflare-workers-version-overrides") ?? "", script);
  const pinned = versions.find(({ id }) => id === wanted);
  if (pinned !== undefined) return env[pinned.id];
  const key = headers?.get("cloudflare-workers-version-key");
  let at = (key ? place(key) : Math.random()) * versions.reduce((sum, { share }) => sum + share, 0);
  for (const { id, share } of versions) {
    at -= share;
    if (at < 0) return env[id];
  }
  return env[versions[0].id];
}

export default class extends WorkerEntrypoint {
  constructor(ctx, env) {
    super(ctx, env);
    // Methods of a class that is called by RPC are looked up here by name; they are the chosen version's.
    return new Proxy(this, {
      get(target, name) {
        if (Reflect.has(target, name) || typeof name !== "string") return Reflect.get(target, name);
        const version = choose(env);
        return (...args) => version[name](...args);
      },
    });
  }

  fetch(request) {
    return choose(this.env, request.headers).fetch(request);
  }
}
