/** Programs that this process can become on Linux. */
export { becomeGuard } from "./become-guard.ts";
export { becomePump } from "./become-pump.ts";
export { enterDelegatedScope } from "./delegate.ts";
