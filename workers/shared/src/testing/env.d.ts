declare namespace Cloudflare {
  interface Env {
    readonly KEYS: KVNamespace;
    readonly TEST_ADMIN_API_KEY: string;
    readonly TEST_ISSUER: string;
    readonly TEST_JWKS: string;
    readonly TEST_KEY_VECTORS: string;
    readonly TEST_PRIVATE_JWK: string;
  }
}
