/** A call of a client that speaks lines over one socket, and what that client listens on: the same socket. */
import type { Duplex } from "node:stream";
import type { Timer } from "../../clock.ts";
import type { BatchCarrier } from "../batch.ts";
import type { CallParams } from "../call.ts";
import { queuedBytesMax, stallMsMax } from "../event-stream.ts";
import { errorBody, type RpcFault } from "../json-rpc.ts";
import { splice, type Edit } from "../splice.ts";
import type { Listening, PatientCall } from "./client-side.ts";

export const lineFraming = { head: "", tail: "\n" };

/** The way to such a client, with back-pressure. */
export class LineStream implements Listening {
  readonly #socket: Duplex;
  #owed: (() => void)[] = [];
  #stalledSince: number | undefined;

  constructor(socket: Duplex) {
    this.#socket = socket;
    socket.on("drain", () => this.#settle()).once("close", () => this.#settle());
  }

  get open(): boolean {
    return this.#socket.writable;
  }

  /** What the servers say of their own accord; a reader who lets too much of it wait is cut off. */
  send(line: Buffer, release: () => void): void {
    if (this.isBehind) this.#socket.destroy();
    this.answer(line, release);
  }

  /** What the client asked for; it is not heard further while too much waits for it. */
  answer(line: Buffer, release: () => void): void {
    if (!this.open || this.#socket.write(line)) return release();
    this.#owed.push(release);
  }

  /** More waits for the reader than may. */
  get isBehind(): boolean {
    return this.#socket.writableLength > queuedBytesMax;
  }

  /** A reader that takes nothing for long is cut off: its servers wait behind it. */
  beat(now: number): void {
    if (!this.#socket.writableNeedDrain) return;
    this.#stalledSince ??= now;
    if (now - this.#stalledSince >= stallMsMax) this.#socket.destroy();
  }

  end(): void {
    if (this.open) this.#socket.end();
  }

  #settle(): void {
    this.#stalledSince = undefined;
    const owed = this.#owed;
    this.#owed = [];
    for (const release of owed) release();
  }
}

export class LineCall implements PatientCall {
  readonly params: CallParams;
  deadline: Timer | undefined;
  done = false;
  readonly #stream: LineStream;
  readonly #onDone: (call: LineCall) => void;

  constructor(params: CallParams, stream: LineStream, onDone: (call: LineCall) => void) {
    this.params = params;
    this.#stream = stream;
    this.#onDone = onDone;
  }

  tell(line: Buffer, edits: Edit[], release: () => void): void {
    this.#stream.send(splice(line, edits, lineFraming.head, lineFraming.tail), release);
  }

  answer(line: Buffer, edits: Edit[], release: () => void): void {
    if (this.done) return release();
    this.done = true;
    this.#stream.answer(splice(line, edits, lineFraming.head, lineFraming.tail), release);
    // The last of all: a client whose input ended is let go once its last call is done.
    this.#finish();
  }

  fail(fault: RpcFault): void {
    this.answer(errorBody(this.params.clientId, fault), [], () => {});
  }

  /** By the protocol a call that was cancelled gets no answer. */
  dismiss(): void {
    this.#finish();
  }

  beat(): void {
    // A line needs nothing to stay open.
  }

  #finish(): void {
    this.done = true;
    this.deadline?.clear();
    this.#onDone(this);
  }
}

/** The answers of a batch: one line, or each its own once a server says something on the way. */
export function overLine(stream: LineStream): BatchCarrier {
  const each = (message: Buffer, release: () => void) =>
    stream.answer(splice(message, [], lineFraming.head, lineFraming.tail), release);
  return {
    each,
    whole: (text) => void (text !== undefined && each(text, () => {})),
    beat: () => {},
    end: () => {},
  };
}
