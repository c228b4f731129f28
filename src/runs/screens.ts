/** The current screen of a run's terminal: an emulator fed with the run's output and cached for frequent readers. */
import { StringDecoder } from "node:string_decoder";
import type { Terminal } from "@xterm/headless";
import { readBytesMax, specLimits, type OutputView } from "../protocol/background.ts";
import { turn, type Clock } from "../clock.ts";
import { HarmlessOutput, type Slice, type TerminalSize } from "./harmless-output.ts";
import type { Runner } from "../protocol/keeper/runner.ts";

/** Cached emulators; the least recently used is evicted. */
const screensMax = 16;
/** Total cells, about 12 bytes each: sixteen screens of the usual size, or one of the largest. */
const cellsMax = 2_000_000;
/** Lines above the visible ones: hidden, but resizing brings some back. */
const scrollback = 100;
/** A look draws up to this cost and time; the next look draws the rest. */
const lookCostMax = 4_000_000;
const lookMs = 500;
/** Characters shown per cell: one, plus combining ones. */
const cellCharsMax = 16;

export interface ScreenView {
  columns: number;
  rows: number;
  /** From top to bottom, without trailing blanks. */
  lines: string[];
  cursor: { column: number; row: number };
  /** The program uses the alternate screen, as editors do. */
  alternate: boolean;
  /** Output up to this offset is drawn. */
  offset: number;
}

type Buffers = Terminal["buffer"];

interface Modes {
  bracketedPaste: boolean;
  applicationCursor: boolean;
}

/** The next drawing step: a slice of output, or another size. */
type Step = Slice | { size: TerminalSize };

/** One terminal as far as it is drawn. */
interface Drawn {
  terminal: Terminal;
  output: HarmlessOutput;
  decoder: StringDecoder;
  /** Read but not drawn. */
  steps: Step[];
  /** Offset of the drawn output. */
  offset: number;
  /** Drawn since the text was last counted. */
  uncountedBytes: number;
  /** Offset of the read output; sizes up to here are among the steps. */
  readTo: number;
}

export class Screens {
  readonly #runner: Pick<Runner, "read">;
  readonly #clock: Clock;
  /** Least recently used first. */
  readonly #drawn = new Map<string, Drawn>();
  #last: Promise<unknown> = Promise.resolve();

  constructor(runner: Pick<Runner, "read">, clock: Clock) {
    this.#runner = runner;
    this.#clock = clock;
  }

  /** Throws `run_unknown`. */
  look(run: string): Promise<ScreenView> {
    return this.#inTurn(run, viewOf);
  }

  /** Modes requested by the program. */
  modes(run: string): Promise<Modes> {
    return this.#inTurn(run, ({ terminal: { modes } }) => ({
      bracketedPaste: modes.bracketedPasteMode,
      applicationCursor: modes.applicationCursorKeysMode,
    }));
  }

  forget(run: string): void {
    this.#drawn.get(run)?.terminal.dispose();
    this.#drawn.delete(run);
  }

  /** Looks are serialised, which bounds concurrent drawing and its cost to others. */
  #inTurn<T>(run: string, use: (drawn: Drawn) => T): Promise<T> {
    const mine = this.#last.then(async () => {
      const drawn = this.#drawn.get(run) ?? (await this.#begin(run));
      this.#drawn.delete(run);
      try {
        await this.#goOn(run, drawn);
        const taken = use(drawn);
        if (!isOvergrown(drawn)) this.#keep(run, drawn);
        return taken;
      } finally {
        if (this.#drawn.get(run) !== drawn) drawn.terminal.dispose();
      }
    });
    this.#last = mine.catch(() => {}); // its own caller gets the error
    return mine;
  }

  #keep(run: string, drawn: Drawn): void {
    this.#drawn.set(run, drawn);
    let cells = [...this.#drawn.values()].reduce((sum, each) => sum + cellsOf(each), 0);
    for (const [name, each] of this.#drawn) {
      if (name === run || (this.#drawn.size <= screensMax && cells <= cellsMax)) break;
      cells -= cellsOf(each);
      this.forget(name);
    }
  }

  async #begin(run: string): Promise<Drawn> {
    const first = await this.#read(run, 0, 1);
    const size = bounded(first.sizes[0] ?? { columns: 80, rows: 24 });
    // Loaded on first use: most gateways draw no screen.
    const { default: headless } = await import("@xterm/headless");
    const { columns: cols, rows } = size;
    const terminal = new headless.Terminal({ cols, rows, scrollback, allowProposedApi: true, logLevel: "off" });
    const output = new HarmlessOutput(size);
    return { terminal, output, decoder: new StringDecoder("utf8"), steps: [], offset: 0, uncountedBytes: 0, readTo: 0 };
  }

  /** Output during the drawing is left to the next look: an endless run must not delay this one. */
  async #goOn(run: string, drawn: Drawn): Promise<void> {
    const began = this.#clock.monotonic();
    let cost = 0;
    let until = 0;
    for (let hasMore = true; ;) {
      for (let step = drawn.steps.shift(); step !== undefined; step = drawn.steps.shift()) {
        cost += await draw(drawn, step, this.#clock);
        if (cost > lookCostMax && this.#clock.monotonic() - began > lookMs) return;
      }
      if (!hasMore) return;
      const view = await this.#read(run, drawn.readTo, readBytesMax);
      until ||= view.printed;
      hasMore = take(drawn, view) && drawn.readTo < until;
    }
  }

  #read(run: string, offset: number, bytesMax: number): Promise<OutputView> {
    return this.#runner.read({ run, stream: "stdout", offset, bytesMax, waitMs: 0, viewer: false, pace: false });
  }
}

