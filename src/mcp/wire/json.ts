/**
 * A strict JSON checker over bytes: walks a text once, allocates nothing but itself, and accepts exactly what
 * `JSON.parse` accepts. The relay uses it to find spans in a message without building the message.
 */

/** Maximum nesting depth: real messages stay far below it, and many servers parse recursively. */
const depthMax = 512;
/** Levels whose kinds fit in the bits of a small integer, without an allocation. */
const shallowMax = 30;

/** Bytes with a meaning in JSON. */
const lineFeed = 0x0a;
const carriageReturn = 0x0d;
const quote = 0x22;
const minus = 0x2d;
const zero = 0x30;
const nine = 0x39;
const backslash = 0x5c;
const arrayOpen = 0x5b;
const arrayClose = 0x5d;
const objectOpen = 0x7b;
const objectClose = 0x7d;
const comma = 0x2c;
const colon = 0x3a;

const literals: Record<number, Buffer> = {
  0x74: Buffer.from("true"),
  0x66: Buffer.from("false"),
  0x6e: Buffer.from("null"),
};

/** Valid after a backslash, besides `u`: `" \ / b f n r t`. */
const escapes = new Set([0x22, 0x5c, 0x2f, 0x62, 0x66, 0x6e, 0x72, 0x74]);

export class JsonSyntaxError extends Error {
  override readonly name = "JsonSyntaxError";
}

/** A cursor over one text. Each method advances `at` past its token or throws `JsonSyntaxError`. */
export class JsonCursor {
  at: number;
  /** Line breaks were seen between tokens (inside a string they are invalid). */
  broken = false;
  /** The last string contains an escape. */
  escaped = false;
  readonly #bytes: Buffer;
  readonly #end: number;
  /** Which of the open containers are objects: one bit each, and a byte each below `shallowMax`. */
  #objects = 0;
  #deep: Uint8Array | undefined;

  constructor(bytes: Buffer, at = 0) {
    this.#bytes = bytes;
    this.#end = bytes.length;
    this.at = at;
  }

  fail(what: string): never {
    throw new JsonSyntaxError(`${what} at byte ${this.at}`);
  }

  /** Skips white space and returns the byte at the cursor, or -1 at the end. */
  peek(): number {
    const bytes = this.#bytes;
    let at = this.at;
    for (; at < this.#end; at++) {
      const byte = bytes[at]!;
      if (byte > 0x20) {
        this.at = at;
        return byte;
      }
      if (byte === lineFeed || byte === carriageReturn) this.broken = true;
      else if (byte !== 0x20 && byte !== 0x09) break;
    }
    this.at = at;
    return at < this.#end ? bytes[at]! : -1;
  }

  /** Skips white space and one given punctuation byte. */
  expect(byte: number): void {
    if (this.peek() !== byte) this.fail(`expected ${JSON.stringify(String.fromCharCode(byte))}`);
    this.at++;
  }

  /** Only white space may remain. */
  finish(): void {
    if (this.peek() !== -1) this.fail("more text after the message");
  }

  /** One string, cursor on its opening quote. */
  string(): void {
    const bytes = this.#bytes;
    const end = this.#end;
    let at = this.at + 1;
    this.escaped = false;
    for (;;) {
      let byte = 0;
      while (at < end && (byte = bytes[at]!) !== quote && byte !== backslash && byte >= 0x20) at++;
      this.at = at;
      if (at >= end) this.fail("a string without an end");
      if (byte === quote) {
        this.at = at + 1;
        return;
      }
      if (byte !== backslash) this.fail("a control character in a string");
      this.escaped = true;
      at = this.#escape(at);
    }
  }

  #escape(start: number): number {
    const kind = this.#bytes[start + 1];
    if (kind !== 0x75) {
      if (kind === undefined || !escapes.has(kind)) this.fail("an invalid escape");
      return start + 2;
    }
    for (let at = start + 2; at < start + 6; at++) if (!isHex(this.#bytes[at])) this.fail("a bad \\u escape");
    return start + 6;
  }

  /** Any value but a container: number, literal or string. */
  scalar(byte: number): void {
    if (byte === quote) return this.string();
    if (byte === minus || isDigit(byte)) return this.#number();
    const literal = literals[byte];
    if (literal === undefined) this.fail("expected a value");
    for (const letter of literal) if (this.#bytes[this.at++] !== letter) this.fail("expected a value");
  }

  #number(): void {
    const bytes = this.#bytes;
    let at = this.at;
    if (bytes[at] === minus) at++;
    if (bytes[at] === zero) at++;
    else at = this.#digits(at);
    if (bytes[at] === 0x2e) at = this.#digits(at + 1);
    if (bytes[at] === 0x65 || bytes[at] === 0x45) {
      at++;
      if (bytes[at] === 0x2b || bytes[at] === minus) at++;
      at = this.#digits(at);
    }
    this.at = at;
  }

  #digits(start: number): number {
    let at = start;
    while (isDigit(this.#bytes[at])) at++;
    if (at === start) this.fail("an invalid number");
    return at;
  }

  /** One value of any depth, without recursion. */
  value(): void {
    let depth = 0;
    for (;;) {
      const opened = this.#open(depth);
      if (opened > 0) {
        depth++;
        continue;
      }
      // After a scalar or empty container: close finished containers, or continue after a comma.
      while (depth > 0 && !this.#next(this.#closeOf(depth - 1))) depth--;
      if (depth === 0) return;
    }
  }

  /** Reads a scalar or an empty container (0), or steps into a container and, in an object, past its first key (1). */
  #open(depth: number): number {
    const byte = this.peek();
    if (byte !== objectOpen && byte !== arrayOpen) {
      this.scalar(byte);
      return 0;
    }
    this.at++;
    const close = byte === objectOpen ? objectClose : arrayClose;
    if (this.peek() === close) {
      this.at++;
      return 0;
    }
    if (depth >= depthMax) this.fail(`nested deeper than ${depthMax}`);
    this.#enter(depth, close === objectClose);
    if (close === objectClose) this.key();
    return 1;
  }

  #enter(depth: number, isObject: boolean): void {
    const bit = 1 << depth;
    if (depth >= shallowMax) (this.#deep ??= new Uint8Array(depthMax))[depth] = isObject ? 1 : 0;
    else this.#objects = isObject ? this.#objects | bit : this.#objects & ~bit;
  }

  #closeOf(depth: number): number {
    const isObject = depth < shallowMax ? (this.#objects & (1 << depth)) !== 0 : this.#deep?.[depth] === 1;
    return isObject ? objectClose : arrayClose;
  }

  /** After a member: true when a comma, and in an object the next key, was read; false when the container closed. */
  #next(close: number): boolean {
    const byte = this.peek();
    if (byte === close) {
      this.at++;
      return false;
    }
    if (byte !== comma) this.fail("expected , or the end of a list");
    this.at++;
    if (close === objectClose) this.key();
    return true;
  }

  /** One key and its colon, with any white space before them. */
  key(): void {
    if (this.peek() !== quote) this.fail("expected a key");
    this.string();
    this.expect(colon);
  }
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= zero && byte <= nine;
}

function isHex(byte: number | undefined): boolean {
  if (byte === undefined) return false;
  const letter = byte | 0x20;
  return isDigit(byte) || (letter >= 0x61 && letter <= 0x66);
}
