/** A keeper for the run service that is two: this machine's own, and the nodes. By the host of a start, and by a run's name. */
import type { BackgroundSpec } from "../../keeper/protocol/background.ts";
import type { KeeperLink } from "../../keeper/protocol/link.ts";
import type { FrontRequestName, FrontRequests, RunView } from "../../keeper/protocol/messages.ts";
import { mustBeGone } from "../../keeper/protocol/run-errors.ts";
import { Lanes } from "../../lanes.ts";
import { isNodeRun } from "./node-runs.ts";
import type { RunsOnNodes } from "./runs-on-nodes.ts";

type Params<N extends FrontRequestName> = FrontRequests[N]["params"];
type Result<N extends FrontRequestName> = FrontRequests[N]["result"];
type Answers = { [N in FrontRequestName]?: (params: Params<N>) => Promise<Result<N>> };

export class Router implements Pick<KeeperLink, "ask"> {
  readonly #local: Pick<KeeperLink, "ask">;
  readonly #far: RunsOnNodes;
  readonly #lanes = new Lanes();
  readonly #answers: Answers;

  constructor(local: Pick<KeeperLink, "ask">, far: RunsOnNodes) {
    this.#local = local;
    this.#far = far;
    const byRun = <N extends FrontRequestName>(
      name: N,
      answer: (params: Params<N>) => Promise<Result<N>>,
    ): ((params: Params<N>) => Promise<Result<N>>) => {
      return async (params) => {
        const { run } = params as { run: string };
        if (!isNodeRun(run)) return local.ask(name, params);
        // Its output may be looked at: it is where its stderr is.
        if (name !== "exec.read") far.mustBeBackground(run);
        return answer(params);
      };
    };
    this.#answers = {
      "exec.start": (spec) => this.#start(spec),
      "exec.read": byRun("exec.read", (params) => far.read(params)),
      "exec.write": byRun("exec.write", (params) => far.write(params)),
      "exec.resize": byRun("exec.resize", (params) => far.resize(params)),
      "exec.signal": byRun("exec.signal", (params) => far.signal(params)),
      "exec.end": byRun("exec.end", (params) => far.end(params)),
      "exec.wait": byRun("exec.wait", (params) => far.wait(params)),
      "exec.outcome": byRun("exec.outcome", (params) => far.outcome(params)),
      "exec.remove": byRun("exec.remove", (params) => far.remove(params)),
      "exec.owners": async () => [...(await local.ask("exec.owners", {})), ...far.owners()],
      "run.list": async (params) => (await Promise.all([local.ask("run.list", params), far.list(params.all)])).flat(),
    };
  }

  ask<N extends FrontRequestName>(name: N, params: Params<N>): Promise<Result<N>> {
    const answer = this.#answers[name];
    return answer === undefined ? this.#local.ask(name, params) : answer(params);
  }

  #start(spec: BackgroundSpec): Promise<RunView> {
    const isHere = spec.host === "local" || spec.host.startsWith("ssh:");
    const launch = () => (isHere ? this.#local.ask("exec.start", spec) : this.#far.start(spec));
    const { sessionId, scopeKey } = spec;
    if (!spec.replaceExistingScope || scopeKey === null) return launch();
    const inScope = (run: RunView) =>
      run.state !== "exited" && run.sessionId === sessionId && run.scopeKey === scopeKey;
    // One lock for the key on all hosts: two starts under it never overlap. The keeper ends what runs here, or over ssh.
    return this.#lanes.pass(JSON.stringify([sessionId, scopeKey]), async () => {
      const elsewhere = isHere ? [] : (await this.#local.ask("run.list", { all: false })).filter(inScope);
      for (const { id } of [...elsewhere, ...this.#far.views().filter(inScope)]) await this.#replace(id);
      return launch();
    });
  }

  async #replace(run: string): Promise<void> {
    mustBeGone(await this.ask("exec.end", { run, reason: "scope-replaced", hurried: false }));
  }
}
