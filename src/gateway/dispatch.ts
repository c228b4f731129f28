/** JSON-RPC 2.0 for every transport: reads a message, finds the method, checks scope and parameters, makes the answer. */
import type { z } from "zod";
import { asHoldfastError, type ErrorCode } from "../errors.ts";
import { rpcCode } from "../mcp/wire/json-rpc.ts";
import type { MethodSpec } from "../protocol/api/define.ts";
import { describeIssues, plainIssue } from "../plain-issues.ts";
import { api, type MethodName } from "../protocol/api/index.ts";
import type { AllHandlers, Caller } from "./methods/handlers.ts";

/** Calls in one batch. */
const batchMax = 50;

type Id = string | number | null;
type Outcome = { result: unknown } | { error: { code: number; message: string; data: { code: ErrorCode } } };
type Response = Outcome & { jsonrpc: "2.0"; id: Id };

interface RpcCall {
  id: Id | undefined;
  method: string;
  params: Record<string, unknown>;
}

/** The answer to one message or batch. */
export interface Answer {
  /** Undefined for notifications. */
  body: Response | Response[] | undefined;
  /** The message was not a call; its answer has no id. */
  isMalformed: boolean;
}

export interface MethodDispatcherParts {
  handlers: AllHandlers;
  /** Before each handler, with the method's name. */
  announce: (method: string) => void;
}

export class MethodDispatcher {
  readonly #parts: MethodDispatcherParts;

  constructor(parts: MethodDispatcherParts) {
    this.#parts = parts;
  }

  /** Never rejects: every failure is an answer. */
  async answer(text: string, caller: Caller): Promise<Answer> {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      return malformed(rpcCode.parse, "not JSON");
    }
    if (!Array.isArray(value)) {
      const call = readCall(value);
      if (typeof call === "string") return malformed(rpcCode.invalidRequest, call);
      return { body: await this.#respond(call, caller), isMalformed: false };
    }
    if (value.length === 0) return malformed(rpcCode.invalidRequest, "an empty batch");
    if (value.length > batchMax) return malformed(rpcCode.invalidRequest, `a batch is at most ${batchMax} calls`);
    const responses = await Promise.all(
      value.map(async (each) => {
        const call = readCall(each);
        return typeof call === "string" ? refusal(rpcCode.invalidRequest, call) : this.#respond(call, caller);
      }),
    );
    const told = responses.filter((response) => response !== undefined);
    return { body: told.length === 0 ? undefined : told, isMalformed: false };
  }

  /** `gateway_busy`, with the call's id if known. */
  refuse(text: string, message: string): string {
    let id: unknown;
    try {
      id = (JSON.parse(text) as { id?: unknown } | null)?.id;
    } catch {
      // Not JSON: the answer has no id.
    }
    return JSON.stringify({
      jsonrpc: "2.0",
      id: isId(id) ? id : null,
      ...fault(rpcCode.unavailable, "gateway_busy", message),
    });
  }

  async #respond(call: RpcCall, caller: Caller): Promise<Response | undefined> {
    const outcome = await this.#perform(call, caller);
    return call.id === undefined ? undefined : { jsonrpc: "2.0", id: call.id, ...outcome };
  }

  async #perform({ method, params }: RpcCall, caller: Caller): Promise<Outcome> {
    if (!isMethod(method)) {
      const known = Object.keys(api).join(", ");
      const message = `no method ${JSON.stringify(method.slice(0, 100))}; known: ${known}`;
      return fault(rpcCode.methodUnknown, "method_unknown", message);
    }
    const spec: MethodSpec = api[method];
    if (!caller.scopes.has(spec.scope)) {
      const message = `${method} needs a token with the scope "${spec.scope}"`;
      return fault(rpcCode.unavailable, "forbidden", message);
    }
    if (spec.transport === "websocket" && caller.peer === undefined)
      return fault(rpcCode.unavailable, "websocket_only", `${method} works on a WebSocket only: connect to /ws`);
    const checked = spec.params.safeParse(params, { error: plainIssue });
    if (!checked.success) return fault(rpcCode.invalidParams, "invalid_params", problemsOf(checked.error));
    this.#parts.announce(`rpc ${method}`);
    try {
      const handler = this.#parts.handlers[method] as (params: unknown, caller: Caller) => unknown;
      return { result: (await handler(checked.data, caller)) ?? null };
    } catch (thrown) {
      const { code, message } = asHoldfastError(thrown);
      return fault(code === "invalid_params" ? rpcCode.invalidParams : rpcCodeOf(code), code, message);
    }
  }
}

function isMethod(name: string): name is MethodName {
  return Object.hasOwn(api, name);
}

function rpcCodeOf(code: ErrorCode): number {
  return code === "internal" ? rpcCode.internal : rpcCode.unavailable;
}

function problemsOf(error: z.ZodError): string {
  return `invalid parameters: ${describeIssues(error.issues).join("; ")}`;
}

function fault(code: number, reason: ErrorCode, message: string): Outcome {
  return { error: { code, message, data: { code: reason } } };
}

/** An error without an id. */
function refusal(code: number, message: string, reason: ErrorCode = "invalid_params"): Response {
  return { jsonrpc: "2.0", id: null, ...fault(code, reason, message) };
}

function malformed(code: number, message: string): Answer {
  return { body: refusal(code, message), isMalformed: true };
}

/** The call, or why the value is not one. */
function readCall(value: unknown): RpcCall | string {
  if (!isRecord(value)) return "not a JSON-RPC request";
  const { jsonrpc, id, method, params } = value;
  if (jsonrpc !== "2.0") return '"jsonrpc" must be "2.0"';
  if (typeof method !== "string") return '"method" must be a string';
  if (id !== undefined && id !== null && !isId(id)) return '"id" must be a string or a number';
  if (params !== undefined && !isRecord(params)) return '"params" must be an object';
  return { id, method, params: params ?? {} };
}

function isId(id: unknown): id is string | number {
  return typeof id === "string" || typeof id === "number";
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
