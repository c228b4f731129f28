/** On Windows no process becomes another program: what Linux does by execve is done by Node itself. */
export { becomeGuard } from "./run-guard.ts";

/** The caller stays a Node.js process. */
export function becomePump(): never {
  throw new Error("only Linux has the pump");
}

export function enterDelegatedScope(): void {} // the job tier needs no scope
