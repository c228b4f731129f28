/**
 * One keeper life on Windows. Its guardian is the kernel: the keeper is in a job that ends every member when its last handle is
 * closed, and that handle is the keeper's.
 */
import { HoldfastError } from "../../errors.ts";
import { runIdPrefix } from "../marker.ts";
import { endStrays, sweepOwner } from "../sweep.ts";
import type { Container, Epoch, HelperExit, OpenOptions, Opened, Swept, Watchdog } from "../types.ts";
import { JobContainer } from "./container.ts";
import { windows } from "./ffi.ts";
import { Job } from "./job.ts";
import { watchLauncher } from "./launcher.ts";
import { hearRequests } from "./requests.ts";
import { markerScans, system } from "./system.ts";

/** Never closed: with it this process would end. It ends with the process, and so does everything started by it. */
let ownJob: Job | undefined;

function enterOwnJob(): void {
  if (ownJob !== undefined) return;
  const job = new Job();
  try {
    job.assign(windows().GetCurrentProcess());
    ownJob = job;
    hearRequests();
    watchLauncher(() => process.emit("SIGTERM", "SIGTERM"));
  } catch (cause) {
    job[Symbol.dispose]();
    const message = `this process cannot enter a job of its own (${String(cause)}): it needs Windows 10 or newer`;
    throw new HoldfastError("unsupported_platform", message, { cause });
  }
}

class JobEpoch implements Epoch {
  readonly tier = "job";
  readonly proof = "kernel";
  readonly #ownerId: string;
  readonly #prefix: string;

  constructor(ownerId: string, epoch: number) {
    this.#ownerId = ownerId;
    this.#prefix = runIdPrefix(epoch);
  }

  create(runId: string): Container {
    return new JobContainer(this.#ownerId, runId);
  }

  watchdog(): Watchdog {
    return watchdog();
  }

  sweepEarlier(boundMs: number): Promise<Swept> {
    return sweepOwner(system, this.#ownerId, (runId) => runId.startsWith(this.#prefix), boundMs);
  }

  endStrays(isHeld: (runId: string) => boolean, boundMs: number): Promise<Swept> {
    const isStray = (runId: string) => runId.startsWith(this.#prefix) && !isHeld(runId);
    return endStrays(system, () => markerScans.soon(this.#ownerId), isStray, boundMs);
  }

  close(): void {} // jobs of ended runs are closed, and the process's own ends with it
}

/** The kernel is always on watch. It has no process of its own, so the keeper's stands for it. */
function watchdog(): Watchdog {
  const { promise: exit, resolve } = Promise.withResolvers<HelperExit>();
  let isRunning = true;
  const end = () => {
    isRunning = false;
    resolve({ code: 0, signal: null, refused: null });
  };
  return {
    pid: process.pid,
    stdout: null,
    stderr: null,
    exit,
    get isRunning() {
      return isRunning;
    },
    signal: end,
    ready: Promise.resolve(),
    guard: () => {}, // a front is a member of the job
    dismiss: end,
  };
}

export function open(ownerId: string, epoch: number, { only }: OpenOptions): Opened {
  if (only !== undefined && only !== "job")
    throw new HoldfastError("unsupported_platform", `there is no ${only} tier on Windows`);
  enterOwnJob();
  return { epoch: new JobEpoch(ownerId, epoch), refused: [] };
}
