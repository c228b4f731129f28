/** The children started by this process; every other child is an orphan that it received as a subreaper. */
import type { ChildProcess } from "node:child_process";
import { systemClock } from "../../clock.ts";
import { becomeSubreaper, reap } from "./ffi.ts";
import { isAlive, type ProcessInfo } from "../types.ts";
import { childrenOf, readProcess } from "./processes.ts";

const started = new Set<number>();
let adopting = false;

/** Must be called in the same turn as `spawn`, before any other code can look at the children. */
export function registerChild(child: ChildProcess): void {
  const { pid } = child;
  if (pid === undefined) return; // the spawn failed: "error" follows
  started.add(pid);
  child.once("exit", () => started.delete(pid));
}

/** Live children that were reparented to this process. */
export function adoptedOrphans(): ProcessInfo[] {
  return strangers().filter(isAlive);
}

/** Pids of all children reparented to this process, including the dead. */
export function adoptedPids(): number[] {
  return childrenOf(process.pid).filter((pid) => !started.has(pid));
}

function strangers(): ProcessInfo[] {
  return adoptedPids()
    .map(readProcess)
    .filter((info) => info !== undefined);
}

/** Reaps adopted dead: libuv waits only for its own children. */
function reapAdopted(): void {
  for (const info of strangers()) if (info.state === "zombie") reap(info.pid);
}

/** Makes this process a subreaper that reaps its adopted dead as they die. Once per process. */
export function adoptOrphans(): void {
  if (adopting) return;
  adopting = true;
  becomeSubreaper();
  let scheduled = false;
  process.on("SIGCHLD", () => {
    if (scheduled) return;
    scheduled = true;
    // After libuv's own handling of the signal, once per burst.
    systemClock.soon(() => {
      scheduled = false;
      reapAdopted();
    });
  });
}
