/**
 * Makes a program's output safe for the emulator that draws it: counts are limited to the screen size, strings (titles, links,
 * colours, images) are omitted since a text screen shows none of them, and the work is sliced by cost, so that other work gets
 * a turn.
 */
import { EscapeSequences } from "./escape-sequences.ts";

export interface TerminalSize {
  columns: number;
  rows: number;
}

export interface Slice {
  bytes: Buffer;
  /** Relative to drawing one character, which takes about 0.1 µs. */
  cost: number;
  /** Bytes of the program's output up to the end of this slice. */
  inputBytes: number;
}

/** 5 ms on a slow processor; one sequence may cost up to ten times as much on the largest screen. */
const sliceCostMax = 50_000;
/** Repetitions of one character by one sequence, on larger screens. */
const repeatMax = 65_536;
/** The largest number other than a count: a colour, a mode, a position. */
const parameterMax = 65_535;

/** Finals whose first parameter is a count of characters or lines. */
const counts = new Set("@ABCDEFILMPSTXZabe".split(""));
/** C1 controls that move the cursor, in their form after ESC. */
const c1Escapes: Record<number, string> = { 0x84: "D", 0x85: "E", 0x88: "H", 0x8d: "M" };

export class HarmlessOutput {
  readonly #sequences: EscapeSequences;
  #columns: number;
  #rows: number;
  /** Each character moves the rest of its line. */
  #inserts = false;
  #slices: Slice[] = [];
  #pieces: Buffer[] = [];
  #cost = 0;
  #inputBytes = 0;

  constructor({ columns, rows }: TerminalSize) {
    this.#columns = columns;
    this.#rows = rows;
    this.#sequences = new EscapeSequences({
      text: (bytes) => this.#text(bytes),
      control: (code) => this.#control(code),
      escape: (body) => this.#escape(body),
      csi: (body) => this.#csi(body),
    });
  }

  /** False if the size is unchanged. */
  resize({ columns, rows }: TerminalSize): boolean {
    if (columns === this.#columns && rows === this.#rows) return false;
    this.#columns = columns;
    this.#rows = rows;
    return true;
  }

  /** The slices of these bytes; an unfinished sequence comes with the next ones. */
  take(bytes: Buffer): Slice[] {
    // In parts, so that each slice knows its approximate share of the output.
    for (let at = 0; at < bytes.length; at += 4096) {
      const part = bytes.subarray(at, at + 4096);
      this.#inputBytes += part.length;
      this.#sequences.push(part);
    }
    this.#cut();
    const slices = this.#slices;
    this.#slices = [];
    // The last slice, possibly an empty one, accounts for omitted bytes.
    const last = slices.at(-1);
    if (last === undefined) slices.push({ bytes: Buffer.alloc(0), cost: 0, inputBytes: this.#inputBytes });
    else last.inputBytes += this.#inputBytes;
    this.#inputBytes = 0;
    return slices;
  }

  #text(bytes: Buffer): void {
    const each = this.#characterCost;
    for (let at = 0; at < bytes.length;) {
      const room = Math.max(1, Math.floor((sliceCostMax - this.#cost) / each));
      const piece = bytes.subarray(at, at + room);
      this.#add(piece, piece.length * each);
      at += piece.length;
    }
  }

  #control(code: number): void {
    if (code === 0x7f) return; // terminals ignore it
    if (code < 0x80) return this.#add(Buffer.of(code), code >= 0x0a && code <= 0x0c ? this.#lineCost : 2);
    const body = c1Escapes[code];
    if (body !== undefined) this.#escape(body);
  }

  #escape(body: string): void {
    const isWhole = body === "c" || body === "#8";
    const cost = isWhole ? 3 * this.#screenCost : this.#lineCost;
    if (body === "c") this.#inserts = false;
    this.#add(Buffer.from(`\x1b${body}`, "latin1"), cost);
  }

  #csi(body: string): void {
    const parts = /^([<=>?]?)([\d;:]*)([ -/]*)([@-~])$/.exec(body);
    if (parts === null) return;
    const [, prefix = "", parameters = "", between = "", final = ""] = parts;
    // Requests for another terminal size or for other reports.
    if (final === "t") return;
    const isCount = prefix === "" && (between !== "" || counts.has(final));
    const max = final === "b" ? this.#repeatMax : isCount ? Math.max(this.#columns, this.#rows) : parameterMax;
    const bounded = parameters.replaceAll(/\d+/g, (digits) => String(Math.min(Number(digits), max)));
    const first = Math.max(1, Number.parseInt(bounded, 10) || 1);
    if (prefix === "" && (final === "h" || final === "l") && bounded.split(";").includes("4"))
      this.#inserts = final === "h";
    // The emulator may throw here, with the cursor in the last corner: isolate it, so that nothing else is lost.
    const isAlone = final === "J" && Number.parseInt(bounded, 10) === 1;
    if (isAlone) this.#cut();
    this.#add(Buffer.from(`\x1b[${prefix}${bounded}${between}${final}`, "latin1"), this.#costOf(final, between, first));
    if (isAlone) this.#cut();
  }

  #costOf(final: string, between: string, count: number): number {
    const base = 10;
    if (between !== "") return base + this.#screenCost;
    if (final === "b") return base + count * this.#characterCost;
    if ("LMST".includes(final)) return base + Math.min(count, this.#rows) * this.#lineCost;
    if ("Jhl".includes(final)) return base + this.#screenCost;
    return "@PXKIZ".includes(final) ? base + this.#columns : base;
  }

  /** A full line moves the lines above it: on a narrow screen that dominates a character's cost. */
  get #characterCost(): number {
    return 1 + this.#rows / (4 * this.#columns) + (this.#inserts ? this.#columns / 5 : 0);
  }

  get #repeatMax(): number {
    return this.#inserts ? this.#columns : Math.min(repeatMax, this.#cells);
  }

  /** Cost of one line that appears while another one goes. */
  get #lineCost(): number {
    return 2 + (this.#columns + this.#rows) / 3;
  }

  /** Cost of every cell of the screen, and every line. */
  get #screenCost(): number {
    return this.#cells / 5 + this.#rows * 5;
  }

  get #cells(): number {
    return this.#columns * this.#rows;
  }

  #add(bytes: Buffer, cost: number): void {
    this.#pieces.push(bytes);
    this.#cost += cost;
    if (this.#cost >= sliceCostMax) this.#cut();
  }

  #cut(): void {
    if (this.#pieces.length === 0) return;
    this.#slices.push({ bytes: Buffer.concat(this.#pieces), cost: this.#cost, inputBytes: this.#inputBytes });
    this.#pieces = [];
    this.#cost = 0;
    this.#inputBytes = 0;
  }
}
