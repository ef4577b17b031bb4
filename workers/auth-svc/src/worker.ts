import { createWorker } from "../../shared/src/worker";
import type { Env } from "./env.gen";
import { guestToken } from "./guest";
import { jwks } from "./jwks";
import { userToken } from "./user";

export default createWorker<"auth-svc", Env>("auth-svc", {
  "GET /.well-known/jwks.json": jwks,
  "POST /auth/guest": guestToken,
  "POST /auth/token": userToken,
});
