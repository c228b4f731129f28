/**
 * Requests to a keeper from other programs of its user: Windows has no signals, so each is an event object under a name of this
 * exact process. It goes with the process, and only its user may set it.
 */
import type { ProcessRef } from "../types.ts";
import { failure, windows, type Handle } from "./ffi.ts";
import { identify } from "./processes.ts";

/** The signals by which a keeper is stopped, made to reload, and restarted. */
const conveyed: readonly NodeJS.Signals[] = ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR2"];
/** EVENT_MODIFY_STATE. */
const maySet = 0x2;

/** In all sessions of the machine, since a person may stop over ssh what was started on the desktop. */
function nameOf({ pid, startTime }: Pick<ProcessRef, "pid" | "startTime">, signal: NodeJS.Signals): string {
  return `Global\\holdfast-${pid}-${startTime}-${signal}`;
}

/** False: the process does not listen for it, or is another user's. */
export function requestSignal(ref: Pick<ProcessRef, "pid" | "startTime">, signal: NodeJS.Signals): boolean {
  if (!conveyed.includes(signal)) return false;
  const system = windows();
  const event = system.OpenEventW(maySet, 0, nameOf(ref, signal));
  if (event === 0) return false;
  try {
    return system.SetEvent(event) !== 0;
  } finally {
    system.CloseHandle(event);
  }
}

/** From now on requests arrive as the signals' events of `process`, until the process ends. */
export function hearRequests(): void {
  const self = identify(process.pid);
  if (self === undefined) throw new Error("this process cannot see itself");
  for (const signal of conveyed) {
    // It resets itself with each wait that ends.
    const event = windows().CreateEventW(null, 0, 0, nameOf(self, signal));
    if (event === 0) throw failure("CreateEventW");
    hear(event, signal);
  }
}

function hear(event: Handle, signal: NodeJS.Signals): void {
  windows().waitFor(event, () => {
    hear(event, signal);
    process.emit(signal, signal);
  });
}
