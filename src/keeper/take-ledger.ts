/** Opens the ledger for the keeper's life, or reports the gateway that holds it. */
import { requestMemoryMs } from "../protocol/background.ts";
import { isAlive, type Platform } from "../platform/types.ts";
import { HoldfastError } from "../errors.ts";
import { Ledger } from "./ledger.ts";
import type { KeeperSources } from "./own-process.ts";
import { readKeeperRecord, type KeeperRecord, type StatePaths } from "./state-directory.ts";

/** A killed keeper holds its lock until its last thread is gone; time to wait for that, in milliseconds. */
const dyingMsMax = 2000;
const lookEveryMs = 20;

/** `leaseMaxMs`: of a repeatable start. Throws `state_locked` with the other gateway's pid and address, or `state_unusable`. */
export function takeLedger(
  paths: StatePaths,
  leaseMaxMs: number,
  { clock, platform, openDatabase }: Pick<KeeperSources, "clock" | "platform" | "openDatabase">,
): Ledger {
  const deadline = clock.monotonic() + dyingMsMax;
  for (;;) {
    try {
      return new Ledger(paths.ledger, clock, requestMemoryMs + leaseMaxMs, openDatabase);
    } catch (thrown) {
      if (!(thrown instanceof HoldfastError) || thrown.code !== "state_locked") throw thrown;
      const other = readKeeperRecord(paths);
      if (other === undefined || runs(other, platform) || clock.monotonic() >= deadline)
        throw locked(paths, other, thrown);
    }
    // Block: this process must do nothing else before it has the ledger.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, lookEveryMs);
  }
}

/** False as soon as it was killed, even while the kernel is still ending it. */
function runs({ pid, startTime }: KeeperRecord, platform: Platform): boolean {
  const info = platform.processes.read(pid);
  return isAlive(info) && info.startTime === startTime && info.state !== "headless";
}

function locked(paths: StatePaths, other: KeeperRecord | undefined, cause: HoldfastError): HoldfastError {
  const who = other === undefined ? "" : ` (pid ${other.pid}, ${other.url})`;
  const what = typeof other?.node === "string" ? "a node" : "another gateway";
  const message = `${what} runs on the state directory ${paths.root}${who}; stop it with \`holdfast stop --state ${paths.root}\`, or choose another directory with --state DIR`;
  return new HoldfastError("state_locked", message, { cause });
}
