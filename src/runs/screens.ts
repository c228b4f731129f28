/** What a person would see on a run's terminal now: an emulator fed with the run's output, kept for those who look often. */
import type { Terminal } from "@xterm/headless";
import type { Keeper } from "./keeper.ts";
import { readBytesMax, type OutputView } from "../keeper/protocol/background.ts";

/** Emulators kept, about 1 MB each; the one that was not looked at for longest goes first. */
const screensMax = 16;
/** Lines above the visible ones: none are shown, but resizing brings some back. */
const scrollback = 100;

export interface ScreenView {
  columns: number;
  rows: number;
  /** From top to bottom, without the blanks at their ends. */
  lines: string[];
  cursor: { column: number; row: number };
  /** The program has the whole screen for itself, as editors do. */
  alternate: boolean;
  /** What was printed up to here is drawn. */
  offset: number;
}

interface Modes {
  bracketedPaste: boolean;
  applicationCursor: boolean;
}

/** One terminal as far as it is drawn. */
interface Drawn {
  terminal: Terminal;
  offset: number;
  /** How many of the run's sizes are applied. */
  sizesDone: number;
}

export class Screens {
  readonly #link: Keeper;
  readonly #drawn = new Map<string, Promise<Drawn>>();

  constructor(link: Keeper) {
    this.#link = link;
  }

  /** Throws `run_unknown`. */
  async look(run: string): Promise<ScreenView> {
    const { terminal, offset } = await this.#draw(run);
    const { active } = terminal.buffer;
    const lines = Array.from(
      { length: terminal.rows },
      (_, row) => active.getLine(active.baseY + row)?.translateToString(true) ?? "",
    );
    const { cols: columns, rows } = terminal;
    const cursor = { column: active.cursorX, row: active.cursorY };
    return { columns, rows, lines, cursor, alternate: active.type === "alternate", offset };
  }

  /** What the program asked its terminal for. */
  async modes(run: string): Promise<Modes> {
    const { modes } = (await this.#draw(run)).terminal;
    return { bracketedPaste: modes.bracketedPasteMode, applicationCursor: modes.applicationCursorKeysMode };
  }

  forget(run: string): void {
    const drawn = this.#drawn.get(run);
    this.#drawn.delete(run);
    drawn?.then(({ terminal }) => terminal.dispose()).catch(() => {}); // it was never drawn
  }

  /** One look after another per run: two that feed the same emulator would mix. */
  #draw(run: string): Promise<Drawn> {
    const before = this.#drawn.get(run);
    const drawn = before === undefined ? this.#begin(run) : before.then((known) => this.#goOn(run, known));
    // Set anew so that the map's order is the order of the last looks.
    this.#drawn.delete(run);
    this.#drawn.set(run, drawn);
    drawn.catch(() => {
      if (this.#drawn.get(run) === drawn) this.#drawn.delete(run);
    });
    const [oldest] = this.#drawn.keys();
    if (this.#drawn.size > screensMax && oldest !== undefined) this.forget(oldest);
    return drawn;
  }

  async #begin(run: string): Promise<Drawn> {
    const first = await this.#read(run, 0);
    const { columns: cols, rows } = first.sizes[0] ?? { columns: 80, rows: 24 };
    // Loaded on first use: most gateways draw no screen.
    const { default: headless } = await import("@xterm/headless");
    const terminal = new headless.Terminal({ cols, rows, scrollback, allowProposedApi: true });
    return this.#goOn(run, { terminal, offset: 0, sizesDone: 1 }, first);
  }

  async #goOn(run: string, drawn: Drawn, first?: OutputView): Promise<Drawn> {
    let view = first ?? (await this.#read(run, drawn.offset));
    // What is printed while we draw is for the next look: a run that never stops must not hold this one up.
    const until = view.printed;
    for (;;) {
      await this.#feed(drawn, view);
      if (drawn.offset >= until || view.bytes === "") return drawn;
      view = await this.#read(run, drawn.offset);
    }
  }

  async #feed(drawn: Drawn, view: OutputView): Promise<void> {
    let bytes = Buffer.from(view.bytes, "base64");
    let at = view.offset;
    for (let next = view.sizes[drawn.sizesDone]; next !== undefined; next = view.sizes[drawn.sizesDone]) {
      if (next.offset > at + bytes.length) break;
      const before = bytes.subarray(0, Math.max(0, next.offset - at));
      await write(drawn.terminal, before);
      drawn.terminal.resize(next.columns, next.rows);
      drawn.sizesDone += 1;
      bytes = bytes.subarray(before.length);
      at += before.length;
    }
    await write(drawn.terminal, bytes);
    drawn.offset = at + bytes.length;
  }

  #read(run: string, offset: number): Promise<OutputView> {
    return this.#link.ask("exec.read", {
      run,
      stream: "stdout",
      offset,
      bytesMax: readBytesMax,
      waitMs: 0,
      viewer: false,
      pace: false,
    });
  }
}

function write(terminal: Terminal, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => terminal.write(bytes, resolve));
}
