/** The input and output of a terminal. */
import { specLimits } from "../../protocol/background.ts";
import type { Platform, SpawnRequest, Terminal, TerminalSize } from "../../platform/types.ts";
import type { Timer } from "../../clock.ts";
import { HoldfastError } from "../../errors.ts";
import { CaptureIo, type CaptureParts } from "./capture-io.ts";
import type { Tap } from "./output.ts";

/** Retry interval for a terminal whose program does not read, in milliseconds. */
const retryMs = 5;
/** Remembered sizes, to redraw a screen as it was. */
const sizesMax = 100;

export class TerminalIo extends CaptureIo {
  readonly hasInput = true;
  readonly #terminal: Terminal;
  readonly #ended: Promise<void>;
  #closed = false;
  #queue: Buffer[] = [];
  #queuedBytes = 0;
  #retry: Timer | undefined;

  /** Throws `spawn_failed` when no terminal is available. */
  constructor(parts: CaptureParts, size: TerminalSize, platform: Pick<Platform, "openTerminal">) {
    super(parts);
    this.sizes.push({ offset: 0, ...size });
    this.#terminal = platform.openTerminal(size);
    const { output } = this.#terminal;
    output.on("data", (chunk: Buffer) => parts.stdout.write(chunk));
    this.#ended = new Promise((resolve) => {
      output.once("close", () => {
        this.#closed = true;
        this.#drop();
        resolve();
      });
    });
  }

  get size(): TerminalSize {
    const { columns = 0, rows = 0 } = this.sizes.at(-1) ?? {};
    return { columns, rows };
  }

  request(): Pick<SpawnRequest, "terminal"> {
    return { terminal: this.#terminal.end };
  }

  begin(): void {
    this.#terminal.release();
  }

  /** Like closing the window. The terminal stays open for remaining output. */
  endInput(): void {
    this.parts.hangUp();
  }

  resize(size: TerminalSize): void {
    const { columnsMax, rowsMax } = specLimits;
    if (size.columns > columnsMax || size.rows > rowsMax)
      throw new HoldfastError("invalid_params", `a terminal has at most ${columnsMax} columns and ${rowsMax} rows`);
    if (this.#closed) throw new HoldfastError("run_ended", "the run's terminal is closed");
    this.#terminal.resize(size);
    this.sizes.push({ offset: this.parts.stdout.ring.printed, ...size });
    if (this.sizes.length > sizesMax) this.sizes.shift();
  }

  override close(): void {
    this.#closed = true;
    this.#drop();
    this.#terminal.close();
    super.close();
  }

  protected send(bytes: Buffer): void {
    if (this.#closed) throw new HoldfastError("run_ended", "the run takes no input: its terminal is closed");
    this.mustHaveRoom(this.#queuedBytes, bytes);
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.length;
    if (this.#queue.length === 1) this.#flush();
  }

  protected tap(): Tap {
    return this.#terminal.output;
  }

  protected get ended(): Promise<void> {
    return this.#ended;
  }

  /** Retries later while the program does not read its terminal. */
  #flush(): void {
    this.#retry = undefined;
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      const written = this.#closed ? next.length : this.#terminal.write(next);
      this.#queuedBytes -= written;
      if (written < next.length) {
        this.#queue[0] = next.subarray(written);
        this.#retry = this.parts.clock.after(retryMs, () => this.#flush());
        return;
      }
      this.#queue.shift();
    }
  }

  #drop(): void {
    this.#retry?.clear();
    this.#queue = [];
    this.#queuedBytes = 0;
  }
}
