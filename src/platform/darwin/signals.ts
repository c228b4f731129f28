/** Names of signals. */
import type { PoliteRequest } from "../types.ts";

const politeSignals = { interrupt: "SIGINT", terminate: "SIGTERM", hangup: "SIGHUP", kill: "SIGKILL" } as const;

export function signalOf(request: PoliteRequest | "kill"): NodeJS.Signals {
  return politeSignals[request];
}
