// The ratelimit binding; the counting is done outside, once for all scripts that share the namespace.
class RateLimit {
  #env;

  constructor(env) {
    this.#env = env;
  }

  async limit(options) {
    if (typeof options !== "object" || options === null) throw new TypeError("invalid rate limit options");
    const { key = "", ...rest } = options;
    if (typeof key !== "string") throw new TypeError(`invalid key: ${key}`);
    const unknown = Object.keys(rest);
    if (unknown.length > 0) throw new TypeError(`bad rate limit options: [${unknown.join(",")}]`);
    const { fetcher, limit, period } = this.#env;
    const response = await fetcher.fetch("http://ratelimit/limit", {
      method: "POST",
      body: JSON.stringify({ key, limit, period }),
    });
    if (!response.ok) throw new Error(`rate limit failed: ${response.status}`);
    return response.json();
  }
}

export default (env) => new RateLimit(env);
