/**
 * `contain()` starts a command whose whole tree can be ended and cannot outlive this process. Importing it starts
 * nothing.
 */
import type { Readable, Writable } from "node:stream";
import { systemClock } from "../clock.ts";
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
  /** End of stdin to SIGTERM, on Windows to Ctrl+Break, in milliseconds (default 2000). */
  stdinGraceMs?: number;
  /** SIGTERM to SIGKILL, in milliseconds (default 3000). None on Windows where Ctrl+Break cannot reach the command. */
  termGraceMs?: number;
  /** Ends the tree when it aborts. */
  signal?: AbortSignal | undefined;
}

/** A process of a contained tree. */
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

/**
 * How the command ended. Exit codes above 128 that name a signal are reported as that signal, since a shell stands
 * between.
 */
export type Exit = MainExit;

/** Bound of repeated attempts, in milliseconds. */
const againBoundMs = 2000;

/** Trees of this process not yet proven empty, oldest first. */
const living = new Set<Contained>();

export function containedTrees(): readonly Contained[] {
  return [...living];
}

export class Contained implements AsyncDisposable {
  readonly stdin: Writable | null;
  readonly stdout: Readable | null;
  readonly stderr: Readable | null;
  /** Resolves when the command has ended; its leftovers are then being ended. Never rejects. */
  readonly exited: Promise<Exit>;
  /** Resolves when no process is left. Rejects with `survivors` when the first attempt left some. */
  readonly empty: Promise<void>;
  readonly #container: Container;
  readonly #contained: Spawned;
  readonly #sequence: StopSequence;
  readonly #empty = Promise.withResolvers<void>();
  /** The attempt under way, or the successful one. */
  #attempt: Promise<void> | undefined;
  #sequenceIsOver = false;

  /** For contain() only. */
  constructor(container: Container, contained: Spawned, options: ContainOptions) {
    this.#container = container;
    this.#contained = contained;
    ({ stdin: this.stdin, stdout: this.stdout, stderr: this.stderr } = contained);
    this.exited = contained.exit;
    this.empty = this.#empty.promise;
    this.empty.catch(() => {}); // unobserved rejections must not crash the host; stop() reports the same
    this.stdin?.on("error", () => {}); // the command closed stdin or ended; `exited` reports it
    let mainEnded = false;
    const graces = { stdinGraceMs: options.stdinGraceMs ?? 2000, termGraceMs: options.termGraceMs ?? 3000 };
    const endStdin = () => void this.stdin?.end();
    const hasMainEnded = () => mainEnded;
    this.#sequence = new StopSequence({ container, graces, clock: systemClock, endStdin, hasMainEnded });
    living.add(this);
    void this.exited.then(() => {
      mainEnded = true;
      begin();
    });
    const begin = () => void this.stop().catch(() => {}); // reported by `empty`
    const onAbort = begin;
    options.signal?.addEventListener("abort", onAbort, { once: true });
    // The signal may outlive many trees.
    void this.empty.catch(() => {}).finally(() => options.signal?.removeEventListener("abort", onAbort));
    if (options.signal?.aborted === true) begin();
  }

  /** Pid of the command, or of the helper in front of it until it is born; for display, since `stop` ends the tree. */
  get pid(): number {
    return this.#contained.mainPid() ?? this.#contained.ref.pid;
  }

  /** Live processes of the tree. */
  members(): Member[] {
    return this.#container.list().map(viewMember);
  }

  /**
   * Ends the tree: end of stdin, SIGTERM, SIGKILL, with the graces between; on Windows end of stdin, Ctrl+Break where it can
   * reach the command, TerminateJobObject. Resolves on proof; rejects with `survivors`. A second call joins the attempt under
   * way; after a failed one it kills and looks again.
   */
  stop(): Promise<void> {
    this.#attempt ??= this.#end();
    return this.#attempt;
  }

  /** Like `stop`, without (the rest of) the graces. */
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
      const message = `could not end pid ${who}; it may belong to another user or be stuck in the kernel`;
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

/** One id per host process, which marks its trees. */
const hostId = systemRandom.bytes(8).toString("hex");

/**
 * Starts a command in its own fence and resolves when it runs. Rejects with `spawn_failed` (missing directory) or
 * `unsupported_platform`. A missing command exits with 127, as in a shell.
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
