/** All runners of a gateway as one: by the host of a start, and by run id. Holds the lock of each scope key for all. */
import type { RunView } from "../protocol/run.ts";
import type { BackgroundSpec } from "../protocol/background.ts";
import { mustBeGone } from "../protocol/keeper/run-errors.ts";
import { runnerOver, type Runner, type RunnerOperation } from "../protocol/keeper/runner.ts";
import { KeyedMutex } from "../keyed-mutex.ts";
import { systemName } from "../platform/self/index.ts";

/** A runner and its own hosts. */
export interface HostRunner extends Runner {
  /** Whether it starts runs for that host. */
  serves(host: string): boolean;
  /** Node's name of that host's system. Throws `node_unknown`. */
  systemOf(host: string): string;
  /** Whether the run is one of its own, by id. */
  holds(run: string): boolean;
  /** Its `start` itself replaces runs under the scope key, atomically. */
  readonly replacesScopes: boolean;
  /** Its live runs, without a look at their processes. */
  live(): Promise<RunView[]>;
}

/** This machine's keeper: runs locally or over ssh. It serves every host without another runner. */
export function localRunner(ask: Parameters<typeof runnerOver>[0]): HostRunner {
  const runner = runnerOver(ask);
  const live = () => runner.list({ all: false });
  // An ssh host is one with a POSIX shell: its guard is a script.
  const systemOf = (host: string) => (host === "local" ? systemName : "linux");
  return { ...runner, serves: () => true, systemOf, holds: () => true, replacesScopes: true, live };
}

/** What a start with `replaceExistingScope` replaces. */
export interface ReplacedScope {
  /** Starts with the same key are serialised. */
  key: string;
  contains(run: RunView): boolean;
  /** Called before the next start under the key may look for runs to replace. */
  onStarted?(run: RunView, replaced: readonly string[]): void;
}

export class Runners implements Runner {
  readonly #kinds: readonly HostRunner[];
  readonly #mutex = new KeyedMutex();

  /** The first runner that serves the host or holds the run. */
  constructor(kinds: HostRunner[]) {
    this.#kinds = kinds;
  }

  /** Node's name of that host's system. Throws `node_unknown`. */
  systemOf(host: string): string {
    return this.#serving(host).systemOf(host);
  }

  /** With `scope`, replaces that; otherwise the runs under the spec's scope key in its session. */
  async start(spec: BackgroundSpec, scope?: ReplacedScope): Promise<RunView> {
    const runner = this.#serving(spec.host);
    const { sessionId, scopeKey } = spec;
    if (!spec.replaceExistingScope || scopeKey === null) return runner.start(spec);
    const contains = (run: RunView) => run.sessionId === sessionId && run.scopeKey === scopeKey;
    const replaced = scope ?? { key: JSON.stringify([sessionId, scopeKey]), contains };
    return this.#mutex.run(replaced.key, async () => {
      const leaves = (kind: HostRunner) => scope !== undefined || kind !== runner || !kind.replacesScopes;
      const live = (await Promise.all(this.#kinds.filter(leaves).map((kind) => kind.live()))).flat();
      const old = live.filter((run) => replaced.contains(run)).map(({ id }) => id);
      for (const run of old) mustBeGone(await this.end({ run, reason: "scope-replaced", hurried: false }));
      const started = await runner.start(scope === undefined ? spec : { ...spec, replaceExistingScope: false });
      scope?.onStarted?.(started, old);
      return started;
    });
  }

  readonly read = this.#byRun("read");
  readonly write = this.#byRun("write");
  readonly resize = this.#byRun("resize");
  readonly signal = this.#byRun("signal");
  readonly end = this.#byRun("end");
  readonly wait = this.#byRun("wait");
  readonly outcome = this.#byRun("outcome");
  readonly remove = this.#byRun("remove");

  async list(params: { all: boolean }): Promise<RunView[]> {
    return (await Promise.all(this.#kinds.map((kind) => kind.list(params)))).flat();
  }

  async owners(): Promise<{ run: string; sessionId: string }[]> {
    return (await Promise.all(this.#kinds.map((kind) => kind.owners({})))).flat();
  }

  #serving(host: string): HostRunner {
    return this.#kinds.find((kind) => kind.serves(host))!;
  }

  #byRun<O extends Exclude<RunnerOperation, "start" | "list" | "owners">>(operation: O): Runner[O] {
    const ask = async (params: { run: string }) => {
      const kind = this.#kinds.find((each) => each.holds(params.run))!;
      return kind[operation](params as never);
    };
    return ask as unknown as Runner[O];
  }
}
