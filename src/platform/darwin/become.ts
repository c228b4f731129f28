/** On macOS `holdfast run` stays, since only a process that looks can hold a chain. */
export { becomeGuard } from "./run-guard.ts";

/** The caller stays a Node.js process. */
export function becomePump(): never {
  throw new Error("only Linux has the pump");
}

export function enterDelegatedScope(): void {} // the chain tier needs no scope
