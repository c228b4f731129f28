/** Reads one message from a POST: media types, length, UTF-8, JSON, JSON-RPC. */
import { isUtf8 } from "node:buffer";
import type { IncomingMessage, ServerResponse } from "node:http";
import { isBatch, readBatch } from "../wire/batch.ts";
import type { BodyReader } from "./body.ts";
import { EnvelopeError, readEnvelope, type Envelope } from "../wire/envelope.ts";
import { isJson, replyForm } from "../wire/headers.ts";
import { invalid, refusal, unavailable, type Refusal } from "./reply.ts";
import { withoutMark } from "../wire/salvage.ts";

export interface Received {
  envelope: Envelope;
  body: Buffer;
}

export interface ReceivedBatch {
  batch: Received[];
}

/** Why the request's headers do not fit a message, or undefined. */
export function headProblem(request: IncomingMessage): Refusal | undefined {
  if (!isJson(request)) return invalid(415, "Content-Type must be application/json");
  return undefined;
}

/** The message, its refusal, or "gone" when the client left while sending. */
export async function receive(
  bodies: BodyReader,
  request: IncomingMessage,
  response: ServerResponse,
  messageBytesMax: number,
): Promise<Received | Refusal | "gone"> {
  return (await receiveAny(bodies, request, response, messageBytesMax, false)) as Received | Refusal | "gone";
}

/** As `receive`, for a session whose revision may have batches. */
export async function receiveAny(
  bodies: BodyReader,
  request: IncomingMessage,
  response: ServerResponse,
  messageBytesMax: number,
  takesBatches: boolean,
): Promise<Received | ReceivedBatch | Refusal | "gone"> {
  const read = await bodies.read(request, response, messageBytesMax);
  if (read === "gone") return "gone";
  if (read === "too-large")
    return invalid(413, `the message is longer than limits.messageBytesMax = ${messageBytesMax} bytes`);
  if (read === "no-room") return unavailable("too many large messages at one time; try again", "gateway_busy");
  const body = withoutMark(read);
  try {
    if (!isUtf8(body)) throw new EnvelopeError(-32700, "not JSON: the text is not UTF-8");
    const batch = takesBatches && isBatch(body) ? readBatch(body) : undefined;
    const messages = batch ?? [{ envelope: readEnvelope(body), body }];
    // Only requests are answered with a body.
    const isAnswered = messages.some(({ envelope }) => envelope.kind === "request");
    if (isAnswered && replyForm(request.headers.accept) === undefined) return unacceptable();
    return batch === undefined ? messages[0]! : { batch };
  } catch (thrown) {
    if (!(thrown instanceof EnvelopeError)) throw thrown;
    return refusal(400, thrown.fault, "invalid_params", thrown.message);
  }
}

function unacceptable(): Refusal {
  return invalid(406, "Accept rules out both forms of an answer; name application/json or text/event-stream");
}
