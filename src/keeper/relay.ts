/**
 * Carries one run's stdio over the data pipe: whole lines out of stdout, whole lines into stdin, with credit both ways.
 * The front at the other end may die in the middle of a line and be replaced: what it had sent half never reaches the server,
 * what was on its way to it goes to the next one, and while there is none the server's output waits in its own pipe.
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

/** The front's end of things as the relays see it; replaced as a whole when the front is. */
export interface FrontPort {
  pipe: Pipe;
  /** Bytes on their way to the front. */
  window: SendWindow;
  /** Bytes from the front that reached a server's stdin. */
  meter: CreditMeter;
}

const newline = 10;
const newlineBytes = Buffer.from("\n");
const empty = Buffer.alloc(0);
/** Longest line from the front that is put together, in bytes; as much as the config lets a message be. */
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
  /** Of a line from the front that is not whole yet. */
  readonly #begun = new GatheredBytes();
  /** Whether the last frame sent was a piece, so that the rest of the line must follow as it comes. */
  #midLine = false;
  /** The rest of this line is dropped: its beginning went to a front that is gone. */
  #skipping = false;
  /** Read from the server and not sent yet. */
  readonly #rest = new GatheredBytes();
  /** A whole line of it waits for room. */
  #hasWaiting = false;
  #outputEnded = false;

  /** `onExcess` runs when the front sends a line without end; `errorLog` takes the server's stderr. */
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
    // The server closed its stdin or died: its exit tells, and what was on the way is lost with it.
    stdin?.on("error", () => {});
    stdout?.on("error", () => {});
    stdout?.pause();
  }

  get attached(): boolean {
    return this.#port !== undefined;
  }

  /** A front takes the run over: first it gets what the one before may not have heard. */
  attach(port: FrontPort): void {
    this.#port = port;
    for (const line of this.#unheard.take()) this.#send(port, line, flags.again);
    if (this.#outputEnded) this.#ended();
    else this.#resumeIfRoom(port);
  }

  /** The front is gone: nothing is read from the server until another one is attached. */
  detach(): void {
    this.#port = undefined;
    this.#process?.stdout?.pause();
    this.#begun.clear();
    this.#skipping ||= this.#midLine;
    this.#midLine = false;
  }

  endInput(): void {
    this.#process?.stdin?.end();
    // A full pipe must not keep a run that is ending from ending well.
    this.#process?.stdout?.resume();
  }

  /** The last lines follow on the data pipe, whenever they come. */
  drained(): Promise<void> {
    return Promise.resolve();
  }

  close(): void {
    this.#errorLog?.close();
  }

  toServer(frame: Frame): void {
    if ((frame.flags & flags.heard) !== 0) return this.#unheard.heard(frame.request);
    const { channel, bytes } = frame;
    // A word is dealt with as it comes; what it took of the window is given back like a line's.
    if (this.openIds.note(frame) === "word") return this.#port?.meter.consumed(channel, bytes.length);
    if (bytes.length === 0) return;
    if ((frame.flags & flags.more) === 0) return this.#write(frame);
    this.#begun.add(bytes);
    if (this.#begun.length <= lineBytesMax) return;
    this.#begun.clear();
    this.#onExcess();
  }

  /** Nothing goes out before the line is whole: half of one would make the next line unreadable too. */
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
      // Only while the run is being ended: nobody is there to read it.
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

  /** There is nothing to send yet: what was read is not looked through again for each piece of a line. */
  #isMoreOfOneLine(chunk: Buffer): boolean {
    if (this.#skipping || this.#hasWaiting) return false;
    return this.#rest.length <= pieceBytesMax && !chunk.includes(newline);
  }

  /** Sends the whole lines of what was read, and long beginnings of one, as far as there is room; `isLast`: in any case. */
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
    // An empty line carries no message, unless it is the end of one that came in pieces.
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