/** Turns the read output into steps, with size changes in their places. False: there is nothing more. */
function take(drawn: Drawn, view: OutputView): boolean {
  let bytes = Buffer.from(view.bytes, "base64");
  let at = Math.max(view.offset, drawn.readTo);
  const hasMore = bytes.length > 0;
  // Skipped bytes were overwritten, so they contribute nothing to the drawing.
  if (at > drawn.readTo) drawn.steps.push({ bytes: Buffer.alloc(0), cost: 0, inputBytes: at - drawn.readTo });
  for (const [index, { offset, ...given }] of view.sizes.entries()) {
    if (offset < drawn.readTo || offset > at + bytes.length || view.sizes[index + 1]?.offset === offset) continue;
    const before = bytes.subarray(0, Math.max(0, offset - at));
    if (before.length > 0) drawn.steps.push(...drawn.output.take(before));
    bytes = bytes.subarray(before.length);
    at += before.length;
    const size = bounded(given);
    if (drawn.output.resize(size)) drawn.steps.push({ size });
  }
  if (bytes.length > 0) for (const slice of drawn.output.take(bytes)) drawn.steps.push(slice);
  drawn.readTo = at + bytes.length;
  return hasMore;
}

/** The public `write` works in a timer, where an exception of the emulator would be uncaught and end this process. */
interface Emulator {
  _core: { _inputHandler: { parse(data: string): void } };
}

const cancel = "\u0018";

function parse(terminal: Terminal, text: string): void {
  const { _core: core } = terminal as unknown as Emulator;
  try {
    core._inputHandler.parse(text);
  } catch {
    // An emulator defect: the rest of this slice is lost. The next one begins outside any sequence.
    core._inputHandler.parse(cancel);
  }
}

/** Resolves in a later turn of the loop, with its cost. */
async function draw(drawn: Drawn, step: Step, clock: Clock): Promise<number> {
  const { terminal, decoder } = drawn;
  if ("size" in step) {
    const { columns, rows } = step.size;
    terminal.resize(columns, rows);
    return columns * rows;
  }
  drawn.offset += step.inputBytes;
  drawn.uncountedBytes += step.bytes.length;
  if (step.bytes.length > 0) {
    parse(terminal, decoder.write(step.bytes));
    await turn(clock);
  }
  return step.cost;
}

/** A node may report any size. */
function bounded({ columns, rows }: TerminalSize): TerminalSize {
  const within = (value: number, max: number) => Math.max(1, Math.min(Math.floor(value), max));
  return { columns: within(columns, specLimits.columnsMax), rows: within(rows, specLimits.rowsMax) };
}

function cellsOf({ terminal }: Drawn): number {
  return terminal.cols * (terminal.rows + scrollback);
}

/** A cell can hold any number of combining characters: such a screen is redrawn from its beginning. */
function isOvergrown(drawn: Drawn): boolean {
  const cells = cellsOf(drawn);
  if (drawn.uncountedBytes < cellCharsMax * cells) return false;
  drawn.uncountedBytes = 0;
  const { normal, alternate } = drawn.terminal.buffer;
  return charsIn(normal) + charsIn(alternate) > cellCharsMax * cells;
}

function charsIn(buffer: Buffers["normal"]): number {
  let chars = 0;
  for (let row = 0; row < buffer.length; row += 1) chars += buffer.getLine(row)?.translateToString(true).length ?? 0;
  return chars;
}

function viewOf({ terminal, offset }: Drawn): ScreenView {
  const { active } = terminal.buffer;
  const { cols: columns, rows } = terminal;
  const line = (row: number) => active.getLine(active.baseY + row)?.translateToString(true) ?? "";
  const lines = Array.from({ length: rows }, (_, row) => line(row).slice(0, cellCharsMax * columns));
  const cursor = { column: active.cursorX, row: active.cursorY };
  return { columns, rows, lines, cursor, alternate: active.type === "alternate", offset };
}
