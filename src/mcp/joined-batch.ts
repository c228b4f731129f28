/** A batch in a session that is joined to one process: each of its messages is relayed by itself. */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import { overHttp, serveBatch, type BatchMessage } from "./batch.ts";
import type { CallParams } from "./call.ts";
import type { Envelope } from "./envelope.ts";
import type { McpSession } from "./mcp-session.ts";
import { slowServer, unknownSession } from "./refusals.ts";
import type { Relay } from "./relay.ts";
import { refuse } from "./reply.ts";

export type BatchParams = (relay: Relay, envelope: Envelope, body: Buffer) => CallParams;

interface BatchVisit {
  request: IncomingMessage;
  response: ServerResponse;
  headers: OutgoingHttpHeaders;
}

export function relayBatch(
  { request, response, headers }: BatchVisit,
  open: McpSession | undefined,
  messages: BatchMessage[],
  params: BatchParams,
): void {
  // It may have ended while the body came in.
  if (open?.session.ended !== false) return refuse(request, response, { ...unknownSession(), headers });
  const { relay, server } = open;
  const batch = serveBatch(messages, overHttp(response, headers), {
    params: (envelope, body) => params(relay, envelope, body),
    request(call, envelope, body) {
      if (!relay.request(call, envelope, body)) call.fail(slowServer(server.name));
    },
    other: (envelope, body) =>
      void (envelope.kind === "response" ? relay.respond(envelope, body) : relay.notify(envelope, body)),
    done: () => {},
  });
  response.once("close", () => batch.leave((call) => relay.abandon(call)));
}
