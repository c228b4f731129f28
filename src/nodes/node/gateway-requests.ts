/** What a gateway asks, passed on to this node's keeper; the keeper checks it again, and holds the node's own rules. */
import { asHoldfastError, HoldfastError } from "../../errors.ts";
import type { OutputEnd, OutputStream } from "../../protocol/keeper/background.ts";
import type { KeeperLink } from "../../protocol/keeper/link.ts";
import type { RunView } from "../../protocol/keeper/messages.ts";
import { byMessage, type OperationParams, type Runner, type RunnerOperation } from "../../protocol/keeper/runner.ts";
import { frameBytesMax, type NodeAsk, type NodeWord } from "../../protocol/node/words.ts";
import type { KnownRuns } from "./known-runs.ts";
import type { Wire } from "./wire.ts";

/** Asks without an answer at one time; long waits are among them. */
const openMax = 20_000;

export interface GatewayRequestsParts {
  link: Pick<KeeperLink, "ask">;
  /** The keeper's runs. */
  local: Runner;
  runs: KnownRuns;
  /** Throws for a start that is not to be. */
  mayStart: (request: string) => void;
  onStarted: (spec: OperationParams<"start">, run: RunView) => void;
  onRefused: (spec: OperationParams<"start">, error: HoldfastError) => void;
  /** A piece of output is on its way to the gateway, which asked for it `from` there on. */
  onRead: (request: string, stream: OutputStream, from: number, piece: OutputEnd & { run: RunView }) => void;
}

interface Answer {
  result: unknown;
  /** Runs once the answer has gone: nobody waits for this. */
  onSent?: () => void;
}

/** What a gateway may ask for; ends and outputs of other runs, and their owners, are no concern of it. */
type Answers = {
  [O in Exclude<RunnerOperation, "owners" | "remove">]: (params: OperationParams<O>) => Promise<Answer>;
};

export class GatewayRequests {
  readonly #parts: GatewayRequestsParts;
  readonly #answers: Record<string, (params: never) => Promise<Answer>>;
  #open = 0;

  constructor(parts: GatewayRequestsParts) {
    this.#parts = parts;
    const renew = async () => ({ result: await parts.link.ask("exec.renew", {}) });
    this.#answers = { ...byMessage(this.#makeAnswers()), "lease.renew": renew };
  }

  /** Never rejects. An answer is for the connection on which it was asked: on another one it is asked again. */
  async answer(ask: NodeAsk, wire: Wire): Promise<void> {
    const { id, name, params } = ask;
    if (this.#open >= openMax)
      return wire.send({ type: "refusal", id, code: "gateway_busy", message: `${openMax} asks are open on this node` });
    this.#open += 1;
    try {
      const { result, onSent } = await this.#answers[name]!(params as never);
      const frame = JSON.stringify({ type: "reply", id, result } satisfies NodeWord);
      if (Buffer.byteLength(frame) > frameBytesMax)
        throw new HoldfastError("run_limit", `the answer to ${name} is too large for one frame`);
      wire.sendFrame(frame);
      onSent?.();
    } catch (thrown) {
      const error = asHoldfastError(thrown);
      wire.send({ type: "refusal", id, code: error.code, message: error.message.slice(0, 8192) });
    } finally {
      this.#open -= 1;
    }
  }

  #makeAnswers(): Answers {
    const { local, runs, onRead } = this.#parts;
    const at = <P extends { run: string }>(params: P): P => ({ ...params, run: runs.idOf(params.run) });
    const told = (run: RunView): RunView => runs.told(run)?.run ?? run;
    return {
      start: (params) => this.#start(params),
      read: async (params) => {
        const { run, ...piece } = await local.read(at(params));
        const result = { ...piece, run: told(run) };
        return { result, onSent: () => onRead(params.run, params.stream, params.offset, result) };
      },
      write: async (params) => ({ result: await local.write(at(params)) }),
      resize: async (params) => ({ result: await local.resize(at(params)) }),
      signal: async (params) => ({ result: await local.signal(at(params)) }),
      end: async (params) => ({ result: told(await local.end(at(params))) }),
      wait: async (params) => ({ result: told(await local.wait(at(params))) }),
      outcome: async (params) => {
        const { run: ended, ...streams } = await local.outcome(at(params));
        // Both streams fit into a frame beside a run whose command is not a long one; the gateway has it on record.
        const run = { ...told(ended), command: ended.command.slice(0, 256) };
        const onSent = () => {
          for (const stream of ["stdout", "stderr"] as const)
            onRead(params.run, stream, 0, { ...streams[stream], run });
        };
        return { result: { ...streams, run }, onSent };
      },
      list: async (params) => {
        const all = await local.list(params);
        return { result: fitted(all.flatMap((run) => runs.told(run)?.run ?? [])) };
      },
    };
  }

  async #start(spec: OperationParams<"start">): Promise<Answer> {
    const { local, mayStart, onRefused, onStarted, runs } = this.#parts;
    const request = spec.request ?? "";
    try {
      mayStart(request);
      // Here it is local; and how long it may live without its gateway is the lease's to say, not this front's end.
      const run = await local.start({ ...spec, host: "local", onFrontLoss: "keep", keepMs: null });
      runs.learn(request, run.id);
      const result = runs.told(run)?.run ?? run;
      return { result, onSent: () => onStarted(spec, result) };
    } catch (thrown) {
      const error = isStopping(thrown)
        ? new HoldfastError("node_absent", "the node is stopping; nothing was started")
        : asHoldfastError(thrown);
      onRefused(spec, error);
      throw error;
    }
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
