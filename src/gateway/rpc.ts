/** `POST /rpc`: one message per request. */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { BodyReader } from "../mcp/http/body.ts";
import { isJson } from "../mcp/wire/headers.ts";
import { rpcCode } from "../mcp/wire/json-rpc.ts";
import { refuse, sendJson } from "../mcp/http/reply.ts";
import type { MethodDispatcher } from "./dispatch.ts";
import type { Caller } from "./methods/handlers.ts";

/** Far above any call of the command line. */
const bodyBytesMax = 1024 * 1024;

export class RpcEndpoint {
  readonly #dispatcher: MethodDispatcher;
  readonly #bodies: BodyReader;

  constructor(dispatcher: MethodDispatcher, bodies: BodyReader) {
    this.#dispatcher = dispatcher;
    this.#bodies = bodies;
  }

  async handle(
    request: IncomingMessage,
    response: ServerResponse,
    headers: OutgoingHttpHeaders,
    caller: Caller,
  ): Promise<void> {
    const deny = (status: number, code: number, message: string, extra: OutgoingHttpHeaders = {}) =>
      refuse(request, response, {
        status,
        fault: { code, message, reason: "invalid_params" },
        headers: { ...headers, ...extra },
      });
    if (request.method !== "POST") return deny(405, rpcCode.invalidRequest, "use POST", { allow: "POST" });
    if (!isJson(request)) return deny(415, rpcCode.invalidRequest, "Content-Type must be application/json");
    const body = await this.#bodies.read(request, response, bodyBytesMax);
    if (body === "gone") return;
    if (body === "too-large") return deny(413, rpcCode.invalidRequest, `a call is at most ${bodyBytesMax} bytes long`);
    if (body === "no-room") return deny(503, rpcCode.unavailable, "too many large messages at one time; try again");
    const answer = await this.#dispatcher.answer(body.toString(), caller);
    if (response.destroyed) return;
    if (answer.body !== undefined) return sendJson(response, answer.isMalformed ? 400 : 200, answer.body, headers);
    response.writeHead(204, headers);
    response.end();
  }
}
