/** What a caller is told in place of an answer, in one place for both ways through. */
import { rpcCode, type RpcFault } from "./json-rpc.ts";

/** `noise`: what is known of other output of the server's, in which its answer may have been. */
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
