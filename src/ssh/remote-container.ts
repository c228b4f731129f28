/** A run on a remote host, as the keeper sees it: the ssh with its streams, in a local container, and the remote tree. */
import type { Clock } from "../clock.ts";
import type { Container, PoliteRequest, ProcessInfo, Spawned, SpawnRequest } from "../platform/types.ts";
import { HoldfastError } from "../errors.ts";
import type { Destination, RemoteCommand } from "./destination.ts";
import { awaitGuard, noiseBytesMax } from "./guard-message.ts";
import type { RemoteHosts } from "./hosts.ts";
import { explain } from "./ssh-errors.ts";
import type { SshConnection } from "./link.ts";
import { bootstrap } from "./remote/script.ts";

/** Interval between checks on a remote run that could not be ended at once. */
const againMs = 5000;

interface RemoteRequest {
  destination: Destination;
  command: RemoteCommand;
  /** Set on the remote host, in addition to the login's environment. */
  env: Record<string, string>;
  cwd: string | undefined;
  termGraceMs: number;
}

export interface RemoteContainerParts {
  clock: Clock;
  /** Container of the local ssh. */
  local: Container;
  hosts: RemoteHosts;
  request: RemoteRequest;
  /** Environment of the local ssh. */
  sshEnv: Record<string, string>;
}

export class RemoteContainer implements Container {
  readonly runId: string;
  readonly name: string;
  readonly #parts: RemoteContainerParts;
  #link: SshConnection | undefined;
  #ending: Promise<ProcessInfo[]> | undefined;
  #owed: Promise<void> | undefined;
  #isReleased = false;

  constructor(parts: RemoteContainerParts) {
    this.#parts = parts;
    this.runId = parts.local.runId;
    this.name = parts.local.name;
  }

  /** Resolves when the remote guard is ready; the command starts only then, so that every end finds it. */
  async spawn({ stdin }: Pick<SpawnRequest, "stdin">): Promise<Spawned> {
    const { hosts, local, request, sshEnv } = this.#parts;
    const link = await hosts.acquire(request.destination);
    this.#link = link;
    const { env, cwd, command, termGraceMs } = request;
    const mark = `${link.mark}${this.runId}`;
    const script = hosts.scripts.run({ mark, graceMs: termGraceMs, ...link.remote, env, cwd, command });
    const process = await local.spawn({ command: "ssh", args: link.words(bootstrap(script)), env: sshEnv });
    process.stdin?.on("error", () => {}); // its exit is handled
    process.stdin?.write(script);
    await this.#expectGuard(process, link);
    process.stdin?.write("go\n");
    if (stdin === "ignore") process.stdin?.end();
    // An unexpected exit may be the first sign of a lost connection; only the remote guardian can tell.
    const exit = process.exit.then(async (ended) => {
      await link.end(this.runId, againMs);
      return ended;
    });
    return { ...process, exit };
  }

  async #expectGuard(process: Spawned, link: SshConnection): Promise<void> {
    const { outcome, said } = await awaitGuard(process, this.#parts.clock, link.patienceMs);
    if (outcome === "stands") return;
    const words = {
      silent: `no guard stands there after ${link.patienceMs} ms`,
      noisy: `it said ${noiseBytesMax} bytes before the guard stood`,
      ended: "ssh ended before the guard stood",
    }[outcome];
    throw new HoldfastError("host_unreachable", link.why ?? explain(link.destination, said, words));
  }

  /** The local processes: remote pids belong to another machine. */
  list(): ProcessInfo[] {
    return this.#parts.local.list();
  }

  ask(request: PoliteRequest): boolean {
    const signals = { interrupt: ["SIGINT"], terminate: ["SIGTERM"], hangup: ["SIGHUP", "SIGCONT"] } as const;
    for (const signal of signals[request]) this.signal(signal);
    return this.#link !== undefined;
  }

  /** For the whole tree: only the remote guard knows the command's pid. */
  signal(signal: NodeJS.Signals): boolean {
    this.#link?.signal(this.runId, signal);
    return this.#link !== undefined;
  }

  looksEmpty(): boolean {
    return this.#parts.local.looksEmpty();
  }

  /** Resolves when the remote host is proven empty after an inconclusive `end`; undefined when `end` had the proof. */
  get owed(): Promise<void> | undefined {
    return this.#owed;
  }

  get silentSince(): number | null {
    return this.#link?.silentSince ?? null;
  }

  get lost(): boolean {
    return this.#link?.lost ?? false;
  }

  end(boundMs: number): Promise<ProcessInfo[]> {
    this.#ending ??= this.#end(boundMs).then((left) => {
      if (left.length > 0) this.#ending = undefined; // no proof yet: the next caller checks again
      return left;
    });
    return this.#ending;
  }

  async #end(boundMs: number): Promise<ProcessInfo[]> {
    const { hosts, local } = this.#parts;
    // `owed` has covered the remote host since the first call.
    if (this.#isReleased) return local.end(boundMs);
    const link = this.#link;
    const left = await link?.end(this.runId, boundMs);
    const here = await local.end(boundMs);
    if (link === undefined) return here;
    hosts.release(link);
    this.#isReleased = true;
    // Unknown or not empty: only a later remote check can prove it empty.
    if (left !== "") this.#owed = this.#prove(link);
    return here;
  }

  async #prove(link: SshConnection): Promise<void> {
    const { clock, hosts, request } = this.#parts;
    while (!link.lost) {
      if ((await link.end(this.runId, againMs)) === "") return;
      await new Promise<void>((resolve) => void clock.after(againMs, resolve));
    }
    await hosts.proof(request.destination);
  }
}
