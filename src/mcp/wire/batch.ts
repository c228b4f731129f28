/**
 * A batch of revision 2025-03-26: several messages in one, answered together. Each message is served like a single one;
 * a server message in between turns the answer into a stream with one event per answer.
 */
import type { OutgoingHttpHeaders, ServerResponse } from "node:http";
import { Call, type CallOwner, type CallParams, type Leavable, type Reply } from "./call.ts";
import { EnvelopeError, readEnvelope, type Envelope } from "./envelope.ts";
import { EventStream } from "./event-stream.ts";
import { replyForm } from "./headers.ts";
import { JsonCursor, JsonSyntaxError } from "./json.ts";
import { errorBody, rpcCode } from "./json-rpc.ts";
import { eventHead, eventTail, splice, type Edit } from "./splice.ts";

export interface BatchMessage {
  envelope: Envelope;
  body: Buffer;
}

/** The only revision with batches. */
export const batchVersion = "2025-03-26";
/** Messages per batch. */
const messagesMax = 50;
/** Bytes of answers that wait for the others; beyond this they are sent one by one. */
const gatheredBytesMax = 1024 * 1024;
/** On transports without single answers: beyond this an answer becomes an error. */
const heldBytesMax = 32 * 1024 * 1024;

const arrayOpen = 0x5b;
const arrayClose = 0x5d;
const comma = 0x2c;

export function isBatch(body: Buffer): boolean {
  const first = body.find((byte) => byte !== 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d);
  return first === arrayOpen;
}

/** The messages of a batch. Throws `EnvelopeError` if it is empty, too long, or contains an invalid message. */
export function readBatch(body: Buffer): BatchMessage[] {
  let spans: [start: number, end: number][];
  try {
    spans = spansOf(body);
  } catch (thrown) {
    if (!(thrown instanceof JsonSyntaxError)) throw thrown;
    throw new EnvelopeError(-32700, `not JSON: ${thrown.message}`);
  }
  if (spans.length === 0) throw new EnvelopeError(-32600, "an empty batch");
  const messages = spans.map(([start, end]) => {
    const message = body.subarray(start, end);
    const envelope = readEnvelope(message);
    if (envelope.method === "initialize") throw new EnvelopeError(-32600, "initialize stands alone, never in a batch");
    return { envelope, body: message };
  });
  return messages;
}

function spansOf(body: Buffer): [start: number, end: number][] {
  // The whole must be valid JSON before its messages are examined.
  const whole = new JsonCursor(body);
  whole.value();
  whole.finish();
  const cursor = new JsonCursor(body);
  const spans: [number, number][] = [];
  cursor.peek();
  cursor.at++;
  while (cursor.peek() !== arrayClose) {
    if (spans.length === messagesMax) throw new EnvelopeError(-32600, `a batch is at most ${messagesMax} messages`);
    const start = cursor.at;
    cursor.value();
    spans.push([start, cursor.at]);
    if (cursor.peek() === comma) cursor.at++;
  }
  return spans;
}

/** Carries the answers of a batch to its client. */
export interface BatchCarrier {
  /** All answers at once, as one JSON text; undefined: there are none. */
  whole(text: Buffer | undefined): void;
  /** Sends a single message, where supported; the remaining answers then follow singly. */
  readonly each: ((message: Buffer, release: () => void) => void) | undefined;
  heartbeat(now: number): void;
  end(): void;
}

export class Batch {
  readonly #carrier: BatchCarrier;
  readonly #open = new Set<BatchReply>();
  readonly #answers: Buffer[] = [];
  #bytes = 0;
  #isApart = false;
  #isSealed = false;

  constructor(carrier: BatchCarrier) {
    this.#carrier = carrier;
  }

  get takesMessages(): boolean {
    return this.#carrier.each !== undefined;
  }

  reply(clientId: string): Reply {
    const reply = new BatchReply(this, clientId);
    this.#open.add(reply);
    return reply;
  }

  /** Every message has been served: from now on the answer may be sent as a whole. */
  seal(): void {
    this.#isSealed = true;
    this.#look();
  }

