/** What a gateway asks, passed on to this node's keeper; the keeper checks it again, and holds the node's own rules. */
import { asHoldfastError, HoldfastError } from "../../errors.ts";
import type { Outcome, OutputEnd, OutputStream, OutputView } from "../../keeper/protocol/background.ts";
import type { KeeperLink } from "../../keeper/protocol/link.ts";
import type { RunView } from "../../keeper/protocol/messages.ts";
import {
  frameBytesMax,
  type NodeAsk,
  type NodeRequestName,
  type NodeRequests,
  type NodeWord,
} from "../protocol/words.ts";
import type { KnownRuns } from "./known-runs.ts";
import type { Wire } from "./wire.ts";

/** Asks without an answer at one time; long waits are among them. */
const openMax = 20_000;

export interface AsksParts {
  link: Pick<KeeperLink, "ask">;
  runs: KnownRuns;
  /** Throws for a start that is not to be. */
  mayStart: (request: string) => void;
  onStarted: (spec: NodeRequests["exec.start"]["params"], run: RunView) => void;
  onRefused: (spec: NodeRequests["exec.start"]["params"], error: HoldfastError) => void;
  /** A piece of output is on its way to the gateway, which asked for it `from` there on. */
  onRead: (request: string, stream: OutputStream, from: number, piece: OutputEnd & { run: RunView }) => void;
}

type Answers = { [N in NodeRequestName]: (params: NodeRequests[N]["params"]) => Promise<NodeRequests[N]["result"]> };

export class Asks {
  readonly #parts: AsksParts;
  readonly #answers: Answers;
  #open = 0;

  constructor(parts: AsksParts) {
    this.#parts = parts;
    this.#answers = this.#makeAnswers();
  }

  /** Never rejects. An answer is for the connection on which it was asked: on another one it is asked again. */
  async answer(ask: NodeAsk, wire: Wire): Promise<void> {
    const { id, name, params } = ask;
    if (this.#open >= openMax)
      return wire.send({ type: "refusal", id, code: "gateway_busy", message: `${openMax} asks are open on this node` });
    this.#open += 1;
    try {
      const answer = this.#answers[name] as (asked: unknown) => Promise<unknown>;
      const result = await answer(params);
      const frame = JSON.stringify({ type: "reply", id, result } satisfies NodeWord);
      if (Buffer.byteLength(frame) > frameBytesMax)
        throw new HoldfastError("run_limit", `the answer to ${name} is too large for one frame`);
      wire.sendFrame(frame);
      this.#answered(ask, result);
    } catch (thrown) {
      const error = asHoldfastError(thrown);
      if (ask.name === "exec.start") this.#parts.onRefused(ask.params, error);
      wire.send({ type: "refusal", id, code: error.code, message: error.message.slice(0, 8192) });
    } finally {
      this.#open -= 1;
    }
  }

  /** After the answer has gone: nobody waits for this. */
  #answered(ask: NodeAsk, result: unknown): void {
    const { onRead, onStarted } = this.#parts;
    if (ask.name === "exec.start") onStarted(ask.params, result as RunView);
    if (ask.name === "exec.read") onRead(ask.params.run, ask.params.stream, ask.params.offset, result as OutputView);
    if (ask.name !== "exec.outcome") return;
    const { run, ...streams } = result as Outcome;
    for (const stream of ["stdout", "stderr"] as const) onRead(ask.params.run, stream, 0, { ...streams[stream], run });
  }

  #makeAnswers(): Answers {
    const { link, runs } = this.#parts;
    const at = <P extends { run: string }>(params: P): P => ({ ...params, run: runs.idOf(params.run) });
    const told = (run: RunView): RunView => runs.told(run)?.run ?? run;
    return {
      "exec.start": (params) => this.#start(params),
      "exec.read": async (params) => {
        const view = await link.ask("exec.read", at(params));
        return { ...view, run: told(view.run) };
      },
      "exec.write": (params) => link.ask("exec.write", at(params)),
      "exec.resize": (params) => link.ask("exec.resize", at(params)),
      "exec.signal": (params) => link.ask("exec.signal", at(params)),
      "exec.end": async (params) => told(await link.ask("exec.end", at(params))),
      "exec.wait": async (params) => told(await link.ask("exec.wait", at(params))),
      "exec.outcome": async (params) => {
        const { run, ...streams } = await link.ask("exec.outcome", at(params));
        // Both streams fit into a frame beside a run whose command is not a long one; the gateway has it on record.
        return { ...streams, run: { ...told(run), command: run.command.slice(0, 256) } };
      },
      "run.list": async (params) => {
        const all = await link.ask("run.list", params);
        return fitted(all.flatMap((run) => runs.told(run)?.run ?? []));
      },
      "lease.renew": () => link.ask("exec.renew", {}),
    };
  }

  async #start(spec: NodeRequests["exec.start"]["params"]): Promise<RunView> {
    const request = spec.request ?? "";
    this.#parts.mayStart(request);
    // Here it is local; and how long it may live without its gateway is the lease's to say, not this front's end.
    const ours = { host: "local", onFrontLoss: "keep", keepMs: null } as const;
    const run = await this.#parts.link.ask("exec.start", { ...spec, ...ours }).catch((thrown: unknown) => {
      throw isStopping(thrown) ? new HoldfastError("node_absent", "the node is stopping; nothing was started") : thrown;
    });
    this.#parts.runs.learn(request, run.id);
    return this.#parts.runs.told(run)?.run ?? run;
  }
}

/** A list that fits into one frame: where it does not, first the processes are left out of it, then the longest ended runs. */
function fitted(runs: RunView[]): RunView[] {
  const bound = frameBytesMax - 64 * 1024;
  const bytes = (list: RunView[]) => Buffer.byteLength(JSON.stringify(list));
  if (bytes(runs) <= bound) return runs;
  const bare = runs.map((run) => ({ ...run, processes: [], command: run.command.slice(0, 256) }));
  let size = 2;
  return bare.filter((run) => {
    size += bytes([run]);
    return size <= bound;
  });
}

/** The keeper's word for its own end. One that it started before, under the same request, it would have answered with. */
function isStopping(thrown: unknown): boolean {
  return thrown instanceof HoldfastError && thrown.code === "gateway_busy";
}
