/** Answers and refusals of our own, as bytes. */
import { asHoldfastError } from "../../errors.ts";
import { rpcCode, type RpcFault } from "../json-rpc.ts";

/** A whole response; `id` as the client wrote it. */
export function answerText(id: string, result: Buffer | string): Buffer {
  const head = Buffer.from(`{"jsonrpc":"2.0","id":${id},"result":`, "latin1");
  return Buffer.concat([head, typeof result === "string" ? Buffer.from(result) : result, Buffer.from("}")]);
}

/** Where the result of `answerText` begins. */
export function resultStart(id: string): number {
  return '{"jsonrpc":"2.0","id":,"result":'.length + id.length;
}

/** Why a server could not be started, for the call that needed it. */
export function downFault(thrown: unknown): RpcFault {
  const { code, message } = asHoldfastError(thrown);
  return { code: rpcCode.unavailable, message, reason: code };
}

export function unknownFault(what: string, hint: string): RpcFault {
  return { code: rpcCode.invalidParams, message: `${what}; ${hint}`, reason: "invalid_params" };
}

/** JSON of ASCII only, which may stand in place of a span of bytes. */
export function asciiText(value: unknown): string {
  return JSON.stringify(value).replaceAll(
    /[^ -~]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
