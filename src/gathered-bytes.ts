/**
 * Collects bytes that arrive in pieces and are needed as one. The capacity doubles when full, so each piece costs only its
 * length and no object; joining all bytes on every piece would be quadratic.
 */

export class GatheredBytes {
  #room: Buffer | undefined;
  #length = 0;
  /** A single piece is kept as received; most messages need no copy. */
  #only: Buffer | undefined;

  get length(): number {
    return this.#length;
  }

  add(piece: Buffer): void {
    if (piece.length === 0) return;
    if (this.#length === 0) this.#only = piece;
    else piece.copy(this.#roomFor(piece.length), this.#length);
    this.#length += piece.length;
  }

  addByte(byte: number): void {
    this.#roomFor(1)[this.#length] = byte;
    this.#length++;
  }

  /** Returns all bytes so far as one buffer, owned by the caller, and resets. */
  take(): Buffer {
    const bytes = this.#only ?? this.#room?.subarray(0, this.#length) ?? empty;
    this.clear();
    return bytes;
  }

  clear(): void {
    this.#room = undefined;
    this.#only = undefined;
    this.#length = 0;
  }

  #roomFor(bytes: number): Buffer {
    const needed = this.#length + bytes;
    if (this.#room !== undefined && this.#room.length >= needed) return this.#room;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * (this.#room?.length ?? roomBytesMin)));
    (this.#only ?? this.#room)?.copy(larger, 0, 0, this.#length);
    this.#only = undefined;
    return (this.#room = larger);
  }
}

const roomBytesMin = 512;
const empty = Buffer.alloc(0);
