import { type Caller, encodeCaller } from "../caller";

/** The headers by which the gateway says who is calling. */
export function callerHeaders(caller: Partial<Caller>): Record<string, string> {
  return { "x-cog-caller": encodeCaller({ id: null, role: null, tenant: null, admin: false, ...caller }), "x-request-id": "test-request" };
}

export function user(id: string): Record<string, string> {
  return callerHeaders({ id, role: "user" });
}

export const guest = callerHeaders({ id: "guest:0b0e0f6e-8c9d-4d8e-9a55-0c4c4a0d6f11", role: "guest" });

/** The admin key, acting for somebody or nobody. */
export function admin(id: string | null = null): Record<string, string> {
  return callerHeaders({ id, admin: true });
}
