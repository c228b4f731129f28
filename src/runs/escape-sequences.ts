/**
 * Separates text from terminal controls (ECMA-48 and xterm's additions) in a stream of bytes: linear, in constant memory,
 * with any chunk boundaries. C1 controls are recognised in their UTF-8 form; their bare bytes do not count as text.
 *
 *   ground ─ESC→ escape ─[→ control ─final→ ground        CAN and SUB end any of them; ESC begins another one
 *                       ─] P X ^ _→ string ─BEL, ST→ ground
 */

export interface TerminalParts {
  /** Printable characters: UTF-8 unchanged, complete or partial. */
  text(bytes: Buffer): void;
  /** A standalone C0 or C1 control, or DEL; never ESC, CAN, SUB or the beginning of a sequence. */
  control(code: number): void;
  /** The part after ESC: intermediates and the final character. */
  escape(body: string): void;
  /** The part after CSI: parameters, intermediates and the final character. */
  csi(body: string): void;
  /** A sequence begins: events from now until its end may be repeated. Also for CAN and SUB, which are one byte long. */
  begins?(): void;
}

type State = "ground" | "escape" | "control" | "string";

/** Terminals ignore longer control sequences; they are skipped to their end. */
const bodyBytesMax = 256;

const [bel, cancel, substitute, esc, del] = [0x07, 0x18, 0x1a, 0x1b, 0x7f];
/** First byte of every C1 control in UTF-8. */
const lead = 0xc2;
const csi = 0x9b;
const c1Strings = new Set([0x90, 0x98, 0x9d, 0x9e, 0x9f]);
const operatingSystemCommand = 0x5d;
const escapeStrings = new Set([0x50, 0x58, operatingSystemCommand, 0x5e, 0x5f]);
/** U+FFFD in UTF-8: replaces an incomplete first byte, so that no later byte can complete it. */
const replacement = Buffer.from("\u{fffd}");

export class EscapeSequences {
  readonly #parts: TerminalParts;
  #state: State = "ground";
  #body = "";
  #bodyBytes = 0;
  /** BEL also ends this string. */
  #endsWithBell = false;
  /** The last byte was the first one of a C1 control, or of another character. */
  #led = false;
  #taken = 0;
  /** Offset of the first byte of the unfinished part, in the whole input. */
  #startedAt: number | undefined;

  constructor(parts: TerminalParts) {
    this.#parts = parts;
  }

  /** Bytes at the end of the input that belong to an unfinished sequence or C1 control. */
  get pendingBytes(): number {
    return this.#startedAt === undefined ? 0 : this.#taken - this.#startedAt;
  }

  push(bytes: Buffer): void {
    for (let at = 0; at < bytes.length;) {
      if (this.#state === "ground" && !this.#led) {
        const end = textEnd(bytes, at);
        if (end > at) this.#parts.text(bytes.subarray(at, end));
        this.#taken += end - at;
        at = end;
        if (at === bytes.length) break;
      }
      this.#take(bytes[at] ?? 0);
      this.#taken += 1;
      at += 1;
    }
  }

  #take(byte: number): void {
    if (this.#led) {
      this.#led = false;
      if (byte >= 0x80 && byte <= 0x9f) return this.#c1(byte);
      const isCharacter = byte >= 0xa0 && byte <= 0xbf;
      if (this.#state === "ground") {
        this.#startedAt = undefined;
        this.#parts.text(isCharacter ? Buffer.of(lead, byte) : replacement);
      }
      if (isCharacter) return;
    }
    if (byte === esc) return this.#begin("escape", this.#taken);
    if (byte === lead) {
      if (this.#state !== "string") this.#begin("ground", this.#taken);
      this.#led = true;
    } else if (byte === cancel || byte === substitute) {
      this.#parts.begins?.();
      this.#toGround();
    } else if (this.#state === "string") this.#inString(byte);
    else if (byte < 0x20 || (byte === del && this.#state === "ground")) this.#parts.control(byte);
    else if (byte >= 0x80 || this.#state === "ground") {
      // A character that cannot occur in sequences ends this one, and is text.
      this.#toGround();
      this.#parts.text(Buffer.of(byte));
    } else if (byte !== del) this.#inSequence(byte);
  }

  #inString(byte: number): void {
    if (byte === bel && this.#endsWithBell) this.#toGround();
  }

  #inSequence(byte: number): void {
    this.#bodyBytes += 1;
    if (this.#bodyBytes <= bodyBytesMax) this.#body += String.fromCharCode(byte);
    if (this.#state === "control" ? byte < 0x40 : byte < 0x30) return;
    if (this.#state === "escape" && this.#bodyBytes === 1) {
      if (byte === 0x5b) return this.#enter("control");
      this.#endsWithBell = byte === operatingSystemCommand;
      if (escapeStrings.has(byte)) return this.#enter("string");
    }
    const [isControl, body] = [this.#state === "control", this.#body];
    this.#toGround();
    if (this.#bodyBytes > bodyBytesMax) return;
    if (isControl) this.#parts.csi(body);
    else this.#parts.escape(body);
  }

  #c1(code: number): void {
    const [wasString, leadAt] = [this.#state === "string", this.#taken - 1];
    if (code === csi) return this.#begin("control", leadAt);
    this.#endsWithBell = code === 0x9d;
    if (c1Strings.has(code)) return this.#begin("string", leadAt);
    this.#toGround();
    if (!wasString) this.#parts.control(code);
  }

  /** Drops the unfinished part. */
  #begin(state: State, at: number): void {
    this.#startedAt = at;
    this.#parts.begins?.();
    this.#enter(state);
  }

  #enter(state: State): void {
    this.#state = state;
    this.#body = "";
    this.#bodyBytes = 0;
  }

  #toGround(): void {
    this.#state = "ground";
    this.#startedAt = undefined;
  }
}

/** Offset of the first byte at or after `from` that is not plain text. */
function textEnd(bytes: Buffer, from: number): number {
  let at = from;
  for (; at < bytes.length; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte < 0x20 || byte === del || byte === lead) return at;
  }
  return at;
}
