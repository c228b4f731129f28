/**
 * Carries one run's stdio over the data pipe: whole lines out of stdout, whole lines into stdin, with credit both ways. The
 * front may crash in the middle of a line and be replaced: its partial lines never reach the server, undelivered lines go to
 * its successor, and without a front the server's output waits in its own pipe.
 */
import type { Spawned, SpawnRequest } from "../platform/types.ts";
import { GatheredBytes } from "../gathered-bytes.ts";
import { flags, pieceBytesMax, writeLine, type Frame } from "../protocol/keeper/frames.ts";
import { lineCostBytes, type CreditMeter, type SendWindow } from "../protocol/keeper/flow.ts";
import type { ErrorLog } from "./error-log.ts";
import { OpenIds } from "./open-ids.ts";
import type { RunIo } from "./run-parts.ts";
import { UnheardLines } from "./unheard.ts";

type Pipe = Parameters<typeof writeLine>[0];

/** The front's end as the relays see it; replaced as a whole with the front. */
export interface FrontPort {
  pipe: Pipe;
  /** Bytes in flight to the front. */
  window: SendWindow;
  /** Bytes from the front that reached a server's stdin. */
  meter: CreditMeter;
}

const newline = 10;
const newlineBytes = Buffer.from("\n");
const empty = Buffer.alloc(0);
/** Longest line assembled from the front, in bytes; equals the config's largest message size. */
const lineBytesMax = 64 * 1024 * 1024;

export class LineRelay implements RunIo {
  readonly hasInput = true;
  readonly channel: number;
  readonly openIds = new OpenIds();
  readonly #onExcess: () => void;
  readonly #errorLog: ErrorLog | undefined;
  #process: Pick<Spawned, "stdin" | "stdout"> | undefined;
  readonly #unheard = new UnheardLines();
  #port: FrontPort | undefined;
  /** The incomplete line from the front. */
  readonly #begun = new GatheredBytes();
  /** Whether the last frame sent was a piece, so that the rest of the line must follow. */
  #midLine = false;
  /** Drop the rest of this line: its beginning went to a previous front. */
  #skipping = false;
  /** Read from the server and still unsent. */
  readonly #rest = new GatheredBytes();
  /** A whole line of it waits for room. */
  #hasWaiting = false;
  #outputEnded = false;

  /** `onExcess` runs when a line from the front exceeds the limit; `errorLog` takes the server's stderr. */
  constructor(channel: number, onExcess: () => void, errorLog?: ErrorLog) {
    this.channel = channel;
    this.#onExcess = onExcess;
    this.#errorLog = errorLog;
  }

  request(): Pick<SpawnRequest, "stdin"> {
    return {};
  }

