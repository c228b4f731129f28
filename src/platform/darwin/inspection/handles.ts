/** Small numbers for the kernel's 64-bit handles of pipes and sockets, which no JavaScript number holds. */
export class Handles {
  readonly #pipes = new Map<bigint, number>();
  readonly #sockets = new Map<bigint, number>();
  #last = 0;

  /** The same for both ends of a pipe, as on Linux; `peer` is 0 when the other one is closed. */
  pipe(handle: bigint, peer: bigint): number {
    const number = this.#pipes.get(handle) ?? this.#next();
    this.#pipes.set(handle, number);
    this.#pipes.set(peer, number);
    return number;
  }

  /** 0 for none. */
  socket(handle: bigint): number {
    if (handle === 0n) return 0;
    const number = this.#sockets.get(handle) ?? this.#next();
    this.#sockets.set(handle, number);
    return number;
  }

  #next(): number {
    this.#last += 1;
    return this.#last;
  }
}
