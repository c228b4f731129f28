/** One welcome connection to a node: questions and their answers, its lease renewed with every beat, its silence noticed. */
import { inTime, type Clock, type Timer } from "../../clock.ts";
import { HoldfastError } from "../../errors.ts";
import { describeIssues, plainIssue } from "../../plain-issues.ts";
import { runnerOver, type Runner } from "../../protocol/keeper/runner.ts";
import { replyShapes } from "../../protocol/node/shapes.ts";
import { frameBytesMax, type NodeRequestName, type NodeRequests, type NodeWord } from "../../protocol/node/words.ts";
import type { NodeWire } from "./wire.ts";

/** Questions without an answer at one time; more are refused. */
const asksMax = 4096;
/** So many beats may be late by before silence is loss. */
const beatsMissedMax = 3;

/** The link ended before the answer: nobody knows here whether the question was heard. */
export class LinkLost extends Error {
  override readonly name = "LinkLost";
}

/** There was no room for the question, here or at the node: it was not heard. */
export function isCrowded(thrown: unknown): boolean {
  return thrown instanceof HoldfastError && thrown.code === "gateway_busy";
}

export interface LinkTimes {
  leaseMs: number;
  beatMs: number;
}

interface Asked {
  name: NodeRequestName;
  resolve: (result: never) => void;
  reject: (error: Error) => void;
}

export class NodeLink {
  readonly wire: NodeWire;
  /** One life of the node's keeper. */
  readonly instance: string;
  readonly once: boolean;
  readonly openedAt: number;
  /** When the node may have heard of us last, by the monotonic clock: its lease cannot last longer from then on. */
  lastSentAt: number;
  /** Of the last beat, in milliseconds; undefined before it was answered. */
  roundTripMs: number | undefined;
  readonly #clock: Clock;
  readonly #times: LinkTimes;
  /** What the node runs for us; its runs have the ids that we gave them. */
  readonly runner: Runner = runnerOver((name, params) => this.ask(name as NodeRequestName, params as never) as never);
  readonly #asked = new Map<number, Asked>();
  #nextId = 1;
  #beat: Timer | undefined;
  /** Loop time at which the oldest beat without an answer was sent. */
  #unanswered: number | undefined;
  #isLost = false;

  constructor(wire: NodeWire, { instance, once }: { instance: string; once: boolean }, times: LinkTimes, clock: Clock) {
    this.#clock = clock;
    this.openedAt = clock.now();
    this.lastSentAt = clock.monotonic();
    this.wire = wire;
    this.instance = instance;
    this.once = once;
    this.#times = times;
  }

  get lost(): boolean {
    return this.#isLost;
  }

  begin(): void {
    this.#beat = this.#clock.every(this.#times.beatMs, () => this.#renew());
    this.#renew();
  }

  /** Rejects with the node's refusal, or with LinkLost. */
  async ask<N extends NodeRequestName>(name: N, params: NodeRequests[N]["params"]): Promise<NodeRequests[N]["result"]> {
    const text = (id: number) => JSON.stringify({ type: "ask", id, name, params });
    if (this.#asked.size >= asksMax)
      throw new HoldfastError("gateway_busy", `${asksMax} questions to this node are unanswered; try again later`);
    // A beat waits for nobody: behind a long line of input it would look like silence.
    if (name !== "lease.renew") await this.wire.ready();
    if (this.#isLost) throw new LinkLost("the link is lost");
    const id = this.#nextId++;
    const message = text(id);
    if (Buffer.byteLength(message) > frameBytesMax)
      throw new HoldfastError("invalid_params", `a node takes at most ${frameBytesMax} bytes at once; send less`);
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { name, resolve, reject });
      this.#send(message);
    });
  }

  /** An answer. Throws, in words for the log, when it is none to anything that was asked, or not of its form. */
  answered(message: Extract<NodeWord, { type: "reply" | "refusal" }>): void {
    const asked = this.#asked.get(message.id);
    if (asked === undefined) throw new Error(`an answer to no question (${message.id})`);
    this.#asked.delete(message.id);
    if (message.type === "refusal") return asked.reject(new HoldfastError(message.code, printable(message.message)));
    const read = replyShapes[asked.name].safeParse(message.result, { error: plainIssue });
    if (!read.success) {
      asked.reject(new LinkLost("the answer has not its form"));
      throw new Error(`an answer to ${asked.name} of the wrong form: ${describeIssues(read.error.issues).join("; ")}`);
    }
    asked.resolve(read.data as never);
  }

  /** It answers a beat within `boundMs`, or not. */
  async isAlive(boundMs: number): Promise<boolean> {
    const answer = this.ask("lease.renew", { leaseMs: this.#times.leaseMs }).then(
      () => true,
      () => false,
    );
    return inTime(this.#clock, answer, boundMs, false);
  }

  /** Once, when the wire is gone: whoever waits for an answer hears that there is none. */
  lose(): void {
    this.#isLost = true;
    this.#beat?.clear();
    for (const { reject } of this.#asked.values()) reject(new LinkLost("the link was lost before the answer"));
    this.#asked.clear();
  }

  #renew(): void {
    const now = this.wire.loopNow;
    if (this.#unanswered !== undefined) {
      if (now - this.#unanswered >= this.#times.beatMs * beatsMissedMax)
        this.wire.end("no-heartbeat", "no answer to the beats");
      // The next beat waits for this one: a node that is behind is not sent more.
      return;
    }
    this.#unanswered = now;
    const began = this.#clock.monotonic();
    const { leaseMs } = this.#times;
    this.ask("lease.renew", { leaseMs }).then(
      () => {
        this.#unanswered = undefined;
        this.roundTripMs = this.#clock.monotonic() - began;
      },
      (error: unknown) => {
        // A keeper that does not answer its front is no life over there.
        if (!(error instanceof LinkLost)) this.wire.end("no-heartbeat", "the node cannot renew its lease");
      },
    );
  }

  #send(message: string): void {
    this.lastSentAt = this.#clock.monotonic();
    this.wire.send(message);
  }
}

/** It may end up on a terminal, where nothing of it may steer. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}|\p{Bidi_Control}/gu, " ");
}
