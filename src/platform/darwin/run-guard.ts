/**
 * `holdfast run` on macOS: this process stays, with the chain of its command, and watches its caller. Should it be killed, a
 * guardian ends what carries the marker.
 */
import { constants } from "node:os";
import type { Timer } from "../../clock.ts";
import { HoldfastError } from "../../errors.ts";
import { untilTrue } from "../wait.ts";
import type { MainExit, ProcessRef, SpawnRequest, TreeLimits } from "../types.ts";
import { ChainContainer } from "./container.ts";
import type { Darwin } from "./darwin.ts";
import { areReadable } from "./self.ts";
import { darwin as realDarwin } from "./system.ts";

interface GuardRequest {
  /** Number of last arguments that form the command. */
  wordCount: number;
  /** From SIGTERM to the kill. */
  termGraceMs: number;
  /** Another process whose end ends the tree too. */
  killWith?: number | undefined;
  limits: TreeLimits;
}

/** Between two looks at the caller and at the limits. */
const lookMs = 200;
/** For the kernel to end what is killed. */
const killBoundMs = 10_000;

/** Passed on to the tree, as its session is another one than the terminal's. */
const signals = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const;

interface RunGuardOptions {
  readonly darwin: Darwin;
  readonly termGraceMs: number;
  readonly limits: TreeLimits;
  /** Whether whoever must not be outlived is gone. */
  readonly isAbandoned: () => boolean;
  /** For people. */
  readonly say: (line: string) => void;
}

export class RunGuard {
  readonly #options: RunGuardOptions;
  readonly #container: ChainContainer;
  /** Resolves when the command has ended, or its tree is to be ended now. */
  readonly #over = Promise.withResolvers<void>();
  #signal: NodeJS.Signals | undefined;
  #grace: Timer | undefined;

  constructor(options: RunGuardOptions) {
    this.#options = options;
    const runId = options.darwin.system.random.bytes(12).toString("hex");
    this.#container = new ChainContainer({ darwin: options.darwin, ownerId: "run", runId, isGuarded: true });
  }

  /** Resolves with the exit code when nothing of the tree is left. */
  async run(request: SpawnRequest): Promise<number> {
    const { darwin, termGraceMs, say } = this.#options;
    const spawned = await this.#container.spawn(request);
    const looking = darwin.clock.every(lookMs, () => this.#look());
    void spawned.exit.then(() => this.#over.resolve()); // never rejects
    await this.#over.promise;
    looking.clear();
    // What the command leaves behind may end in peace, unless all was asked before.
    if (this.#signal === undefined && this.#container.ask("terminate"))
      await untilTrue(() => this.#container.looksEmpty(), termGraceMs, darwin.clock);
    const left = await this.#container.end(killBoundMs);
    this.#grace?.clear();
    for (const { pid } of left) say(`could not end pid ${pid}`);
    return left.length > 0 ? 1 : this.#codeOf(await spawned.exit);
  }

  /** The first is passed on and leaves the tree its grace; the second ends it. */
  onSignal(signal: NodeJS.Signals): void {
    const isFirst = this.#signal === undefined;
    this.#signal ??= signal;
    if (isFirst && this.#container.signal(signal, "all"))
      this.#grace = this.#options.darwin.clock.after(this.#options.termGraceMs, () => this.#over.resolve());
    else this.#over.resolve();
  }

  #look(): void {
    const { isAbandoned, limits, say } = this.#options;
    if (this.#signal === undefined && isAbandoned()) return this.onSignal("SIGTERM");
    const { processesMax = Infinity, memoryBytesMax = Infinity } = limits;
    if (processesMax === Infinity && memoryBytesMax === Infinity) return;
    const members = this.#container.list();
    const bytes = members.reduce((sum, { rssBytes }) => sum + rssBytes, 0);
    if (members.length <= processesMax && bytes <= memoryBytesMax) return;
    say(`limit exceeded: ${members.length} processes, ${Math.ceil(bytes / 1024)} KiB; the tree is ended`);
    this.#signal ??= "SIGKILL";
    this.#over.resolve();
  }

  /** The command's own code; a shell's for a signal. */
  #codeOf({ code, signal }: MainExit): number {
    return signal === null ? (code ?? 1) : 128 + constants.signals[signal];
  }
}

/** Ends this process with the exit code when nothing is left. Throws when something is missing, with nothing started. */
export async function becomeGuard({ wordCount, termGraceMs, killWith, limits }: GuardRequest): Promise<never> {
  const darwin = realDarwin;
  const words = process.argv.slice(-wordCount);
  if (!areReadable(words))
    throw new HoldfastError("usage", "run: the command holds bytes that are not UTF-8 text: put it into a script");
  const caller = process.ppid;
  if (isOrphan(darwin, process.pid) || darwin.processes.identify(caller) === undefined)
    throw new HoldfastError("gateway_lost", "the process that called is gone; nothing was started");
  const other = killWith === undefined ? undefined : identifyOther(darwin, killWith);
  const [command = "", ...args] = words;
  const guard = new RunGuard({
    darwin,
    termGraceMs,
    limits,
    isAbandoned: () => process.ppid !== caller || (other !== undefined && !darwin.processes.isSameAlive(other)),
    say: (line) => void process.stderr.write(`holdfast run: ${line}\n`),
  });
  for (const signal of signals) process.on(signal, () => guard.onSignal(signal));
  const env = Object.fromEntries(Object.entries(process.env).map(([name, value]) => [name, value ?? ""]));
  const code = await guard.run({ command, args, env, stdin: "inherit", stdout: "inherit", stderr: "inherit" });
  // What could not be ended is still looked at, which would keep this process; its guardian tries again.
  process.exit(code);
}

/** Whether launchd has this process from a caller that is gone, instead of having started it. */
export function isOrphan({ xnu }: Pick<Darwin, "xnu">, pid: number): boolean {
  const own = xnu.process(pid);
  return own?.ppid === 1 && own.parentUniqueId !== xnu.process(1)?.uniqueId;
}

function identifyOther(darwin: Darwin, pid: number): ProcessRef {
  const found = darwin.processes.identify(pid);
  if (found !== undefined) return found;
  throw new HoldfastError("usage", `run: --kill-with: there is no process ${pid}; nothing was started`);
}
