/** A status line for silent commands: elapsed time, bytes printed, where to look. */
import type { RunView } from "../protocol/run.ts";
import { systemClock, type Timer } from "../clock.ts";
import { size } from "./describe-run.ts";
import { duration } from "./print.ts";

/** A command that prints or ends within this time gets no line. */
const quietMs = 3000;
const everyMs = 1000;

export class LiveLine {
  readonly #began = systemClock.monotonic();
  readonly #timer: Timer | undefined;
  #run: RunView;
  #lastPrinted = systemClock.monotonic();
  #bytes = 0;
  #atLineStart = true;
  #shown = false;

  constructor(run: RunView) {
    this.#run = run;
    if (!process.stderr.isTTY) return;
    this.#timer = systemClock.every(everyMs, () => this.#draw());
  }

  update(run: RunView): void {
    this.#run = run;
  }

  printed(bytes: Buffer, stream: "stdout" | "stderr" = "stdout"): void {
    this.#hide();
    this.#bytes += bytes.length;
    this.#lastPrinted = systemClock.monotonic();
    if (process[stream].isTTY) this.#atLineStart = bytes.at(-1) === 10;
  }

  clear(): void {
    this.#timer?.clear();
    this.#hide();
  }

  #draw(): void {
    const silentMs = systemClock.monotonic() - this.#lastPrinted;
    if (silentMs < quietMs || !this.#atLineStart) return;
    const { id, state } = this.#run;
    const text = `${state} for ${duration(systemClock.monotonic() - this.#began)}, ${size(this.#bytes)} printed, silent for ${duration(silentMs)}  (run ${id})`;
    process.stderr.write(`\r\x1b[K${text}`);
    this.#shown = true;
  }

  #hide(): void {
    if (!this.#shown) return;
    this.#shown = false;
    process.stderr.write("\r\x1b[K");
  }
}
