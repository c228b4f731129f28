/** Answers to a client that speaks lines over one socket, and its message stream over the same socket. */
import type { Duplex } from "node:stream";
import type { ClientStream } from "../session/session-client.ts";
import type { BatchCarrier } from "../wire/batch.ts";
import type { Changes, Leavable, StreamableReply } from "../wire/call.ts";
import { queuedBytesMax, stallMsMax } from "../wire/event-stream.ts";
import { splice, type Edit } from "../wire/splice.ts";

export const lineFraming = { head: "", tail: "\n" };

/** The outgoing side of such a client, with back-pressure. */
export class LineStream implements ClientStream {
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

  /** Sends a server's unsolicited message; a reader with too much backlog is disconnected. */
  send(line: Buffer, release: () => void): void {
    if (this.isBehind) this.#socket.destroy();
    this.answer(line, release);
  }

  /** Sends an answer; reading from the client pauses while too many bytes wait. */
  answer(line: Buffer, release: () => void): void {
    if (!this.open || this.#socket.write(line)) return release();
    this.#owed.push(release);
  }

  /** More bytes wait for the reader than allowed. */
  get isBehind(): boolean {
    return this.#socket.writableLength > queuedBytesMax;
  }

  /** Disconnects a stalled reader: its servers wait behind it. */
  heartbeat(now: number): void {
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

export interface LineReplyEvents {
  /** The call is over. */
  over?: () => void;
  /** It is a stream of changes from now on. */
  streams?: () => void;
}

export class LineReply implements StreamableReply {
  readonly takesMessages = true;
  call: Leavable | undefined;
  /** Its answer is a stream of changes, which ends with its client. */
  isStream = false;
  readonly #stream: LineStream;
  readonly #told: LineReplyEvents;
  #isOver = false;

  constructor(stream: LineStream, told: LineReplyEvents = {}) {
    this.#stream = stream;
    this.#told = told;
  }

  tell(line: Buffer, edits: Edit[], release: () => void): void {
    this.#stream.send(splice(line, edits, lineFraming.head, lineFraming.tail), release);
  }

  answer(line: Buffer, edits: Edit[], release: () => void): void {
    if (this.#isOver) return release();
    this.#stream.answer(splice(line, edits, lineFraming.head, lineFraming.tail), release);
    // Last, because a client after its end of input is closed with its last request.
    this.#over();
  }

  refuse(body: Buffer): void {
    this.answer(body, [], () => {});
  }

  dismiss(): void {
    this.#over();
  }

  heartbeat(now: number): void {
    this.#stream.heartbeat(now);
  }

  takeStream(onGone: () => void): Changes {
    this.call = { gone: onGone };
    this.isStream = true;
    this.#told.streams?.();
    return {
      send: (message) => this.tell(message, [], () => {}),
      heartbeat: (now) => this.heartbeat(now),
      end: () => this.leave(),
    };
  }

  /** The client cancelled the call. */
  leave(): void {
    if (this.#isOver) return;
    this.#over();
    this.call?.gone();
  }

  #over(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#told.over?.();
  }
}

/** The answers of a batch: one line, or one each once a server sends a message in between. */
export function overLine(stream: LineStream): BatchCarrier {
  const each = (message: Buffer, release: () => void) =>
    stream.answer(splice(message, [], lineFraming.head, lineFraming.tail), release);
  return {
    each,
    whole: (text) => void (text !== undefined && each(text, () => {})),
    heartbeat: () => {},
    end: () => {},
  };
}
