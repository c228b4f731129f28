/** One connection to a gateway. A gateway that is silent, or stops reading, counts as gone. */
import type { WebSocket, RawData } from "ws";
import {
  readGatewayMessage,
  unprovenFrameBytesMax,
  type GatewayMessage,
  type NodeMessage,
} from "../../protocol/node/messages.ts";
import type { Clock, Timer } from "../../clock.ts";

/** Missed heartbeats allowed. Each is counted when due, so a suspension of this process counts as one. */
const missedMax = 4;
/** Lower bound on the heartbeat interval, in milliseconds, even if the gateway asks for a shorter one. */
const heartbeatMsMin = 500;
/** Most bytes queued for the gateway. */
const waitingBytesMax = 64 * 1024 * 1024;
/** From our close frame to the reset. */
const goodbyeMs = 2000;

export interface WireEvents {
  onWord: (word: GatewayMessage) => void;
  /** Called once; `why` is for people. */
  onClosed: (why: string) => void;
}

export class Wire {
  readonly #socket: WebSocket;
  readonly #clock: Clock;
  readonly #events: WireEvents;
  #why: string | undefined;
  #missed = 0;
  #heartbeat: Timer | undefined;
  #goodbye: Timer | undefined;
  /** Welcomed by the gateway: longer messages are allowed. */
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

  /** From now on something must arrive at least every `agreedMs`; each interval we ask for it with a ping. */
  expectHeartbeats(agreedMs: number): void {
    const heartbeatMs = Math.max(agreedMs, heartbeatMsMin);
    this.#heartbeat?.clear();
    this.#missed = 0;
    this.#heartbeat = this.#clock.every(heartbeatMs, () => {
      this.#missed += 1;
      if (this.#missed > missedMax) return this.drop(`nothing was heard of it for ${missedMax * heartbeatMs} ms`);
      this.#ping(() => {});
    });
  }

  /** Does nothing on an ended connection: the state is reported again on the next one. */
  send(word: NodeMessage): void {
    this.sendFrame(JSON.stringify(word));
  }

  /** Sends a serialised message. */
  sendFrame(frame: string): void {
    if (!this.isOpen) return;
    if (this.#socket.bufferedAmount > waitingBytesMax)
      return this.drop(`it does not read: more than ${waitingBytesMax} bytes wait for it`);
    this.#socket.send(frame, () => {}); // a failure is followed by "close"
  }

  /** Runs `then` once the gateway's process has received everything sent before; never if the connection ends first. */
  whenTaken(then: () => void): void {
    if (this.isOpen) this.#ping(then);
  }

  /** Closes politely, within a bound; `onClosed` follows. */
  end(why: string): void {
    if (this.#why !== undefined) return;
    this.#why = why;
    this.#socket.close(1000);
    this.#goodbye = this.#clock.after(goodbyeMs, () => this.#socket.terminate());
  }

  /** Closes at once and discards pending data. `onClosed` follows. */
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
    const bytes = data as Buffer; // ws's default form
    if (isBinary) return this.drop("it sent a binary frame");
    if (!this.isWelcome && bytes.length > unprovenFrameBytesMax)
      return this.drop("it sent too much before its welcome");
    const heard = readGatewayMessage(bytes.toString("utf8"));
    if ("wrong" in heard) return this.drop(`it sent a word that there is not: ${heard.wrong.slice(0, 500)}`);
    this.#events.onWord(heard.message);
  }

  #closed(code: number, reason: string): void {
    this.#heartbeat?.clear();
    this.#goodbye?.clear();
    const said =
      code === 1006 ? "the connection broke" : `it closed the connection (${code}${reason === "" ? "" : ` ${reason}`})`;
    this.#events.onClosed(this.#why ?? said);
  }
}
