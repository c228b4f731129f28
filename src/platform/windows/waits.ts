/** Waits for the end of processes. */
import { systemClock } from "../../clock.ts";
import { windows, type Handle } from "./ffi.ts";

/** Any long interval: only that something is awaited matters. */
const aliveMs = 3_600_000;

/** A wait for a kernel object does not keep the event loop alive, so a sleep does until then. */
async function stayAlive(signal: AbortSignal): Promise<void> {
  while (!signal.aborted) await systemClock.sleep(aliveMs, signal).catch(() => {}); // it is over: the loop ends
}

/** Resolves with the exit code of a process, as unsigned 32 bits, and closes its handle. Keeps this process alive until then. */
export function exitCodeOf(process: Handle): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const over = new AbortController();
  windows().waitFor(process, () => {
    const code = Buffer.alloc(4);
    resolve(windows().GetExitCodeProcess(process, code) === 0 ? 1 : code.readUInt32LE(0));
    windows().CloseHandle(process);
    over.abort();
  });
  void stayAlive(over.signal); // never rejects
  return promise;
}
