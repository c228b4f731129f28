/**
 * The front's end of the channel to its keeper. The only way by which a front starts, feeds or ends anything.
 * When the channel closes the keeper is gone, and the front ends at once: it owns nothing that could outlive it.
 */
import type { Duplex } from "node:stream";
import { readAs } from "../shapes.ts";
import type { TokenGrant } from "./front-config.ts";
import type { RunView } from "../run.ts";
import type { Clock } from "../../clock.ts";
import { HoldfastError } from "../../errors.ts";
import type { LifecycleEvent } from "../../events.ts";
import type { KeeperChannel } from "./channel.ts";
import { CreditMeter, SendWindow } from "./flow.ts";
import { FrameReader, writeLine, type Frame } from "./frames.ts";
import { LinkedRun, type RunEvents } from "./linked-run.ts";
import {
  failureCharactersMax,
  failureCodes,
  frontRequests,
  readKeeperMessage,
  type FrontMessage,
  type FrontRequestName,
  type FrontRequests,
  type KeeperMessage,
} from "./messages.ts";
import type { NodeFinish, NodeProgress } from "./node.ts";
import { Notices } from "./notices.ts";

export type Hello = Extract<KeeperMessage, { type: "hello" }>;
export type ServersNews = Extract<KeeperMessage, { type: "servers" }>;

/** A request that was not answered yet. */
interface Asked {
  name: FrontRequestName;
  resolve: (value: never) => void;
  reject: (error: Error) => void;
}

/** The whole channel. Make one per front process, with `KeeperLink.open()`. */
export class KeeperLink {
  readonly hello: Hello;
  readonly window = new SendWindow();
  /** For LinkedRun only. */
  readonly notices: Notices;
  /** For LinkedRun only. */
  readonly clock: Clock;
  readonly #channel: KeeperChannel;
  readonly #pipe: Duplex;
  readonly #runs = new Map<number, LinkedRun>();
  readonly #asked = new Map<number, Asked>();
  readonly #credit = new CreditMeter((channel, bytes) => this.#post({ type: "credit", channel, bytes }));
  /** Frames of a run whose reply (on the other descriptor) has not been read yet, or has only just been. */
  readonly #early = new Map<number, Frame[]>();
  /** Starts without a reply yet: only then can a frame of an unknown run be early; otherwise it is late. */
  #starting = 0;
  /** Frames sent since the keeper was heard last. */
  #sentUnheard = 0;
  #isGathering = false;
  #nextRequest = 1;
  #onDrain: (reason: string) => void = () => {};
  #onTokens: (tokens: TokenGrant[]) => void = () => {};
  #onEvent: (event: LifecycleEvent) => void = () => {};
  #onServers: (news: ServersNews) => void = () => {};
  #onRunState: (run: RunView) => void = () => {};

  /** Waits for the keeper's hello. `onLost` runs once when the keeper is gone. */
  static async open(channel: KeeperChannel, clock: Clock, onLost: () => void): Promise<KeeperLink> {
    channel.onLost(onLost);
    channel.data.on("error", () => {}); // the keeper is gone; `onLost` says so too and ends the process
    const hello = await new Promise<Hello>((resolve) => {
      channel.onMessage((heard) => {
        const message = understood(heard);
        if (message.type === "hello") resolve(message);
      });
    });
    return new KeeperLink(hello, channel, clock);
  }

