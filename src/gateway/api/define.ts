/** How a method of the API is written down: what it takes, what it gives, who may call it, what can go wrong. */
import type { z } from "zod";
import type { ErrorCode } from "../../errors.ts";
import { tokenScopes, type TokenScope } from "../../keeper/protocol/messages.ts";

/** What a token may do: look, run things, or govern the gateway itself. */
export const rpcScopes = tokenScopes;
export type RpcScope = TokenScope;

export interface MethodSpec<P extends z.ZodObject = z.ZodObject, R extends z.ZodType = z.ZodType> {
  /** One sentence for the docs page. */
  summary: string;
  scope: RpcScope;
  /** `websocket`: only there, since it goes on speaking after its answer. */
  transport?: "websocket";
  /** Strict: a parameter that is not there is an error. */
  params: P;
  result: R;
  /** Besides those that every method can give: `invalid_params`, `unauthorized`, `forbidden`, `gateway_busy`, `internal`. */
  errors: readonly ErrorCode[];
}

export function method<P extends z.ZodObject, R extends z.ZodType>(spec: MethodSpec<P, R>): MethodSpec<P, R> {
  return spec;
}
