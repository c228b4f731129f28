/** What runs between two simulated processes: pieces arrive in order, each a while after it was sent, and survive their sender. */
import { Duplex } from "node:stream";
import type { Simulation, TimerOwner } from "./simulation.ts";

/** Longest time on the way, on one machine. */
export const localDelayMs = 0.3;

export class Line<T> {
  readonly #simulation: Simulation;
  readonly #receiver: TimerOwner;
  readonly #delayMs: number;
  readonly #deliver: (piece: T) => void;
  #lastMs = 0;
  /** While set, nothing arrives: what is under way waits. */
  isHeld = false;
  #held: T[] = [];

  constructor(simulation: Simulation, receiver: TimerOwner, delayMs: number, deliver: (piece: T) => void) {
    this.#simulation = simulation;
    this.#receiver = receiver;
    this.#delayMs = delayMs;
    this.#deliver = deliver;
  }

  send(piece: T): void {
    const { nowMs, random } = this.#simulation;
    this.#lastMs = Math.max(this.#lastMs, nowMs + random.fraction() * this.#delayMs);
    this.#simulation.after(this.#lastMs - nowMs, () => this.#arrive(piece), this.#receiver);
  }

  /** Lets everything that was held arrive. */
  release(): void {
    this.isHeld = false;
    const arrive = () => {
      while (!this.isHeld && this.#held.length > 0) this.#deliver(this.#held.shift()!);
    };
    this.#simulation.after(this.#simulation.random.fraction() * this.#delayMs, arrive, this.#receiver);
  }

  /** What came later waits for what is held. */
  #arrive(piece: T): void {
    if (this.isHeld || this.#held.length > 0) this.#held.push(piece);
    else this.#deliver(piece);
  }
}

type Piece = { readonly bytes: Buffer; readonly taken: () => void } | "end" | "reset";

export interface SocketEnd {
  readonly owner: TimerOwner;
  readonly address: string;
  readonly port: number;
}

/** One end of a connection, with as much of a socket as its users ask for. */
export class SimulatedSocket extends Duplex {
  readonly owner: TimerOwner;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly connecting = false;
  bytesRead = 0;
  bytesWritten = 0;
  #toPeer: Line<Piece> | undefined;
  readonly #arrived: Piece[] = [];
  #isHungry = false;
  #isReset = false;

  private constructor(here: SocketEnd, there: SocketEnd) {
    super({ allowHalfOpen: true });
    this.owner = here.owner;
    this.localAddress = here.address;
    this.localPort = here.port;
    this.remoteAddress = there.address;
    this.remotePort = there.port;
  }

  static pair(
    simulation: Simulation,
    one: SocketEnd,
    other: SocketEnd,
    delayMs: number,
  ): [SimulatedSocket, SimulatedSocket, Line<Piece>[]] {
    const [first, second] = [new SimulatedSocket(one, other), new SimulatedSocket(other, one)];
    const toSecond = new Line<Piece>(simulation, other.owner, delayMs, (piece) => second.#take(piece));
    const toFirst = new Line<Piece>(simulation, one.owner, delayMs, (piece) => first.#take(piece));
    first.#toPeer = toSecond;
    second.#toPeer = toFirst;
    return [first, second, [toSecond, toFirst]];
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, taken: () => void): void {
    if (!this.owner.isAlive) return;
    this.bytesWritten += bytes.length;
    this.#toPeer?.send({ bytes, taken });
  }

  override _final(done: () => void): void {
    if (this.owner.isAlive) this.#toPeer?.send("end");
    done();
  }

  override _read(): void {
    this.#isHungry = true;
    this.#feed();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    // Closed with bytes unread or unsent, a connection is reset.
    if (!this.#isReset && this.owner.isAlive && !(this.readableEnded && this.writableFinished))
      this.#toPeer?.send("reset");
    for (const piece of this.#arrived.splice(0)) if (typeof piece === "object") piece.taken();
    done(error);
  }

  resetAndDestroy(): this {
    if (this.owner.isAlive) this.#toPeer?.send("reset");
    this.#isReset = true;
    return this.destroy();
  }

  /** The process of this end is gone: the system closes its sockets. */
  vanish(): void {
    this.#toPeer?.send(this.writableFinished ? "end" : "reset");
  }

  /** What real sockets are told and these need not know. */
  readonly setTimeout = (): this => this;
  readonly setNoDelay = (): this => this;
  readonly setKeepAlive = (): this => this;
  readonly ref = (): this => this;
  readonly unref = (): this => this;

  #take(piece: Piece): void {
    if (this.destroyed) {
      if (typeof piece === "object") piece.taken();
      return;
    }
    if (piece === "reset") {
      this.#isReset = true;
      this.destroy(Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" }));
      return;
    }
    this.#arrived.push(piece);
    this.#feed();
  }

  #feed(): void {
    while (this.#isHungry) {
      const piece = this.#arrived.shift();
      if (piece === undefined) return;
      if (piece === "end") this.push(null);
      else if (typeof piece === "object") {
        this.bytesRead += piece.bytes.length;
        this.#isHungry = this.push(piece.bytes);
        piece.taken();
      }
    }
  }
}