  private constructor(hello: Hello, channel: KeeperChannel, clock: Clock) {
    this.#channel = channel;
    this.#pipe = channel.data;
    this.hello = hello;
    this.clock = clock;
    this.notices = new Notices(clock, (bytes) => this.#pipe.write(bytes));
    const reader = new FrameReader((frame) => this.#route(frame));
    this.#pipe.on("data", (chunk: Buffer) => {
      this.#sentUnheard = 0;
      reader.push(chunk);
    });
    channel.onMessage((heard) => this.#hear(understood(heard)));
  }

  /** What to do when the keeper says that the gateway stops: close the doors; the keeper ends the runs. */
  onDrain(listener: (reason: string) => void): void {
    this.#onDrain = listener;
  }

  /** Tokens were added, revoked, or have expired: the whole list of those that are good now. */
  onTokens(listener: (tokens: TokenGrant[]) => void): void {
    this.#onTokens = listener;
  }

  /** The config was read anew: all servers as they are from now on. */
  onServers(listener: (news: ServersNews) => void): void {
    this.#onServers = listener;
  }

  /** Lifecycle events of the keeper, as they happen. One listener: whoever hands them to the subscribers. */
  onEvent(listener: (event: LifecycleEvent) => void): void {
    this.#onEvent = listener;
  }

  /** Any run has changed, also one that this front did not start. One listener. */
  onRunState(listener: (run: RunView) => void): void {
    this.#onRunState = listener;
  }

  /** Asks the keeper for one thing; rejects with the keeper's refusal. */
  ask<N extends FrontRequestName>(name: N, params: FrontRequests[N]["params"]): Promise<FrontRequests[N]["result"]> {
    return new Promise((resolve, reject) => this.#ask(name, params, resolve, reject));
  }

  #ask<N extends FrontRequestName>(
    name: N,
    params: FrontRequests[N]["params"],
    resolve: (result: FrontRequests[N]["result"]) => void,
    reject: (error: Error) => void,
  ): void {
    const request = this.#nextRequest++;
    this.#asked.set(request, { name, resolve, reject });
    this.#post({ type: name, request, params } as FrontMessage);
  }

  /** Starts the configured server for a session. The process exists, and is in the ledger, when this resolves. */
  startRun(server: string, sessionId: string, events: RunEvents, blob = ""): Promise<LinkedRun> {
    return this.#take("run.start", { server, sessionId, onFrontLoss: "keep", blob }, events);
  }

  /** Takes over a run of `hello.runs`. Rejects with `run_ended` or `run_unknown` when it ended meanwhile. */
  adoptRun(run: string, events: RunEvents): Promise<LinkedRun> {
    return this.#take("run.adopt", { run }, events);
  }

  #take<N extends "run.start" | "run.adopt">(
    name: N,
    params: FrontRequests[N]["params"],
    events: RunEvents,
  ): Promise<LinkedRun> {
    this.#starting++;
    return new Promise<LinkedRun>((resolve, reject) => {
      // Registered inside the reply, not after an await: the run's own exit may be the very next message.
      const register = ({ channel, run }: { channel: number; run: RunView }) => {
        const linked = new LinkedRun(this, channel, run, events);
        this.#runs.set(channel, linked);
        resolve(linked);
        // Whoever took the run must have it in hand before its lines come: some are answered at once.
        if (this.#early.has(channel)) this.clock.soon(() => this.#deliverEarly(channel, linked));
      };
      this.#ask(name, params, register, reject);
    }).finally(() => {
      this.#starting--;
      if (this.#starting > 0) return;
      for (const channel of this.#early.keys()) if (!this.#runs.has(channel)) this.#early.delete(channel);
    });
  }

  #deliverEarly(channel: number, run: LinkedRun): void {
    const frames = this.#early.get(channel) ?? [];
    this.#early.delete(channel);
    for (const frame of frames) run.receive(frame);
  }

  listening(urls: string[]): void {
    this.#post({ type: "listening", urls });
  }

  /** Resolves once the keeper can read it: the front's next step is to exit. */
  failed(error: HoldfastError): Promise<void> {
    const code = failureCodes.find((known) => known === error.code) ?? "internal";
    const message = error.message.slice(0, failureCharactersMax);
    return new Promise((resolve) => this.#post({ type: "failed", code, message }, resolve));
  }

  heartbeat(lastMethod: string): void {
    this.#post({ type: "heartbeat", lastMethod });
  }

  /** For the person who started this node. */
  progress(progress: NodeProgress): void {
    this.#post({ type: "progress", progress });
  }

  /** The keeper ends all and exits. */
  finished(finish: NodeFinish): void {
    this.#post({ type: "finished", finish });
  }

  /** For LinkedRun only. */
  sendFrame(channel: number, line: Buffer, frameFlags: number, request: number): void {
    this.window.sent(channel, line.length);
    this.#gather();
    writeLine(this.#pipe, channel, line, frameFlags, request, this.notices.take());
  }

  /**
   * With many calls in flight the system call is the cost: what is sent before anything was heard again leaves in one
   * write at the end of the loop's turn. A call that is alone is written at once.
   */
  #gather(): void {
    this.#sentUnheard++;
    if (this.#sentUnheard === 1 || this.#isGathering) return;
    this.#isGathering = true;
    this.#pipe.cork();
    this.clock.soon(() => {
      this.#isGathering = false;
      this.#pipe.uncork();
    });
  }

  /** For LinkedRun only. */
  consumed(channel: number, bytes: number): void {
    if (bytes > 0) this.#credit.consumed(channel, bytes);
  }

  #route(frame: Frame): void {
    const run = this.#runs.get(frame.channel);
    const waiting = this.#early.get(frame.channel);
    if (run !== undefined && waiting === undefined) return run.receive(frame);
    if (run === undefined && this.#starting === 0) return;
    const early = waiting ?? [];
    early.push({ ...frame, bytes: Buffer.from(frame.bytes) });
    this.#early.set(frame.channel, early);
  }

  #hear(message: KeeperMessage): void {
    switch (message.type) {
      case "reply":
      case "refusal": {
        const asked = this.#asked.get(message.request);
        this.#asked.delete(message.request);
        if (message.type === "refusal") asked?.reject(new HoldfastError(message.code, message.message));
        else if (asked !== undefined) settle(asked, message.result);
        return;
      }
      case "credit":
        return this.window.credited(message.channel, message.bytes);
      case "run.state": {
        const run = this.#runs.get(message.channel);
        this.#onRunState(message.run);
        if (message.run.state !== "exited") return run?.changed(message.run);
        run?.whenStdoutEnded(() => {
          run.changed(message.run);
          this.#forget(message.channel);
        });
        return;
      }
      case "drain":
        return this.#onDrain(message.reason);
      case "tokens":
        return this.#onTokens(message.tokens);
      case "servers":
        return this.#onServers(message);
      case "event":
        return this.#onEvent(message.event);
      case "hello":
        return; // taken by open()
    }
  }

  #forget(channel: number): void {
    this.#runs.delete(channel);
    this.#early.delete(channel);
    this.notices.forget(channel);
    this.window.forget(channel);
    this.#credit.forget(channel);
  }

  #post(message: FrontMessage, onSent: () => void = () => {}): void {
    this.#channel.send(message, onSent);
  }
}

/** A keeper of the same program says nothing else: throws, which ends this front with a crash record. */
function understood(heard: unknown): KeeperMessage {
  const read = readKeeperMessage(heard);
  if ("message" in read) return read.message;
  throw new HoldfastError("internal", `the keeper sent a message that is not valid: ${read.wrong}`);
}

function settle({ name, resolve, reject }: Asked, result: unknown): void {
  const read = readAs<never>(frontRequests[name].result, result);
  if ("message" in read) return resolve(read.message);
  reject(new HoldfastError("internal", `the keeper's answer to ${name} is not valid: ${read.wrong}`));
}
