/** The errors that a caller receives in place of an answer. */
import { asHoldfastError } from "../../errors.ts";
import { errorBody, rpcCode, type RpcFault } from "./json-rpc.ts";

/** `noise`: a description of the server's discarded output, which may have held the answer. */
export function timedOut(server: string, requestTimeoutMs: number, noise: string): RpcFault {
  const message = `MCP server ${JSON.stringify(server)} gave no answer within mcpServers.${server}.requestTimeoutMs = ${requestTimeoutMs}${noise}`;
  return { code: rpcCode.timeout, message, reason: "run_ended" };
}

export function tooLong(server: string, bytes: number, messageBytesMax: number): RpcFault {
  const message = `MCP server ${JSON.stringify(server)} sent ${bytes} bytes; limits.messageBytesMax is ${messageBytesMax}`;
  return { code: rpcCode.unavailable, message, reason: "run_limit" };
}

export function unreadableAnswer(server: string, why: string): RpcFault {
  const message = `MCP server ${JSON.stringify(server)} sent an answer that cannot be read: ${why}`;
  return { code: rpcCode.unavailable, message, reason: "answer_unreadable" };
}

/** Why a server could not be started, for the call that needed it. */
export function downFault(thrown: unknown): RpcFault {
  const { code, message } = asHoldfastError(thrown);
  return { code: rpcCode.unavailable, message, reason: code };
}

export function unknownFault(what: string, hint: string): RpcFault {
  return { code: rpcCode.invalidParams, message: `${what}; ${hint}`, reason: "invalid_params" };
}

export function initializedAlready(): RpcFault {
  const message = "this session is initialized already";
  return { code: rpcCode.invalidRequest, message, reason: "invalid_params" };
}

export function slowServer(server: string): RpcFault {
  const message = `MCP server ${JSON.stringify(server)} does not read what it was sent; try again`;
  return { code: rpcCode.unavailable, message, reason: "run_limit" };
}

/** For a client that returns to an unknown call; running it again could run it twice. */
export function unknownState(): RpcFault {
  const message = "params.requestState is unknown here or has expired; send the request again without it";
  return { code: rpcCode.invalidParams, message, reason: "invalid_params" };
}

export function unheard(
  serverId: string,
  message = "the client has no open connection on which it could be asked",
): Buffer {
  return errorBody(serverId, { code: rpcCode.unavailable, message, reason: "session_unknown" });
}
