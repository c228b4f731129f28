/** Speaks to a running gateway: one JSON-RPC call per `POST /rpc`. */
import { HoldfastError } from "../errors.ts";
import type { MethodName, ParamsOf, ResultOf } from "../gateway/api/index.ts";
import { fetchTrusting, trustOf } from "./trust.ts";
import { knownCode, tokenOf, unreachable, urlOf, type GatewayAddress } from "./address.ts";

/** Ending a session may take the whole stop sequence, as the config has it. */
const callMsMax = 60_000;

interface RpcResponse {
  result?: unknown;
  error?: { message: string; data?: { code?: string } };
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

  /** Throws HoldfastError with the gateway's code, `gateway_unreachable` (also when `signal` aborted it) or `unauthorized`. */
  async call<N extends MethodName>(method: N, params: ParamsOf<N>, signal?: AbortSignal): Promise<ResultOf<N>> {
    const { url } = this;
    const body = JSON.stringify({ jsonrpc: "2.0", id: this.#nextId++, method, params });
    const headers = { authorization: `Bearer ${tokenOf(this.#address)}`, "content-type": "application/json" };
    const response = await this.#reach(`${url}/rpc`, { method: "POST", headers, body }, signal);
    const answer = (await response.json().catch(() => ({}))) as RpcResponse;
    if (answer.error === undefined && response.ok) return answer.result as ResultOf<N>;
    const message =
      answer.error?.message ?? `HTTP ${response.status} instead of an answer; is this a Holdfast gateway?`;
    throw new HoldfastError(knownCode(answer.error?.data?.code), `${url}: ${message}`);
  }

  /** Whether the gateway takes work now. */
  async isReady(): Promise<boolean> {
    try {
      return (await this.#reach(`${this.url}/readyz`, {})).ok;
    } catch {
      return false; // nobody listens (yet)
    }
  }

  async #reach(url: string, init: RequestInit, signal?: AbortSignal): Promise<Response> {
    const late = AbortSignal.timeout(callMsMax);
    try {
      const asked = { ...init, signal: signal === undefined ? late : AbortSignal.any([signal, late]) };
      if (!url.startsWith("https:")) return await fetch(url, asked);
      return await fetchTrusting(url, asked, trustOf(this.#address.state, url));
    } catch (cause) {
      throw unreachable(this.url, cause, this.#address);
    }
  }
}
