import { createWorker } from "../../shared/src/worker";
import { withBooks } from "./books";
import type { Env } from "./env.gen";
import { guestToken } from "./guest";
import { introspect } from "./introspect";
import { jwks } from "./jwks";
import { refreshToken } from "./refresh";
import { revoke } from "./revoke";
import { changeTenant, listTenants } from "./tenants";
import { userToken } from "./user";

const service = createWorker<"auth-svc", Env>("auth-svc", {
  "GET /.well-known/jwks.json": jwks,
  "POST /auth/guest": guestToken,
  "POST /auth/introspect": introspect,
  "POST /auth/refresh": refreshToken,
  "POST /auth/revoke": revoke,
  "POST /auth/token": userToken,
  "GET /api/admin/tenants": listTenants,
  "POST /api/admin/tenants": changeTenant,
});

export default {
  ...service,
  /** What a call made and could not publish, for whatever reason, is published here. */
  async scheduled(_controller, env, ctx) {
    await withBooks(env, ctx, (books) => books.publish(env.KEYS, Math.floor(Date.now() / 1000), true));
  },
} satisfies ExportedHandler<Env>;
