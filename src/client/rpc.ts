/** Speaks to a running gateway: one JSON-RPC call per `POST /rpc`. */
import { abortAfter, systemClock } from "../clock.ts";
import { HoldfastError } from "../errors.ts";
import { GatheredBytes } from "../gathered-bytes.ts";
import type { MethodName, ParamsOf, ResultOf } from "../gateway/api/index.ts";
import { fetchTrusting, trustOf } from "./trust.ts";
import { knownCode, late, tokenOf, unreachable, urlOf, type GatewayAddress } from "./address.ts";

/** Ending a session may take the whole stop sequence, as the config has it. */
const callMsMax = 60_000;
/** Longest answer; the gateway's own are far shorter, but at this address may be anybody. */
const answerBytesMax = 64 * 1024 * 1024;

interface RpcResponse {
  result?: unknown;
  error?: { message: string; data?: { code?: string } };
}

export interface CallOptions {
  /** How long to wait for the answer, in milliseconds; a minute by default. */
  limitMs?: number;
  /** Ends the wait at once; the call is then `gateway_unreachable`. */
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
    const answer = await readAnswer(response);
    if (!("result" in answer) && answer.error === undefined && isLate())
      throw late(url, method, limitMs, bound.signal.reason);
    if (answer.error === undefined && response.ok && "result" in answer) return answer.result as ResultOf<N>;
    const message =
      answer.error?.message ?? `HTTP ${response.status} instead of an answer; is this a Holdfast gateway?`;
    throw new HoldfastError(knownCode(answer.error?.data?.code), `${url}: ${message}`);
  }

  /** Whether the gateway takes work now. */
  async isReady(): Promise<boolean> {
    try {
      using bound = abortAfter(systemClock, callMsMax);
      const response = await this.#reach(`${this.url}/readyz`, { signal: bound.signal });
      await response.body?.cancel();
      return response.ok;
    } catch {
      return false; // nobody listens (yet)
    }
  }

  async #reach(url: string, init: RequestInit): Promise<Response> {
    try {
      if (!url.startsWith("https:")) return await fetch(url, init);
      return await fetchTrusting(url, init, trustOf(this.#address.state, url));
    } catch (cause) {
      throw unreachable(this.url, cause, this.#address);
    }
  }
}

/** What can be read of it as an answer of a gateway; an empty one where it is something else. */
async function readAnswer(response: Response): Promise<RpcResponse> {
  const body = new GatheredBytes();
  try {
    // Leaving the loop ends the connection.
    for await (const piece of response.body ?? []) {
      body.add(Buffer.from(piece.buffer, piece.byteOffset, piece.length));
      if (body.length > answerBytesMax) return {};
    }
    const answer: unknown = JSON.parse(body.take().toString("utf8"));
    return typeof answer === "object" && answer !== null ? answer : {};
  } catch {
    return {};
  }
}
