import type { Env } from "./env.gen";
import { gateway } from "./gateway";

export default { fetch: gateway } satisfies ExportedHandler<Env>;
