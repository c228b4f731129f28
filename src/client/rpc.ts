/** One JSON-RPC call per `POST /rpc`. */
import type { IncomingMessage } from "node:http";
import { abortAfter, systemClock } from "../clock.ts";
import { HoldfastError } from "../errors.ts";
import { GatheredBytes } from "../gathered-bytes.ts";
import type { MethodName, ParamsOf, ResultOf } from "../protocol/api/index.ts";
import { exchange, trustOf, type Request } from "./trust.ts";
import { knownCode, late, tokenOf, unreachable, urlOf, type GatewayAddress } from "./address.ts";

/** Ending a session may take the whole configured stop sequence. */
const callMsMax = 60_000;
/** Longest answer, in case something else answers at this address. */
const answerBytesMax = 64 * 1024 * 1024;

interface RpcResponse {
  result?: unknown;
  error?: { message: string; data?: { code?: string } };
}

export interface CallOptions {
  /** Limit for the answer, in milliseconds; a minute by default. */
  limitMs?: number;
  /** Aborts the call, which then fails with `gateway_unreachable`. */
  signal?: AbortSignal | undefined;
}

export class GatewayClient {
  readonly #address: GatewayAddress;
  #nextId = 1;

  constructor(address: GatewayAddress) {
    this.#address = address;
  }

  get url(): string {
    return urlOf(this.#address);
  }

  /** Throws HoldfastError with the gateway's code, `gateway_unreachable`, `answer_late` (`limitMs` are over) or `unauthorized`. */
  async call<N extends MethodName>(
    method: N,
    params: ParamsOf<N>,
    { limitMs = callMsMax, signal: given }: CallOptions = {},
  ): Promise<ResultOf<N>> {
    const { url } = this;
    const body = JSON.stringify({ jsonrpc: "2.0", id: this.#nextId++, method, params });
    const headers = { authorization: `Bearer ${tokenOf(this.#address)}`, "content-type": "application/json" };
    using bound = abortAfter(systemClock, limitMs);
    const signal = given === undefined ? bound.signal : AbortSignal.any([given, bound.signal]);
    const isLate = () => bound.signal.aborted && given?.aborted !== true;
    const response = await this.#reach(`${url}/rpc`, { method: "POST", headers, body, signal }).catch(
      (thrown: unknown) => {
        throw isLate() ? late(url, method, limitMs, thrown) : thrown;
      },
    );
    const answer = await readAnswer(response).catch((thrown: unknown) => {
      throw isLate() ? late(url, method, limitMs, thrown) : unreachable(this.url, thrown, this.#address);
    });
    if (answer.error === undefined && isOk(response) && "result" in answer) return answer.result as ResultOf<N>;
    const message =
      answer.error?.message ?? `HTTP ${response.statusCode} instead of an answer; is this a Holdfast gateway?`;
    throw new HoldfastError(knownCode(answer.error?.data?.code), `${url}: ${message}`);
  }

  /** Whether the gateway is ready. */
  async isReady(): Promise<boolean> {
    try {
      using bound = abortAfter(systemClock, callMsMax);
      const response = await this.#reach(`${this.url}/readyz`, { signal: bound.signal });
      response.destroy();
      return isOk(response);
    } catch {
      return false; // not listening (yet)
    }
  }

  async #reach(url: string, request: Request): Promise<IncomingMessage> {
    try {
      return await exchange(url, request, trustOf(this.#address.state, url));
    } catch (cause) {
      throw unreachable(this.url, cause, this.#address);
    }
  }
}

function isOk({ statusCode = 0 }: IncomingMessage): boolean {
  return statusCode >= 200 && statusCode < 300;
}

/** The answer as JSON; empty for anything else. Rejects when the connection breaks before its end. */
async function readAnswer(response: IncomingMessage): Promise<RpcResponse> {
  const body = new GatheredBytes();
  // Leaving the loop closes the connection.
  for await (const piece of response as AsyncIterable<Buffer>) {
    body.add(piece);
    if (body.length > answerBytesMax) return {};
  }
  try {
    const answer: unknown = JSON.parse(body.take().toString("utf8"));
    return typeof answer === "object" && answer !== null ? answer : {};
  } catch {
    return {};
  }
}