  /** The client left. */
  leave(): void {
    const open = [...this.#open];
    this.#open.clear();
    for (const reply of open) reply.call?.gone();
  }

  tell(message: Buffer, release: () => void): void {
    const { each } = this.#carrier;
    if (each === undefined) return release();
    this.#apart();
    each(message, release);
  }

  answered(reply: BatchReply, answer: Buffer | undefined, release: () => void): void {
    if (!this.#open.delete(reply)) return release();
    const { each } = this.#carrier;
    if (answer === undefined) release();
    else if (this.#isApart && each !== undefined) each(answer, release);
    else {
      this.#gather(reply, answer);
      release();
    }
    this.#look();
  }

  heartbeat(now: number, isLate: boolean): void {
    if (isLate && this.#carrier.each !== undefined) this.#apart();
    if (this.#isApart) this.#carrier.heartbeat(now);
  }

  #gather({ clientId }: BatchReply, answer: Buffer): void {
    const isTooMuch = this.#bytes + answer.length > heldBytesMax;
    const message = `the answers of a batch are at most ${heldBytesMax} bytes; send fewer messages at a time`;
    const fault = { code: rpcCode.unavailable, message, reason: "run_limit" as const };
    const kept = isTooMuch ? errorBody(clientId, fault) : answer;
    this.#answers.push(kept);
    this.#bytes += kept.length;
    if (this.#bytes > gatheredBytesMax && this.#carrier.each !== undefined) this.#apart();
  }

  /** From now on each message is sent at once. */
  #apart(): void {
    if (this.#isApart) return;
    this.#isApart = true;
    for (const answer of this.#answers.splice(0)) this.#carrier.each?.(answer, () => {});
  }

  #look(): void {
    if (!this.#isSealed || this.#open.size > 0) return;
    this.#isSealed = false;
    if (this.#isApart) return this.#carrier.end();
    const parts = this.#answers.flatMap((answer, at) => (at === 0 ? [answer] : [Buffer.from(","), answer]));
    const text = Buffer.concat([Buffer.from("["), ...parts, Buffer.from("]")]);
    this.#carrier.whole(parts.length === 0 ? undefined : text);
  }
}

class BatchReply implements Reply {
  call: Leavable | undefined;
  readonly clientId: string;
  readonly #batch: Batch;

  constructor(batch: Batch, clientId: string) {
    this.#batch = batch;
    this.clientId = clientId;
  }

  get takesMessages(): boolean {
    return this.#batch.takesMessages;
  }

  tell(line: Buffer, edits: Edit[], release: () => void): void {
    this.#batch.tell(splice(line, edits), release);
  }

  answer(line: Buffer, edits: Edit[], release: () => void): void {
    this.#batch.answered(this, splice(line, edits), release);
  }

  refuse(body: Buffer): void {
    this.#batch.answered(this, body, () => {});
  }

  dismiss(): void {
    this.#batch.answered(this, undefined, () => {});
  }

  heartbeat(now: number, isLate: boolean): void {
    this.#batch.heartbeat(now, isLate);
  }
}

/** Serves the messages of a batch. */
export interface BatchService {
  params: (envelope: Envelope, body: Buffer) => CallParams;
  /** The call is always answered. */
  request: (call: Call, envelope: Envelope, body: Buffer) => void;
  /** A notification, or a response of the client. */
  other: (envelope: Envelope, body: Buffer) => void;
  owner: CallOwner;
}

export function serveBatch(messages: BatchMessage[], carrier: BatchCarrier, service: BatchService): Batch {
  const batch = new Batch(carrier);
  for (const { envelope, body } of messages) {
    if (envelope.kind !== "request") {
      service.other(envelope, body);
      continue;
    }
    const params = service.params(envelope, body);
    service.request(new Call(params, batch.reply(params.clientId), service.owner), envelope, body);
  }
  batch.seal();
  return batch;
}

/** Over HTTP: a JSON array, or a stream of events. */
export function overHttp(response: ServerResponse, headers: OutgoingHttpHeaders): BatchCarrier {
  const form = replyForm(response.req.headers.accept);
  let stream: EventStream | undefined;
  const open = () => (stream ??= new EventStream(response, headers));
  const each = (message: Buffer, release: () => void) =>
    open().send(splice(message, [], eventHead, eventTail), release);
  return {
    each: form === "json" ? undefined : each,
    whole(text) {
      if (text !== undefined && form === "events") {
        each(text, () => {});
        return open().end();
      }
      const body = text ?? Buffer.alloc(0);
      const type = text === undefined ? {} : { "content-type": "application/json" };
      response.writeHead(text === undefined ? 202 : 200, { ...type, "content-length": body.length, ...headers });
      response.end(body);
    },
    heartbeat: (now) => stream?.heartbeat(now),
    end: () => open().end(),
  };
}
