/** A background run's input and output: what it prints goes to its rings, what is sent to it waits in a bounded queue. */
import { closeSync, writeSync } from "node:fs";
import { ReadStream } from "node:tty";
import type { Clock, Timer } from "../../clock.ts";
import type { ContainedProcess, SpawnRequest } from "../../platform/types.ts";
import { openTerminal, resize, type Terminal, type TerminalSize } from "../../platform/linux/terminal.ts";
import { HoldfastError } from "../../errors.ts";
import type { BackgroundSpec } from "../protocol/background.ts";
import type { RunOutput, Tap } from "./output.ts";

/** Bytes that may wait for a run to read its input. */
const inputBytesMax = 1024 * 1024;
/** Time for the last bytes to come out once the tree is gone; somebody else may hold the other end. */
const drainBoundMs = 1000;
/** Between two tries to write to a terminal whose program does not read. */
const retryMs = 5;

/** How a run is fed and heard. One per run. */
export interface RunIo {
  /** What the spawn needs to know of it. */
  request(): Pick<SpawnRequest, "stdin" | "terminal">;
  begin(contained: ContainedProcess): void;
  /** Throws `input_full` when more than 1 MiB wait already, `run_ended` when nothing can be sent any more. */
  write(bytes: Buffer): void;
  /** No more input: the first step of a stop. */
  endInput(): void;
  /** Whether the command can notice the end of its input, so that it is worth a grace. */
  readonly hasInput: boolean;
  /** What fills stdout, which is both streams where they are merged; and what fills a stderr of its own. */
  tap(of: "stdout" | "stderr"): Tap;
  /** Resolves when all that was printed is in its ring; bounded. */
  drained(): Promise<void>;
  close(): void;
}

export interface IoParts {
  clock: Clock;
  stdout: RunOutput;
  /** Null: what comes there goes to stdout, in the order in which it comes. */
  stderr: RunOutput | null;
  /** Hangs up: every process of the run is told that its terminal is gone. */
  hangUp: () => void;
}

function full(): HoldfastError {
  return new HoldfastError(
    "input_full",
    `the run does not read: ${inputBytesMax} bytes wait for it already; try again`,
  );
}

function closeRings({ stdout, stderr }: IoParts): void {
  stdout.ring.close();
  stderr?.ring.close();
}

/** Whatever comes first: the event, or the bound. */
function bounded(clock: Clock, done: Promise<void>, boundMs: number): Promise<void> {
  return new Promise((resolve) => {
    const late = clock.after(boundMs, resolve);
    void done.then(() => {
      late.clear();
      resolve();
    });
  });
}

/** Kind `exec`: three pipes. */
export class PipeIo implements RunIo {
  readonly hasInput: boolean;
  readonly #parts: IoParts;
  #process: ContainedProcess | undefined;
  #ended: Promise<void> = Promise.resolve();

  constructor(parts: IoParts, hasInput: boolean) {
    this.#parts = parts;
    this.hasInput = hasInput;
  }

  request(): Pick<SpawnRequest, "stdin" | "terminal"> {
    return { stdin: this.hasInput ? "pipe" : "ignore" };
  }

