/** Passes the gateway's requests on to this node's keeper, which checks them again and applies the node's own rules. */
import { frameBytesMax, type NodeAsk, type NodeMessage } from "../../protocol/node/messages.ts";
import type { RunView } from "../../protocol/run.ts";
import type { OutputEnd, OutputStream } from "../../protocol/background.ts";
import { asHoldfastError, HoldfastError } from "../../errors.ts";
import type { KeeperLink } from "../../protocol/keeper/link.ts";
import { byMessage, type OperationParams, type Runner, type RunnerOperation } from "../../protocol/keeper/runner.ts";
import type { KnownRuns } from "./known-runs.ts";
import type { Wire } from "./wire.ts";

/** Most open requests, long waits included. */
const openMax = 20_000;

export interface GatewayRequestsParts {
  link: Pick<KeeperLink, "ask">;
  /** The keeper's runs. */
  local: Runner;
  runs: KnownRuns;
  /** Throws for a forbidden start. */
  mayStart: (request: string) => void;
  onStarted: (spec: OperationParams<"start">, run: RunView) => void;
  onRefused: (spec: OperationParams<"start">, error: HoldfastError) => void;
  /** A piece of output is on its way to the gateway, which requested it from offset `from`. */
  onRead: (request: string, stream: OutputStream, from: number, piece: OutputEnd & { run: RunView }) => void;
}

interface Answer {
  result: unknown;
  /** Runs once the answer was sent, without being awaited. */
  onSent?: () => void;
}

/** What a gateway may request; ends, outputs and owners of other runs are off limits. */
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

  /** Never rejects. An answer belongs to the connection of its request: over another one the request is repeated. */
  async answer(ask: NodeAsk, wire: Wire): Promise<void> {
    const { id, name, params } = ask;
    if (this.#open >= openMax)
      return wire.send({ type: "refusal", id, code: "gateway_busy", message: `${openMax} asks are open on this node` });
    this.#open += 1;
    try {
      const { result, onSent } = await this.#answers[name]!(params as never);
      const frame = JSON.stringify({ type: "reply", id, result } satisfies NodeMessage);
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
        // Both streams fit into a frame beside a run with a short command; the gateway has the full one on record.
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
      // Local here; its lease, not the end of this front, bounds its life without a gateway.
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

/** A list that fits into one frame: drops the processes first, then the oldest ended runs. */
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

/** The keeper is shutting down. An earlier start under the same request would have been answered. */
function isStopping(thrown: unknown): boolean {
  return thrown instanceof HoldfastError && thrown.code === "gateway_busy";
}
