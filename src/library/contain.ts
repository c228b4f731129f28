/**
 * `contain()`: start a command whose whole tree can be ended, and which cannot outlive this process. Works in any host,
 * without a gateway and without rights; importing it starts no process and no timer.
 */
import type { Readable, Writable } from "node:stream";
import { systemRandom } from "../random.ts";
import { platform, requirePlatform } from "../platform/index.ts";
import { ownEnvironment } from "../platform/self/index.ts";
import { StopSequence } from "../platform/stop-sequence.ts";
import { stateLetters, type Container, type MainExit, type ProcessInfo, type Spawned } from "../platform/types.ts";
import { HoldfastError } from "../errors.ts";

export interface ContainOptions {
  /** Working directory; this process's own by default. */
  cwd?: string | undefined;
  /** The whole environment of the command; this process's own by default. */
  env?: Record<string, string | undefined> | undefined;
  /** "pipe" (default), "inherit" or "ignore". */
  stdin?: "pipe" | "inherit" | "ignore";
  stdout?: "pipe" | "inherit" | "ignore";
  stderr?: "pipe" | "inherit" | "ignore";
  /** From the end of stdin to SIGTERM, in milliseconds (default 2000). */
  stdinGraceMs?: number;
  /** From SIGTERM to the kill, in milliseconds (default 3000). */
  termGraceMs?: number;
  /** Ends the tree when it aborts. */
  signal?: AbortSignal | undefined;
}

/** One process of a contained tree, as the kernel showed it. */
export interface Member {
  pid: number;
  ppid: number;
  /** R S D T … as in ps. */
  state: string;
  rssBytes: number;
  /** Milliseconds since the epoch. */
  startedAt: number;
  command: string;
}

/** How the command itself ended. A shell stands between: a code above 128 that names a signal is told as the signal. */
export type Exit = MainExit;

/** For each attempt after the first, in milliseconds. */
const againBoundMs = 2000;

/** Trees of this process that are not proven empty yet, oldest first. */
const living = new Set<Contained>();

export function containedTrees(): readonly Contained[] {
  return [...living];
}

export class Contained implements AsyncDisposable {
  /** Pid of the command itself. For people: what ends the tree is `stop`, not this number. */
  readonly pid: number;
  readonly stdin: Writable | null;
  readonly stdout: Readable | null;
  readonly stderr: Readable | null;
  /** Resolves when the command itself has ended; what it left behind is being ended then. Never rejects. */
  readonly exited: Promise<Exit>;
  /** Resolves when no process of the tree is left. Rejects with `survivors` when the first attempt could not end some. */
  readonly empty: Promise<void>;
  readonly #container: Container;
  readonly #sequence: StopSequence;
  readonly #empty = Promise.withResolvers<void>();
  /** The attempt to end the tree that is under way, or the one that left nothing. */
  #attempt: Promise<void> | undefined;
  #sequenceIsOver = false;

  /** For contain() only. */
  constructor(container: Container, contained: Spawned, options: ContainOptions) {
    this.#container = container;
    this.pid = contained.mainPid();
    ({ stdin: this.stdin, stdout: this.stdout, stderr: this.stderr } = contained);
    this.exited = contained.exit;
    this.empty = this.#empty.promise;
    this.empty.catch(() => {}); // hosts that do not ask must not crash; stop() tells the same
    this.stdin?.on("error", () => {}); // the command closed its stdin or ended; `exited` tells
    let mainEnded = false;
    const graces = { stdinGraceMs: options.stdinGraceMs ?? 2000, termGraceMs: options.termGraceMs ?? 3000 };
    this.#sequence = new StopSequence(
      container,
      graces,
      () => this.stdin?.end(),
      () => mainEnded,
    );
    living.add(this);
    void this.exited.then(() => {
      mainEnded = true;
      begin();
    });
    const begin = () => void this.stop().catch(() => {}); // `empty` carries the outcome
    const onAbort = begin;
    options.signal?.addEventListener("abort", onAbort, { once: true });
    // A signal may outlive many trees.
    void this.empty.catch(() => {}).finally(() => options.signal?.removeEventListener("abort", onAbort));
    if (options.signal?.aborted === true) begin();
  }

  /** Live processes of the tree now, asked of the kernel. */
  members(): Member[] {
    return this.#container.list().map(viewMember);
  }

  /**
   * Ends the tree: end of stdin, SIGTERM, kill, each after its grace. Resolves on proof that nothing is left; rejects with
   * `survivors` when something could not be ended. Asked again it joins the attempt under way, and shortens no grace; after
   * an attempt that left something it kills and looks again.
   */
  stop(): Promise<void> {
    this.#attempt ??= this.#end();
    return this.#attempt;
  }

  /** Ends the tree without the graces, or without what is left of them. Otherwise like `stop`. */
  kill(): Promise<void> {
    this.#sequence.hurry();
    return this.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #end(): Promise<void> {
    const left = await (this.#sequenceIsOver ? this.#container.end(againBoundMs) : this.#sequence.run());
    this.#sequenceIsOver = true;
    if (left.length > 0) {
      this.#attempt = undefined;
      const who = left.map(({ pid, state }) => `${pid} (state ${stateLetters[state]})`).join(", ");
      const message = `could not end pid ${who}; it may belong to another user or hang in the kernel`;
      const error = new HoldfastError("survivors", message);
      this.#empty.reject(error);
      throw error;
    }
    await this.exited;
    living.delete(this);
    this.#empty.resolve();
  }
}

function viewMember(info: ProcessInfo): Member {
  const { pid, ppid, state, rssBytes } = info;
  const { command, startedAt } = platform.processes;
  return { pid, ppid, state: stateLetters[state], rssBytes, startedAt: startedAt(info), command: command(pid) };
}

/** One id per host process: the marker by which its trees are known. */
const hostId = systemRandom.bytes(8).toString("hex");

/**
 * Starts a command in a fence of its own and resolves when it runs. Rejects with `spawn_failed` when the directory or the
 * shell is missing, and with `unsupported_platform` where there is no fence. A command that is not found is no rejection:
 * it exits with 127, as in a shell.
 */
export async function contain(
  command: string,
  args: readonly string[] = [],
  options: ContainOptions = {},
): Promise<Contained> {
  requirePlatform();
  options.signal?.throwIfAborted();
  const env = options.env === undefined ? ownEnvironment() : defined(options.env);
  const container = platform.contain(hostId, `l${systemRandom.bytes(6).toString("hex")}`);
  const { cwd, stdin = "pipe", stdout = "pipe", stderr = "pipe" } = options;
  const contained = await container.spawn({ command, args, cwd, env, stdin, stdout, stderr });
  return new Contained(container, contained, options);
}

function defined(variables: Record<string, string | undefined>): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(variables)) if (value !== undefined) kept[name] = value;
  return kept;
}
