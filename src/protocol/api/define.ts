/** The declaration of an API method: parameters, result, scope, errors. */
import type { z } from "zod";
import { tokenScopes, type TokenScope } from "../keeper/front-config.ts";
import type { ErrorCode } from "../../errors.ts";

/** A token's rights: look, run things, or manage the gateway. */
export const rpcScopes = tokenScopes;
export type RpcScope = TokenScope;

export interface MethodSpec<P extends z.ZodObject = z.ZodObject, R extends z.ZodType = z.ZodType> {
  /** One sentence for the docs page. */
  summary: string;
  scope: RpcScope;
  /** `websocket`: only there, since it continues after its answer. */
  transport?: "websocket";
  /** Strict: unknown parameters are errors. */
  params: P;
  result: R;
  /** In addition to the common `invalid_params`, `unauthorized`, `forbidden`, `gateway_busy`, `internal`. */
  errors: readonly ErrorCode[];
}

export function method<P extends z.ZodObject, R extends z.ZodType>(spec: MethodSpec<P, R>): MethodSpec<P, R> {
  return spec;
}
