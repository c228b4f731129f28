/** Carries one run's stdio over the data pipe: whole lines out of stdout, whole lines into stdin, with credit both ways. */
import type { ChildProcess } from "node:child_process";
import { flags, pieceBytesMax, writeLine, type Frame } from "./protocol/frames.ts";
import { SendWindow, type CreditMeter } from "./protocol/flow.ts";

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

export class LineRelay {
  readonly channel: number;
  readonly openIds = { toServer: new Set<number>(), toFront: new Set<number>() };
  readonly #child: ChildProcess;
  #port: FrontPort | undefined;
  /** Whether the last frame sent was a piece, so that the rest of the line must follow as it comes. */
  #midLine = false;
  #rest: Buffer = Buffer.alloc(0);

  constructor(channel: number, child: ChildProcess) {
    this.channel = channel;
    this.#child = child;
    child.stdout?.on("data", (chunk: Buffer) => this.#fromServer(chunk));
    child.stdout?.once("end", () => this.#ended());
    // The server closed its stdin or died: its exit tells, and what was on the way is lost with it.
    child.stdin?.on("error", () => {});
    child.stdout?.on("error", () => {});
    child.stdout?.pause();
  }

  attach(port: FrontPort): void {
    this.#port = port;
    this.#child.stdout?.resume();
  }

  /** The front is gone: nothing is read from the server until another one is attached. */
  detach(): void {
    this.#port = undefined;
    this.#child.stdout?.pause();
  }

  endStdin(): void {
    this.#child.stdin?.end();
    // Nobody reads on for a run that is ending, and a full pipe must not keep it from ending well.
    this.#child.stdout?.resume();
  }

  toServer(frame: Frame): void {
    this.#note(frame);
    if (frame.bytes.length === 0) return;
    const stdin = this.#child.stdin;
    const port = this.#port;
    const credit = () => port?.meter.consumed(frame.channel, frame.bytes.length);
    if (stdin === null || !stdin.writable) return credit();
    if ((frame.flags & flags.more) !== 0) {
      stdin.write(frame.bytes, credit);
      return;
    }
    stdin.cork();
    stdin.write(frame.bytes);
    stdin.write(newlineBytes, credit);
    stdin.uncork();
  }

  #note(frame: Frame): void {
    if (frame.request === 0) return;
    const ids = (frame.flags & flags.fromServer) === 0 ? this.openIds.toServer : this.openIds.toFront;
    if ((frame.flags & flags.opens) !== 0) ids.add(frame.request);
    if ((frame.flags & flags.closes) !== 0) ids.delete(frame.request);
  }

  #fromServer(chunk: Buffer): void {
    const port = this.#port;
    if (port === undefined) return; // only while the run is being ended: nobody is there to read it
    let data = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    port.pipe.cork();
    for (let end = data.indexOf(newline); end !== -1; end = data.indexOf(newline)) {
      this.#send(port, data.subarray(0, end), 0);
      data = data.subarray(end + 1);
    }
    while (data.length > pieceBytesMax) {
      this.#send(port, data.subarray(0, pieceBytesMax), flags.more);
      data = data.subarray(pieceBytesMax);
    }
    port.pipe.uncork();
    this.#rest = data;
    if (port.window.hasRoom(this.channel)) return;
    this.#child.stdout?.pause();
    port.window.whenRoom(this.channel, () => this.#child.stdout?.resume());
  }

  #send(port: FrontPort, bytes: Buffer, frameFlags: number): void {
    let line = bytes;
    if (frameFlags === 0 && line.at(-1) === 13) line = line.subarray(0, -1);
    // An empty line carries no message, unless it is the end of one that came in pieces.
    if (line.length === 0 && !this.#midLine) return;
    port.window.sent(this.channel, line.length);
    writeLine(port.pipe, this.channel, line, frameFlags);
    this.#midLine = frameFlags !== 0;
  }

  #ended(): void {
    const port = this.#port;
    if (port !== undefined) writeLine(port.pipe, this.channel, Buffer.alloc(0), flags.end);
  }
}
