/** Speaks to a running gateway: one JSON-RPC call per `POST /rpc`. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { readPrivateFile } from "../private-file.ts";
import { HoldfastError, errorCodes, type ErrorCode } from "../errors.ts";
import type { MethodName, ParamsOf, ResultOf } from "../gateway/api/index.ts";

export interface GatewayAddress {
  /** State directory, in which the gateway writes its address and its token. */
  state: string;
  url?: string;
  token?: string;
}

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

  /** Where the gateway listens; read anew each time, since it may have been restarted. Throws `gateway_unreachable`. */
  get url(): string {
    const { state, url } = this.#address;
    const found = url ?? (readJson(join(state, "keeper.json")) as { url?: string } | undefined)?.url;
    if (found === undefined) throw noGateway(state);
    return found.replace(/\/+$/, "");
  }

  /** Throws HoldfastError with the gateway's code, `gateway_unreachable` or `unauthorized`. */
  async call<N extends MethodName>(method: N, params: ParamsOf<N>): Promise<ResultOf<N>> {
    const { url } = this;
    const body = JSON.stringify({ jsonrpc: "2.0", id: this.#nextId++, method, params });
    const headers = { authorization: `Bearer ${this.#token()}`, "content-type": "application/json" };
    const response = await this.#reach(`${url}/rpc`, { method: "POST", headers, body });
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

  async #reach(url: string, init: RequestInit): Promise<Response> {
    try {
      return await fetch(url, { ...init, signal: AbortSignal.timeout(callMsMax) });
    } catch (cause) {
      const why = ((cause as Error).cause as NodeJS.ErrnoException | undefined)?.code ?? String(cause);
      throw new HoldfastError(
        "gateway_unreachable",
        `no gateway answers at ${url} (${why}); start one with \`holdfast gateway\``,
        { cause },
      );
    }
  }

  #token(): string {
    const { token, state } = this.#address;
    if (token !== undefined) return token;
    try {
      return readPrivateFile(join(state, "token")).trim();
    } catch (cause) {
      if (cause instanceof HoldfastError) throw cause;
      throw new HoldfastError(
        "unauthorized",
        `no token: ${join(state, "token")} cannot be read; give one with HOLDFAST_TOKEN or --token`,
        { cause },
      );
    }
  }
}

export function noGateway(state: string): HoldfastError {
  return new HoldfastError(
    "gateway_unreachable",
    `no gateway runs on the state directory ${state}; start one with \`holdfast gateway\`, or name another with --state or --url`,
  );
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return undefined; // no gateway has run here, or it ended in order
  }
}

function knownCode(code: string | undefined): ErrorCode {
  return code !== undefined && Object.hasOwn(errorCodes, code) ? (code as ErrorCode) : "gateway_unreachable";
}
