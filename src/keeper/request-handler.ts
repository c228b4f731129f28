/** Answers the front: the barrier between the network side and the side that starts processes. */
import type { ConfigChange } from "../protocol/keeper/front-config.ts";
import { asHoldfastError, HoldfastError } from "../errors.ts";
import type { FrontProcess } from "./front.ts";
import type { Log } from "./log.ts";
import {
  type FrontMessage,
  type FrontRequestName,
  type FrontRequests,
  readFrontMessage,
} from "../protocol/keeper/messages.ts";
import type { KeeperFigures, KeeperStatus } from "../protocol/keeper/status.ts";
import type { NodeFinish, NodeProgress } from "../protocol/keeper/node.ts";
import { byMessage } from "../protocol/keeper/runner.ts";
import type { BackgroundRuns } from "./background/runs.ts";
import type { RunTable } from "./run-table.ts";

export interface RequestHandlerParts {
  table: RunTable;
  background: BackgroundRuns;
  log: Log;
  status: () => KeeperStatus;
  figures: () => KeeperFigures;
  onListening: (urls: string[]) => void;
  onFailed: (error: HoldfastError) => void;
  onHeartbeat: (lastMethod: string) => void;
  /** Set for a node's front. */
  onProgress?: ((progress: NodeProgress) => void) | undefined;
  onFinished?: ((finish: NodeFinish) => void) | undefined;
  stop: () => void;
  restart: (all: boolean) => void;
  reload: () => ConfigChange;
  recheck: () => void;
}

type Answers = { [N in FrontRequestName]: (params: FrontRequests[N]["params"]) => unknown };

export class RequestHandler {
  readonly #parts: RequestHandlerParts;
  readonly #answers: Answers;

  constructor(parts: RequestHandlerParts) {
    this.#parts = parts;
    const { table, background } = parts;
    this.#answers = {
      "run.start": async (params) => {
        const run = await table.start(params);
        return { channel: run.channel, run: run.summary() };
      },
      "run.abandon": ({ server, sessionId }) => table.packages.abandon(server, sessionId),
      "run.refresh": ({ server }) => table.packages.refresh(server),
      "run.launches": () => table.packages.views(),
      "run.adopt": (params) => {
        const run = table.adopt(params.run);
        return { channel: run.channel, run: run.summary() };
      },
      "run.stop": (params) => this.#run(params.run).end(params.reason),
      "run.setBlob": (params) => {
        this.#run(params.run).blob = params.blob;
        return null;
      },
      ...byMessage(background),
      "exec.renew": () => background.renew(),
      "exec.requests": () => background.requests(),
      "gateway.status": () => parts.status(),
      "gateway.figures": () => parts.figures(),
      "gateway.stop": () => {
        parts.stop();
        return null;
      },
      "gateway.restart": (params) => {
        parts.restart(params.all);
        return null;
      },
      "config.reload": () => parts.reload(),
      "config.recheck": () => parts.recheck(),
    };
  }

  hear(heard: unknown, front: FrontProcess): void {
    const read = readFrontMessage(heard);
    if ("wrong" in read) {
      this.#parts.log.error({ event: "front.refused", what: read.wrong });
      const { request } = read;
      const message = "the keeper does not take such a message";
      if (request !== undefined) front.tell({ type: "refusal", request, code: "request_refused", message });
      return;
    }
    const { message } = read;
    switch (message.type) {
      case "listening":
        if (!front.gone) this.#parts.onListening(message.urls);
        return;
      case "failed":
        return this.#parts.onFailed(new HoldfastError(message.code, message.message));
      case "credit":
        return front.port.window.credited(message.channel, message.bytes);
      case "heartbeat":
        return this.#parts.onHeartbeat(message.lastMethod);
      case "progress":
        return this.#parts.onProgress?.(message.progress);
      case "finished":
        if (!front.gone) this.#parts.onFinished?.(message.finish);
        return;
      default:
        void this.#answer(message, front); // never rejects
    }
  }

  async #answer(message: Extract<FrontMessage, { request: number }>, front: FrontProcess): Promise<void> {
    const { type, request } = message;
    // Starts requested by a dead front would have no owner.
    if (front.gone && (type === "run.start" || type === "run.adopt")) return;
    try {
      const answer = this.#answers[type] as (params: unknown) => unknown;
      const result = await answer(message.params);
      front.tell({ type: "reply", request, result: result ?? null });
    } catch (thrown) {
      const { code, message: text } = asHoldfastError(thrown);
      this.#parts.log.warn({ event: "front.refused", what: type, code, text });
      front.tell({ type: "refusal", request, code, message: text });
    }
  }

  #run(id: string) {
    const run = this.#parts.table.get(id);
    if (run === undefined) throw new HoldfastError("run_unknown", `no live run ${id}`);
    return run;
  }
}
