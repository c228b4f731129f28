/** A session's client: its calls in flight, what is said to it besides, and the questions that it has not answered yet. */
import type { Clock } from "../../clock.ts";
import { Outbox } from "../outbox.ts";
import { pulseMs, type Beating } from "../pulse.ts";
import { splice, type Edit } from "../splice.ts";
import type { Party, PendingCall, UpstreamQuestion } from "../upstream/party.ts";
import type { Upstream } from "../upstream/upstream.ts";

/** Questions that may wait for an answer at one time; a server that asks more is refused. */
const questionsMax = 1000;

/** What a client listens on: a stream of events, or the one line of a stdio client. */
export interface Listening {
  readonly open: boolean;
  send(message: Buffer, release: () => void): void;
  beat(now: number): void;
  end(): void;
  /** Ends it for another one, without waiting for a client that may be gone. */
  replace?(): void;
}

/** What stands around a message on the way to the client. */
export interface Framing {
  head: string;
  tail: string;
}

/** A call that can look after itself while it takes long. */
export interface PatientCall extends PendingCall {
  /** Whose call it is, where a session's calls are not all of one client. */
  readonly party?: Party | undefined;
  /** Its client can be asked something in place of its answer. */
  readonly takesQuestions?: boolean;
  beat(now: number, waitMsMax: number): void;
}

export class ClientSide implements Party, Beating {
  /** Resources that the client wants to hear of, and whose they are. */
  readonly subscriptions = new Map<string, string>();
  /** The client's roots, as far as they are known. */
  rootsOf: () => unknown = () => undefined;
  /** A call is over, however: answered, given up, or cancelled. */
  onDone: (call: PatientCall) => void = () => {};
  readonly #clock: Clock;
  readonly #framing: Framing;
  readonly #calls = new Map<PatientCall, Upstream | undefined>();
  readonly #questions = new Map<number, UpstreamQuestion>();
  readonly #outbox: Outbox;
  #stream: Listening | undefined;
  #onQuiet: () => void = () => {};
  #isDeaf = false;

  constructor(clock: Clock, framing: Framing) {
    this.#clock = clock;
    this.#framing = framing;
    this.#outbox = new Outbox((question) => {
      const open = this.#questions.get(question.number);
      this.#questions.delete(question.number);
      open?.upstream.refuse(open);
    });
  }

  get streaming(): boolean {
    return this.#stream?.open ?? false;
  }

  get calls(): Iterable<PatientCall> {
    return this.#calls.keys();
  }

  get callsInFlight(): number {
    return this.#calls.size;
  }

  // ── calls ──

  begin(call: PatientCall): void {
    this.#calls.set(call, undefined);
  }

  /** The call is with this server now. */
  sent(call: PatientCall, upstream: Upstream): void {
    this.#calls.set(call, upstream);
  }

  done(call: PatientCall): void {
    this.onDone(call);
    if (this.#calls.delete(call) && this.#calls.size === 0) this.#onQuiet();
  }

  /** `action` runs as soon as no call is in flight. */
  whenQuiet(action: () => void): void {
    this.#onQuiet = action;
    if (this.#calls.size === 0) action();
  }

  /** The client of a call went away. */
  abandon(call: PatientCall): void {
    this.#calls.get(call)?.abandon(call);
    this.done(call);
  }

  find(clientId: string): { call: PatientCall; upstream: Upstream | undefined } | undefined {
    for (const [call, upstream] of this.#calls) if (call.params.clientId === clientId) return { call, upstream };
    return undefined;
  }

  /** What is left in flight when the session ends. */
  takeCalls(): [PatientCall, Upstream | undefined][] {
    const all = [...this.#calls];
    this.#calls.clear();
    return all;
  }

  // ── the client's stream ──

  /** One that listens already is let go: its client came back over another connection. */
  listen(stream: Listening): void {
    this.#stream?.replace?.();
    this.#stream = stream;
    for (const event of this.#outbox.take()) stream.send(event, () => {});
  }

  /** The gateway stops: nothing comes any more but the answers of calls in flight. */
  quiet(): void {}

  hangUp(): void {
    this.#stream?.end();
    this.#stream = undefined;
  }

  /** Says something of our own, on the client's stream or else on a call of its that waits. */
  say(message: object): void {
    const line = Buffer.from(JSON.stringify(message));
    const waiting = [...this.#calls.keys()].find((call) => !call.done && call.takesMessages !== false);
    if (this.streaming || waiting === undefined) this.hear(line, [], () => {}, undefined);
    else waiting.tell(line, [], () => {});
  }

  beat(now: number): void {
    for (const call of this.#calls.keys()) {
      if (call.done) this.#calls.delete(call);
      else call.beat(now, pulseMs);
    }
    this.#stream?.beat(now);
    this.#outbox.expire(now);
  }

  // ── as its servers see it ──

  hear(line: Buffer, edits: Edit[], release: () => void, question: UpstreamQuestion | undefined): void {
    const event = splice(line, edits, this.#framing.head, this.#framing.tail);
    if (this.streaming) return this.#stream?.send(event, release);
    this.#outbox.add(event, question, this.#clock.monotonic());
    release();
  }

  /** It says nothing any more, so nobody waits for its answers. */
  becomeDeaf(): void {
    this.#isDeaf = true;
    const asked = [...this.#questions.values()];
    this.#questions.clear();
    for (const question of asked) question.upstream.refuse(question);
  }

  ask(question: UpstreamQuestion): boolean {
    if (this.#isDeaf) return false;
    if (this.#questions.size >= questionsMax) return false;
    this.#questions.set(question.number, question);
    return true;
  }

  withdraw(question: UpstreamQuestion): boolean {
    this.#questions.delete(question.number);
    return this.#outbox.withdraw(question);
  }

  isSubscribed(uri: string): boolean {
    return this.subscriptions.has(uri);
  }

  roots(): unknown {
    return this.rootsOf();
  }

  question(number: number): UpstreamQuestion | undefined {
    return this.#questions.get(number);
  }

  settle(question: UpstreamQuestion): void {
    this.#questions.delete(question.number);
  }
}
