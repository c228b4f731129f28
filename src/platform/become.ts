/** Programs that this process can become by execve, leaving nothing of Node behind. */
import { backend } from "./backend.ts";

export { requirePlatform } from "./backend.ts";
export const { becomeGuard, becomePump, enterDelegatedScope } = backend("become");