  begin(contained: ContainedProcess): void {
    this.#process = contained;
    const { stdin, stdout, stderr } = contained.child;
    stdin?.on("error", () => {}); // the command closed it or died: its exit tells
    const into = [this.#parts.stdout, this.#parts.stderr ?? this.#parts.stdout] as const;
    const ends = [stdout, stderr].map((stream, index) => {
      stream?.on("data", (chunk: Buffer) => into[index]?.write(chunk));
      stream?.on("error", () => {}); // "close" follows
      return new Promise<void>((resolve) => stream?.once("close", resolve));
    });
    this.#ended = Promise.all(ends).then(() => {});
  }

  write(bytes: Buffer): void {
    const stdin = this.#process?.child.stdin;
    if (stdin === null || stdin === undefined || !stdin.writable)
      throw new HoldfastError("run_ended", "the run takes no input: its stdin is closed");
    if (stdin.writableLength + bytes.length > inputBytesMax) throw full();
    stdin.write(bytes);
  }

  endInput(): void {
    this.#process?.child.stdin?.end();
  }

  tap(of: "stdout" | "stderr"): Tap {
    const pipes = () => {
      const { stdout, stderr } = this.#process?.child ?? {};
      if (this.#parts.stderr === null) return [stdout, stderr];
      return [of === "stdout" ? stdout : stderr];
    };
    return {
      pause: () => pipes().forEach((pipe) => pipe?.pause()),
      resume: () => pipes().forEach((pipe) => pipe?.resume()),
    };
  }

  drained(): Promise<void> {
    return bounded(this.#parts.clock, this.#ended, drainBoundMs);
  }

  close(): void {
    const child = this.#process?.child;
    for (const stream of [child?.stdin, child?.stdout, child?.stderr]) stream?.destroy();
    closeRings(this.#parts);
  }
}

/** Kind `pty`: one terminal. */
export class TerminalIo implements RunIo {
  readonly hasInput = true;
  size: TerminalSize;
  readonly #parts: IoParts;
  readonly #terminal: Terminal;
  readonly #stream: ReadStream;
  readonly #ended: Promise<void>;
  #slaveIsOpen = true;
  #closed = false;
  #queue: Buffer[] = [];
  #queuedBytes = 0;
  #retry: Timer | undefined;

  /** Throws `spawn_failed` when there is no terminal to be had. */
  constructor(parts: IoParts, size: TerminalSize) {
    this.#parts = parts;
    this.size = size;
    this.#terminal = openTerminal(size);
    this.#stream = new ReadStream(this.#terminal.master);
    this.#stream.on("data", (chunk: Buffer) => parts.stdout.write(chunk));
    // EIO is how a terminal says that nobody has its other end open any more; "close" follows.
    this.#stream.on("error", () => {});
    this.#ended = new Promise((resolve) => {
      this.#stream.once("close", () => {
        this.#closed = true;
        this.#drop();
        resolve();
      });
    });
  }

  request(): Pick<SpawnRequest, "stdin" | "terminal"> {
    return { terminal: this.#terminal.slave };
  }

  begin(): void {
    this.#closeSlave();
  }

  write(bytes: Buffer): void {
    if (this.#closed) throw new HoldfastError("run_ended", "the run takes no input: its terminal is closed");
    if (this.#queuedBytes + bytes.length > inputBytesMax) throw full();
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.length;
    if (this.#queue.length === 1) this.#flush();
  }

  resize(size: TerminalSize): void {
    if (this.#closed) throw new HoldfastError("run_ended", "the run's terminal is closed");
    resize(this.#terminal.master, size);
    this.size = size;
  }

  /** As when a person closes the window. The master stays open for what is still printed. */
  endInput(): void {
    this.#parts.hangUp();
  }

  tap(): Tap {
    return this.#stream;
  }

  drained(): Promise<void> {
    return bounded(this.#parts.clock, this.#ended, drainBoundMs);
  }

  close(): void {
    this.#closed = true;
    this.#drop();
    this.#closeSlave();
    this.#stream.destroy();
    closeRings(this.#parts);
  }

  /**
   * Not through the stream: libuv would wait, with the whole keeper, for a program that does not read its terminal. This one
   * is never blocked, and tries again a little later.
   */
  #flush(): void {
    this.#retry = undefined;
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      const written = this.#writeSome(next);
      this.#queuedBytes -= written;
      if (written < next.length) {
        this.#queue[0] = next.subarray(written);
        this.#retry = this.#parts.clock.after(retryMs, () => this.#flush());
        return;
      }
      this.#queue.shift();
    }
  }

  #writeSome(bytes: Buffer): number {
    if (this.#closed) return bytes.length;
    try {
      return writeSync(this.#terminal.master, bytes);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EAGAIN") return 0;
      return bytes.length; // hung up: "close" tells, and nobody is there to read the rest
    }
  }

  #drop(): void {
    this.#retry?.clear();
    this.#queue = [];
    this.#queuedBytes = 0;
  }

  #closeSlave(): void {
    if (!this.#slaveIsOpen) return;
    this.#slaveIsOpen = false;
    closeSync(this.#terminal.slave);
  }
}

/** Throws `spawn_failed` when there is no terminal to be had. */
export function makeIo({ kind, size, stdin }: BackgroundSpec, parts: IoParts): RunIo {
  return kind === "pty" ? new TerminalIo(parts, size) : new PipeIo(parts, stdin);
}
