/** Names of signals, the same on every Unix. */
import type { PoliteRequest } from "../types.ts";

const names = { interrupt: "SIGINT", terminate: "SIGTERM", hangup: "SIGHUP", kill: "SIGKILL" } as const;

export function signalOf(request: PoliteRequest | "kill"): NodeJS.Signals {
  return names[request];
}
