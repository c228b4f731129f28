/** One welcomed connection to a node: requests and replies, a lease renewed by each heartbeat, and detection of silence. */
import type { RunView } from "../../protocol/run.ts";
import { readAs } from "../../protocol/shapes.ts";
import {
  nodeRequests,
  frameBytesMax,
  type NodeRequestName,
  type NodeRequests,
  type NodeMessage,
} from "../../protocol/node/messages.ts";
import { inTime, type Clock, type Timer } from "../../clock.ts";
import { HoldfastError } from "../../errors.ts";
import { runnerOver, type Runner } from "../../protocol/keeper/runner.ts";
import type { NodeWire } from "./wire.ts";

/** Most open requests; further ones are refused. */
const asksMax = 4096;
/** How many heartbeats may be late before the link counts as lost. */
const heartbeatsMissedMax = 3;

/** The link ended before the reply: it is unknown whether the request arrived. */
export class LinkLost extends Error {
  override readonly name = "LinkLost";
}

/** There was no room for the request, here or at the node: it was not processed. */
export function isCrowded(thrown: unknown): boolean {
  return thrown instanceof HoldfastError && thrown.code === "gateway_busy";
}

export interface LinkTimes {
  leaseMs: number;
  beatMs: number;
}

/** A node answers these at once; without an answer for this long it is silent. */
const promptNames: ReadonlySet<NodeRequestName> = new Set(["lease.renew", "run.list"]);
const promptMs = 250;
/** Longest wait for its list: by then it counts as silent, and others wait for the answer to theirs. */
const lookMs = 300;

interface Asked {
  name: NodeRequestName;
  resolve: (result: never) => void;
  reject: (error: Error) => void;
}

export class NodeLink {
  readonly wire: NodeWire;
  /** Identifies one lifetime of the node's keeper. */
  readonly instance: string;
  readonly once: boolean;
  readonly openedAt: number;
  /** The latest time at which the node can have heard from us, by the monotonic clock: its lease runs from then at most. */
  lastSentAt: number;
  /** Of the last heartbeat, in milliseconds; undefined before the first reply. */
  roundTripMs: number | undefined;
  readonly #clock: Clock;
  readonly #times: LinkTimes;
  /** The node's runner for our runs, under the ids that we gave them. */
  readonly runner: Runner = runnerOver((name, params) => this.ask(name as NodeRequestName, params as never) as never);
  readonly #asked = new Map<number, Asked>();
  /** When those were sent that are answered at once, oldest first, by both clocks. */
  readonly #prompt = new Map<number, { at: number; monotonic: number }>();
  #nextId = 1;
  #heartbeat: Timer | undefined;
  /** Loop time of the oldest unanswered heartbeat. */
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
    this.#heartbeat = this.#clock.every(this.#times.beatMs, () => this.#renew());
    this.#renew();
  }

  /** Rejects with the node's refusal, or with LinkLost. */
  async ask<N extends NodeRequestName>(name: N, params: NodeRequests[N]["params"]): Promise<NodeRequests[N]["result"]> {
    const text = (id: number) => JSON.stringify({ type: "ask", id, name, params });
    if (this.#asked.size >= asksMax)
      throw new HoldfastError("gateway_busy", `${asksMax} questions to this node are unanswered; try again later`);
    // A heartbeat skips the queue: behind a long queue of input its delay would look like silence.
    if (name !== "lease.renew") await this.wire.ready();
    if (this.#isLost) throw new LinkLost("the link is lost");
    const id = this.#nextId++;
    const message = text(id);
    if (Buffer.byteLength(message) > frameBytesMax)
      throw new HoldfastError("invalid_params", `a node takes at most ${frameBytesMax} bytes at once; send less`);
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { name, resolve, reject });
      if (promptNames.has(name)) this.#prompt.set(id, { at: this.#clock.now(), monotonic: this.#clock.monotonic() });
      this.#send(message);
    });
  }

  /** Handles a reply. Throws a message for the log when the reply matches no request or has the wrong form. */
  answered(message: Extract<NodeMessage, { type: "reply" | "refusal" }>): void {
    const asked = this.#asked.get(message.id);
    if (asked === undefined) throw new Error(`an answer to no question (${message.id})`);
    this.#asked.delete(message.id);
    this.#prompt.delete(message.id);
    if (message.type === "refusal") return asked.reject(new HoldfastError(message.code, printable(message.message)));
    const read = readAs<never>(nodeRequests[asked.name].result, message.result);
    if ("wrong" in read) {
      asked.reject(new LinkLost("the answer has not its form"));
      throw new Error(`an answer to ${asked.name} of the wrong form: ${read.wrong}`);
    }
    asked.resolve(read.message);
  }

  /** When it was first asked what it has not answered in time, one moment for as long as it is silent; null while it answers. */
  get silentSince(): number | null {
    const [oldest] = this.#prompt.values();
    return oldest === undefined || this.#clock.monotonic() - oldest.monotonic < promptMs ? null : oldest.at;
  }

  /** Its live runs, as far as it answers promptly; a silent node is not asked again until it answers. */
  async look(): Promise<RunView[]> {
    if (this.silentSince !== null) return [];
    const answer = this.runner.list({ all: false }).catch((): RunView[] => []); // the last known state is shown
    return inTime(this.#clock, answer, lookMs, []);
  }

  /** Whether it answers a heartbeat within `boundMs`. */
  async isAlive(boundMs: number): Promise<boolean> {
    const answer = this.ask("lease.renew", { leaseMs: this.#times.leaseMs }).then(
      () => true,
      () => false,
    );
    return inTime(this.#clock, answer, boundMs, false);
  }

  /** Called once when the wire is gone: rejects all open requests. */
  lose(): void {
    this.#isLost = true;
    this.#heartbeat?.clear();
    for (const { reject } of this.#asked.values()) reject(new LinkLost("the link was lost before the answer"));
    this.#asked.clear();
    this.#prompt.clear();
  }

  #renew(): void {
    const now = this.wire.loopNow;
    if (this.#unanswered !== undefined) {
      if (now - this.#unanswered >= this.#times.beatMs * heartbeatsMissedMax)
        this.wire.end("no-heartbeat", "no answer to the beats");
      // The next heartbeat waits for this one, to spare a slow node.
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
        // A front whose keeper does not answer counts as dead.
        if (!(error instanceof LinkLost)) this.wire.end("no-heartbeat", "the node cannot renew its lease");
      },
    );
  }

  #send(message: string): void {
    this.lastSentAt = this.#clock.monotonic();
    this.wire.send(message);
  }
}

/** The text may reach a terminal, so control characters are replaced. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}|\p{Bidi_Control}/gu, " ");
}
