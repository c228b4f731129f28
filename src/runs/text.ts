/** Output as text: without terminal controls, and cut at character and sequence boundaries. */
import { EscapeSequences } from "./escape-sequences.ts";

/** Length of an incomplete UTF-8 character at the end; 0 when the end is complete, or not UTF-8 at all. */
export function unfinishedBytes(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back] ?? 0;
    if ((byte & 0b1100_0000) === 0b1000_0000) continue;
    const length = byte >= 0b1111_0000 ? 4 : byte >= 0b1110_0000 ? 3 : byte >= 0b1100_0000 ? 2 : 1;
    return length > back ? back : 0;
  }
  return 0;
}

const nothing: Buffer = Buffer.alloc(0);
/** U+FFFD in UTF-8. */
const replacement = Buffer.from("\u{fffd}");

/** Takes output in pieces, starting at a possible character and sequence boundary. */
export class PlainText {
  readonly #sequences: EscapeSequences;
  #kept: Buffer[] = [];
  #keptBytes = 0;
  #pushedBytes = 0;
  /** At most three bytes: a character that ends with them may be incomplete. */
  #lastPushed: Buffer = nothing;
  /** Part of `#keptBytes`, before the last sequence began. */
  #mark = 0;

  constructor() {
    this.#sequences = new EscapeSequences({
      text: (bytes) => this.#keep(bytes),
      // Line ends and tabs are among the C0 controls; the C1 controls are commands.
      control: (code) => (code < 0x80 ? this.#keep(Buffer.of(code)) : undefined),
      escape() {},
      csi() {},
      begins: () => {
        this.#endCharacter();
        this.#mark = this.#keptBytes;
      },
    });
  }

  push(bytes: Buffer): void {
    this.#sequences.push(bytes);
    this.#pushedBytes += bytes.length;
    this.#lastPushed = bytes.length >= 3 ? bytes.subarray(-3) : Buffer.concat([this.#lastPushed, bytes]).subarray(-3);
  }

  /** Drops the text so far; an unfinished sequence continues. */
  forget(): void {
    this.#kept = [];
    this.#lastPushed = nothing;
    this.#keptBytes = this.#mark = this.#pushedBytes = 0;
  }

  /** `takenBytes`: of the pushed bytes; the rest is an incomplete character or sequence. With `isLast` there is no rest. */
  read(isLast: boolean): { text: string; takenBytes: number } {
    const { pendingBytes } = this.#sequences;
    // Events inside an unfinished sequence are repeated with it.
    const whole = Buffer.concat(this.#kept).subarray(0, pendingBytes > 0 ? this.#mark : this.#keptBytes);
    const half = pendingBytes > 0 || isLast ? 0 : unfinishedBytes(this.#lastPushed);
    const takenBytes = isLast ? this.#pushedBytes : Math.max(0, this.#pushedBytes - pendingBytes - half);
    return { text: whole.toString("utf8", 0, whole.length - half), takenBytes };
  }

  #keep(bytes: Buffer): void {
    this.#kept.push(bytes);
    this.#keptBytes += bytes.length;
  }

  /** What a sequence parts is no character, even if its rest follows: the reader of the rest may not know the beginning. */
  #endCharacter(): void {
    let tail = nothing;
    for (let at = this.#kept.length - 1; at >= 0 && tail.length < 3; at--)
      tail = Buffer.concat([this.#kept[at]!.subarray(-3), tail]).subarray(-3);
    const half = unfinishedBytes(tail);
    if (half === 0) return;
    this.#keptBytes -= half;
    for (let left = half; left > 0;) {
      const last = this.#kept.pop()!;
      if (last.length > left) this.#kept.push(last.subarray(0, -left));
      left -= last.length;
    }
    this.#keep(replacement);
  }
}

/** All of it; an unfinished sequence is dropped. */
export function withoutEscapes(bytes: Buffer): string {
  const plain = new PlainText();
  plain.push(bytes);
  return plain.read(true).text;
}
