/** `POST /rpc`: JSON-RPC 2.0, one call a request. The method table is given; this file knows the wire only. */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import { HoldfastError, asHoldfastError, type ErrorCode } from "../errors.ts";
import { readBody } from "../mcp/body.ts";
import { isJson } from "../mcp/headers.ts";
import { rpcCode } from "../mcp/json-rpc.ts";
import { refuse, sendJson } from "../mcp/reply.ts";

/** Answers one method; throws HoldfastError (`invalid_params` and others). */
type RpcMethod = (params: Record<string, unknown>) => Promise<unknown> | unknown;
export type RpcMethods = Record<string, RpcMethod>;

/** No call of the command line comes near this. */
const bodyBytesMax = 1024 * 1024;

type Id = string | number | null;

interface RpcCall {
  id: Id | undefined;
  method: string;
  params: Record<string, unknown>;
}

export class RpcEndpoint {
  readonly #methods: RpcMethods;
  readonly #announce: (method: string) => void;

  constructor(methods: RpcMethods, announce: (method: string) => void) {
    this.#methods = methods;
    this.#announce = announce;
  }

  async handle(request: IncomingMessage, response: ServerResponse, headers: OutgoingHttpHeaders): Promise<void> {
    const deny = (status: number, code: number, message: string, extra: OutgoingHttpHeaders = {}) =>
      refuse(request, response, {
        status,
        fault: { code, message, reason: "invalid_params" },
        headers: { ...headers, ...extra },
      });
    if (request.method !== "POST") return deny(405, rpcCode.invalidRequest, "use POST", { allow: "POST" });
    if (!isJson(request)) return deny(415, rpcCode.invalidRequest, "Content-Type must be application/json");
    const body = await readBody(request, response, bodyBytesMax);
    if (body === "gone") return;
    if (body === "too-large") return deny(413, rpcCode.invalidRequest, `a call is at most ${bodyBytesMax} bytes long`);
    if (body === "no-room") return deny(503, rpcCode.unavailable, "too many large messages at one time; try again");
    const call = parseCall(body);
    if (typeof call === "string") return deny(400, call === "not JSON" ? rpcCode.parse : rpcCode.invalidRequest, call);
    const outcome = await this.#perform(call);
    if (response.destroyed) return;
    if (call.id !== undefined) return sendJson(response, 200, { jsonrpc: "2.0", id: call.id, ...outcome }, headers);
    response.writeHead(204, headers);
    response.end();
  }

  /** The `result` or `error` member of the response. */
  async #perform(call: RpcCall): Promise<object> {
    const method = Object.hasOwn(this.#methods, call.method) ? this.#methods[call.method] : undefined;
    if (method === undefined) {
      const known = Object.keys(this.#methods).join(", ");
      return fault(
        rpcCode.methodUnknown,
        "method_unknown",
        `no method ${JSON.stringify(call.method)}; there is: ${known}`,
      );
    }
    this.#announce(`rpc ${call.method}`);
    try {
      return { result: (await method(call.params)) ?? null };
    } catch (thrown) {
      const { code, message } = asHoldfastError(thrown);
      if (code === "invalid_params") return fault(rpcCode.invalidParams, code, message);
      return fault(code === "internal" ? rpcCode.internal : rpcCode.unavailable, code, message);
    }
  }
}

function fault(code: number, reason: ErrorCode, message: string): object {
  return { error: { code, message, data: { code: reason } } };
}

/** The call, or in words why the body is none. */
function parseCall(body: Buffer): RpcCall | string {
  let value: unknown;
  try {
    value = JSON.parse(body.toString());
  } catch {
    return "not JSON";
  }
  if (Array.isArray(value)) return "batches are not taken: send one call at a time";
  if (!isRecord(value)) return "not a JSON-RPC request";
  const { jsonrpc, id, method, params } = value;
  if (jsonrpc !== "2.0") return '"jsonrpc" must be "2.0"';
  if (typeof method !== "string") return '"method" must be a string';
  if (id !== undefined && id !== null && typeof id !== "string" && typeof id !== "number")
    return '"id" must be a string or a number';
  if (params !== undefined && !isRecord(params)) return '"params" must be an object';
  return { id, method, params: params ?? {} };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Checks that `params` has exactly these keys, of these types; all may be left out unless `required`. */
export function checkParams(
  params: Record<string, unknown>,
  types: Record<string, "boolean" | "string">,
  required: string[] = [],
): void {
  for (const [key, value] of Object.entries(params)) {
    if (!Object.hasOwn(types, key))
      throw new HoldfastError(
        "invalid_params",
        `no parameter ${JSON.stringify(key)}; there is: ${Object.keys(types).join(", ") || "none"}`,
      );
    if (typeof value !== types[key])
      throw new HoldfastError("invalid_params", `${JSON.stringify(key)} must be a ${types[key]}`);
  }
  for (const key of required) {
    if (params[key] === undefined) throw new HoldfastError("invalid_params", `${JSON.stringify(key)} is missing`);
  }
}
