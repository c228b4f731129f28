/** What this process can become, by execve: nothing of Node stays behind. */
export { becomeGuard } from "./linux/become-guard.ts";
export { becomePump } from "./linux/become-pump.ts";
export { enterDelegatedScope } from "./linux/delegate.ts";
