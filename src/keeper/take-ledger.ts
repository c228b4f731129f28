/** Opens the ledger for the keeper's life, or says which gateway has it already. */
import type { Clock } from "../clock.ts";
import { platform } from "../platform/index.ts";
import { isAlive } from "../platform/types.ts";
import { HoldfastError } from "../errors.ts";
import { Ledger } from "./ledger.ts";
import { requestMemoryMs } from "../protocol/keeper/background.ts";
import { readKeeperRecord, type KeeperRecord, type StatePaths } from "./state-directory.ts";

/** A keeper that was killed has its lock until the last of its threads is gone; so long that is waited for, in milliseconds. */
const dyingMsMax = 2000;
const lookEveryMs = 20;

/** `leaseMaxMs`: of a start that may be asked again. Throws `state_locked` with the other gateway's pid and address, or `state_unusable`. */
export function takeLedger(paths: StatePaths, leaseMaxMs: number, clock: Clock): Ledger {
  const deadline = clock.monotonic() + dyingMsMax;
  for (;;) {
    try {
      return new Ledger(paths.ledger, clock, requestMemoryMs + leaseMaxMs);
    } catch (thrown) {
      if (!(thrown instanceof HoldfastError) || thrown.code !== "state_locked") throw thrown;
      const other = readKeeperRecord(paths);
      if (other === undefined || runs(other) || clock.monotonic() >= deadline) throw locked(paths, other, thrown);
    }
    // Nothing else is to happen in this process before the ledger is taken.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, lookEveryMs);
  }
}

/** False from the moment on at which it was killed, also while the kernel still takes it down. */
function runs({ pid, startTime }: KeeperRecord): boolean {
  const info = platform.processes.read(pid);
  return isAlive(info) && info.startTime === startTime && info.state !== "headless";
}

function locked(paths: StatePaths, other: KeeperRecord | undefined, cause: HoldfastError): HoldfastError {
  const who = other === undefined ? "" : ` (pid ${other.pid}, ${other.url})`;
  const what = typeof other?.node === "string" ? "a node" : "another gateway";
  const message = `${what} runs on the state directory ${paths.root}${who}; stop it with \`holdfast stop --state ${paths.root}\`, or choose another directory with --state DIR`;
  return new HoldfastError("state_locked", message, { cause });
}