  begin(contained: Pick<Spawned, "stdin" | "stdout" | "stderr">): void {
    this.#process = contained;
    const { stdin, stdout, stderr } = contained;
    stderr?.on("data", (chunk: Buffer) => this.#errorLog?.write(chunk));
    stdout?.on("data", (chunk: Buffer) => this.#fromServer(chunk));
    stdout?.once("end", () => this.#ended());
    // The server closed its stdin or died: its exit reports that, and data in flight is lost.
    stdin?.on("error", () => {});
    stdout?.on("error", () => {});
    stdout?.pause();
  }

  get attached(): boolean {
    return this.#port !== undefined;
  }

  /** A front takes the run over: first it gets lines that its predecessor may have missed. */
  attach(port: FrontPort): void {
    this.#port = port;
    for (const line of this.#unheard.take()) this.#send(port, line, flags.again);
    if (this.#outputEnded) this.#ended();
    else this.#resumeIfRoom(port);
  }

  /** The front is gone: stop reading from the server until another one attaches. */
  detach(): void {
    this.#port = undefined;
    this.#process?.stdout?.pause();
    this.#begun.clear();
    this.#skipping ||= this.#midLine;
    this.#midLine = false;
  }

  endInput(): void {
    this.#process?.stdin?.end();
    // A full pipe must not block an orderly end.
    this.#process?.stdout?.resume();
  }

  /** The last lines still follow on the data pipe. */
  drained(): Promise<void> {
    return Promise.resolve();
  }

  close(): void {
    this.#errorLog?.close();
  }

  toServer(frame: Frame): void {
    if ((frame.flags & flags.heard) !== 0) return this.#unheard.heard(frame.request);
    const { channel, bytes } = frame;
    // A note is handled on arrival; its share of the window is returned like a line's.
    if (this.openIds.note(frame) === "note") return this.#port?.meter.consumed(channel, bytes.length);
    if (bytes.length === 0) return;
    if ((frame.flags & flags.more) === 0) return this.#write(frame);
    this.#begun.add(bytes);
    if (this.#begun.length <= lineBytesMax) return;
    this.#begun.clear();
    this.#onExcess();
  }

  /** Writes complete lines only: a partial line would corrupt the next one too. */
  #write(last: Frame): void {
    const stdin = this.#process?.stdin;
    const port = this.#port;
    this.#begun.add(last.bytes);
    const line = this.#begun.take();
    const credit = () => port?.meter.consumed(last.channel, line.length);
    if (stdin === null || stdin === undefined || !stdin.writable) return credit();
    stdin.cork();
    stdin.write(line);
    stdin.write(newlineBytes, credit);
    stdin.uncork();
  }

  #fromServer(chunk: Buffer): void {
    const port = this.#port;
    this.#rest.add(chunk);
    if (port !== undefined && chunk.length > 0 && this.#isMoreOfOneLine(chunk)) return;
    let data = this.#rest.take();
    if (port === undefined) {
      // Only while the run is ending: its output has no reader.
      this.#skipping = data.at(-1) !== newline;
      return;
    }
    if (this.#skipping) {
      const end = data.indexOf(newline);
      if (end === -1) return;
      this.#skipping = false;
      data = data.subarray(end + 1);
    }
    this.#sendRest(port, data);
    if (port.window.hasRoom(this.channel)) return;
    this.#process?.stdout?.pause();
    this.#resumeIfRoom(port);
  }

  /** True while there is nothing to send, so that pieces of a line are not searched repeatedly. */
  #isMoreOfOneLine(chunk: Buffer): boolean {
    if (this.#skipping || this.#hasWaiting) return false;
    return this.#rest.length <= pieceBytesMax && !chunk.includes(newline);
  }

  /** Sends whole lines, and long beginnings of one, as far as there is room; `isLast`: in any case. */
  #sendRest(port: FrontPort, read: Buffer, isLast = false): void {
    let data = read;
    port.pipe.cork();
    for (;;) {
      const end = data.indexOf(newline);
      const isWhole = end !== -1;
      const waits = isWhole ? !isLast && !port.window.hasRoom(this.channel) : data.length <= pieceBytesMax;
      this.#hasWaiting = isWhole && waits;
      if (waits) break;
      this.#send(port, data.subarray(0, isWhole ? end : pieceBytesMax), isWhole ? 0 : flags.more);
      data = data.subarray(isWhole ? end + 1 : pieceBytesMax);
    }
    port.pipe.uncork();
    this.#rest.add(data);
  }

  #resumeIfRoom(port: FrontPort): void {
    port.window.whenRoom(this.channel, () => {
      if (this.#port !== port) return;
      this.#fromServer(empty);
      if (port.window.hasRoom(this.channel)) this.#process?.stdout?.resume();
    });
  }

  #send(port: FrontPort, bytes: Buffer, frameFlags: number): void {
    const isPiece = (frameFlags & flags.more) !== 0;
    let line = bytes;
    if (!isPiece && line.at(-1) === 13) line = line.subarray(0, -1);
    // Skip empty lines, except as the end of a line sent in pieces.
    if (line.length === 0 && !this.#midLine) return;
    if (!isPiece) this.#unheard.add(this.#midLine ? undefined : line);
    port.window.sent(this.channel, line.length + (isPiece ? 0 : lineCostBytes));
    writeLine(port.pipe, this.channel, line, frameFlags);
    this.#midLine = isPiece;
  }

  #ended(): void {
    this.#outputEnded = true;
    if (this.#port === undefined) return;
    this.#sendRest(this.#port, this.#rest.take(), true);
    this.#tellEnd(this.#port);
  }

  #tellEnd(port: FrontPort): void {
    writeLine(port.pipe, this.channel, empty, flags.end);
  }
}
