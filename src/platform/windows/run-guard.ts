/**
 * `holdfast run` on Windows: this process stays, since none can become another program. The command is born in a job whose only
 * handle is here, so that it ends with this process, however that ends; the caller's end is heard by its handle.
 */
import { constants } from "node:os";
import { systemClock } from "../../clock.ts";
import { HoldfastError } from "../../errors.ts";
import { systemRandom } from "../../random.ts";
import type { MainExit, TreeLimits } from "../types.ts";
import { JobContainer } from "./container.ts";
import { windows, type Handle } from "./ffi.ts";
import { hasEnded, timesOf } from "./processes.ts";
import { breakGroup } from "./system.ts";

interface GuardRequest {
  /** Number of last arguments that form the command. */
  wordCount: number;
  /** From Ctrl+Break to the kill. */
  termGraceMs: number;
  /** Another process whose end ends the tree too. */
  killWith?: number | undefined;
  limits: TreeLimits;
}

/** SYNCHRONIZE and PROCESS_QUERY_LIMITED_INFORMATION. */
const mayWait = 0x10_0000 | 0x1000;
const limitLookMs = 200;
/** For the kernel to end what is killed. */
const killBoundMs = 10_000;

/** What Node makes of a console's events; a service manager's stop arrives as one of them, too. */
const signals = ["SIGINT", "SIGBREAK", "SIGHUP", "SIGTERM"] as const;

function callerIsGone(): HoldfastError {
  return new HoldfastError("gateway_lost", "the process that called is gone; nothing was started");
}

/** The caller, held by a handle. A later process with its number is younger than this one. */
function openCaller(): Handle {
  const system = windows();
  const caller = system.OpenProcess(mayWait, 0, process.ppid);
  if (caller === 0) throw callerIsGone();
  const [its, own] = [timesOf(caller), timesOf(system.GetCurrentProcess())];
  if (!hasEnded(caller) && its !== undefined && own !== undefined && its.created <= own.created) return caller;
  system.CloseHandle(caller);
  throw callerIsGone();
}

function openOther(pid: number): Handle {
  const other = windows().OpenProcess(mayWait, 0, pid);
  if (other !== 0) return other;
  throw new HoldfastError("usage", `run: --kill-with: there is no process ${pid}; nothing was started`);
}

class Guarded {
  readonly #container: JobContainer;
  readonly #pid: number;
  readonly #termGraceMs: number;
  /** Resolves when the command has ended, or is to be ended now. */
  readonly over = Promise.withResolvers<void>();
  #signal: NodeJS.Signals | undefined;

  constructor(container: JobContainer, pid: number, termGraceMs: number) {
    this.#container = container;
    this.#pid = pid;
    this.#termGraceMs = termGraceMs;
  }

  /** The first asks the tree, where it can hear, and leaves it the grace; the second ends it. */
  onSignal(signal: NodeJS.Signals): void {
    const isFirst = this.#signal === undefined;
    this.#signal ??= signal;
    const isHeard = isFirst && breakGroup(this.#pid);
    if (isHeard) systemClock.after(this.#termGraceMs, () => this.over.resolve());
    else this.over.resolve();
  }

  look(): void {
    const excess = this.#container.excess();
    if (excess === undefined) return;
    const what = excess.limit === "processesMax" ? "processes" : "bytes of memory";
    process.stderr.write(`holdfast run: limit exceeded: ${excess.allowed} ${what}; the tree is ended\n`);
    this.over.resolve();
  }

  /** The command's own code; a tree that was killed has that of the signal that asked for it. */
  codeOf({ code, signal }: MainExit): number {
    if (signal === null) return code ?? 1;
    return 128 + constants.signals[this.#signal ?? "SIGKILL"];
  }
}

/** Resolves with the exit code when nothing of the tree is left. Throws when something is missing, with nothing started. */
export async function becomeGuard({ wordCount, termGraceMs, killWith, limits }: GuardRequest): Promise<number> {
  const [command = "", ...args] = process.argv.slice(-wordCount);
  const watched = [openCaller(), ...(killWith === undefined ? [] : [openOther(killWith)])];
  const container = new JobContainer("run", `${process.pid.toString(36)}${systemRandom.bytes(6).toString("hex")}`);
  container.holdLimits(limits);
  const env = Object.fromEntries(Object.entries(process.env).map(([name, value]) => [name, value ?? ""]));
  const streams = { stdin: "inherit", stdout: "inherit", stderr: "inherit" } as const;
  const spawned = await container.spawn({ command, args, env, ...streams });
  const guarded = new Guarded(container, spawned.ref.pid, termGraceMs);
  const waits = watched.map((handle) => windows().waitFor(handle, () => guarded.over.resolve()));
  for (const signal of signals) process.on(signal, () => guarded.onSignal(signal));
  const looking = systemClock.every(limitLookMs, () => guarded.look());
  void spawned.exit.then(() => guarded.over.resolve());
  await guarded.over.promise;
  const left = await container.end(killBoundMs);
  looking.clear();
  for (const wait of waits) wait[Symbol.dispose]();
  for (const { pid } of left) process.stderr.write(`holdfast run: could not end pid ${pid}\n`);
  return left.length > 0 ? 1 : guarded.codeOf(await spawned.exit);
}
