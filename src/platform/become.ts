/** Programs that this process can become by execve, leaving nothing of Node behind. */
export { becomeGuard } from "./linux/become-guard.ts";
export { becomePump } from "./linux/become-pump.ts";
export { enterDelegatedScope } from "./linux/delegate.ts";
