/** One connection to a gateway: words in, words out, one end. A gateway that is silent, or reads nothing, is gone. */
import type { WebSocket, RawData } from "ws";
import type { Clock, Timer } from "../../clock.ts";
import { hearGateway } from "../../protocol/node/shapes.ts";
import { unprovenFrameBytesMax, type GatewayWord, type NodeWord } from "../../protocol/node/words.ts";

/** Beats that may fail to come. Each is counted when it is due, so a time in which this process itself stood still is one. */
const missedMax = 4;
/** A gateway that wants to beat faster than this is still not given up sooner, in milliseconds. */
const beatMsMin = 500;
/** Bytes that may wait for a gateway to read them. */
const waitingBytesMax = 64 * 1024 * 1024;
/** From our close frame to the reset. */
const goodbyeMs = 2000;

export interface WireEvents {
  onWord: (word: GatewayWord) => void;
  /** Once; `why` is for people. */
  onClosed: (why: string) => void;
}

export class Wire {
  readonly #socket: WebSocket;
  readonly #clock: Clock;
  readonly #events: WireEvents;
  #why: string | undefined;
  #missed = 0;
  #beat: Timer | undefined;
  #goodbye: Timer | undefined;
  /** The gateway has taken us in: its words may be long from now on. */
  isWelcome = false;
  readonly #pongs: (() => void)[] = [];

  constructor(socket: WebSocket, clock: Clock, events: WireEvents) {
    this.#clock = clock;
    this.#socket = socket;
    this.#events = events;
    const heard = () => {
      this.#missed = 0;
    };
    socket.on("message", (data, isBinary) => {
      heard();
      this.#hear(data, isBinary);
    });
    socket.on("ping", heard);
    socket.on("pong", () => {
      heard();
      this.#pongs.shift()?.();
    });
    socket.once("close", (code, reason) => this.#closed(code, reason.toString("utf8")));
  }

  get isOpen(): boolean {
    return this.#why === undefined && this.#socket.readyState === this.#socket.OPEN;
  }

  /** From now on something has to come at least every `agreedMs`; we ask for it with a ping each time. */
  expectBeats(agreedMs: number): void {
    const beatMs = Math.max(agreedMs, beatMsMin);
    this.#beat?.clear();
    this.#missed = 0;
    this.#beat = this.#clock.every(beatMs, () => {
      this.#missed += 1;
      if (this.#missed > missedMax) return this.drop(`nothing was heard of it for ${missedMax * beatMs} ms`);
      this.#ping(() => {});
    });
  }

  /** Nothing happens on a connection that has ended: what it was about is told again on the next one. */
  send(word: NodeWord): void {
    this.sendFrame(JSON.stringify(word));
  }

  /** A word that is written already. */
  sendFrame(frame: string): void {
    if (!this.isOpen) return;
    if (this.#socket.bufferedAmount > waitingBytesMax)
      return this.drop(`it does not read: more than ${waitingBytesMax} bytes wait for it`);
    this.#socket.send(frame, () => {}); // a failure is followed by "close"
  }

  /** Runs `then` once the gateway's process has taken in all that was sent before; never on a connection that ends first. */
  whenTaken(then: () => void): void {
    if (this.isOpen) this.#ping(then);
  }

  /** Polite, and bounded: `onClosed` follows. */
  end(why: string): void {
    if (this.#why !== undefined) return;
    this.#why = why;
    this.#socket.close(1000);
    this.#goodbye = this.#clock.after(goodbyeMs, () => this.#socket.terminate());
  }

  /** At once: nothing that is still on its way matters. `onClosed` follows. */
  drop(why: string): void {
    this.#why ??= why;
    this.#socket.terminate();
  }

  #ping(then: () => void): void {
    this.#pongs.push(then);
    this.#socket.ping("", true, () => {}); // as in send
  }

  #hear(data: RawData, isBinary: boolean): void {
    if (this.#why !== undefined) return;
    const bytes = data as Buffer; // the form that ws gives by default
    if (isBinary) return this.drop("it sent a binary frame");
    if (!this.isWelcome && bytes.length > unprovenFrameBytesMax)
      return this.drop("it sent too much before its welcome");
    const heard = hearGateway(bytes.toString("utf8"));
    if ("wrong" in heard) return this.drop(`it sent a word that there is not: ${heard.wrong.slice(0, 500)}`);
    this.#events.onWord(heard.word);
  }

  #closed(code: number, reason: string): void {
    this.#beat?.clear();
    this.#goodbye?.clear();
    const said =
      code === 1006 ? "the connection broke" : `it closed the connection (${code}${reason === "" ? "" : ` ${reason}`})`;
    this.#events.onClosed(this.#why ?? said);
  }
}
