/**
 * The client of stateless requests as its servers see it. There is no stream of its own: what is meant for a call rides on
 * that call, changes go to whoever listens for them, and all else has nobody to hear it.
 */
import type { Clock } from "../../clock.ts";
import { SessionClient } from "../session/session-client.ts";
import type { ClientCall, UpstreamQuestion } from "../servers/client.ts";
import { readEnvelope } from "../wire/envelope.ts";
import { eventFraming, splice, type Edit } from "../wire/splice.ts";

/** One `subscriptions/listen` of the client. */
export interface Listener {
  /** `what`: `tools`, `prompts` or `resources`. */
  listChanged(what: string): void;
  updated(uri: string): void;
  heartbeat(now: number): void;
  end(): void;
}

/** A call whose client is asked something, and has its answer's place taken by the question until it comes back. */
export interface Suspended {
  /** Nobody may come back to it any more. */
  giveUp(): void;
}

export class StatelessClient extends SessionClient {
  readonly listeners = new Set<Listener>();
  readonly suspended = new Set<Suspended>();
  /** Whatever carries its answers can be closed. */
  onHangUp: () => void = () => {};
  /** Resources that listeners want to hear of: how many, and whether the server took the subscription. */
  readonly wanted = new Map<string, { listeners: number; isTaken: Promise<boolean> }>();

  constructor(clock: Clock) {
    super(clock, eventFraming);
  }

  override hear(line: Buffer, edits: Edit[], release: () => void, question: UpstreamQuestion | undefined): void {
    if (question === undefined) {
      this.spread(splice(line, edits));
      return release();
    }
    const call = this.#askable();
    if (call !== undefined) return call.tell(line, edits, release);
    this.settle(question);
    question.upstream.refuse(question);
    release();
  }

  override say(message: object): void {
    const line = Buffer.from(JSON.stringify(message));
    if ("id" in message) this.#askable()?.tell(line, [], () => {});
    else this.spread(line);
  }

  /** Tells of a change whoever wants to hear of it. */
  spread(line: Buffer): void {
    const { method, uriStart, uriEnd } = readEnvelope(line);
    const what = /^notifications\/(tools|prompts|resources)\/list_changed$/.exec(method)?.[1];
    if (what !== undefined) for (const listener of this.listeners) listener.listChanged(what);
    if (method !== "notifications/resources/updated" || uriStart === 0) return;
    const uri = JSON.parse(line.toString("utf8", uriStart, uriEnd)) as string;
    for (const listener of this.listeners) listener.updated(uri);
  }

  override heartbeat(now: number): void {
    super.heartbeat(now);
    for (const listener of this.listeners) listener.heartbeat(now);
  }

  /** Nobody hears of changes any more, and nobody can come back. */
  override quiet(): void {
    for (const listener of this.listeners) listener.end();
    for (const call of this.suspended) call.giveUp();
  }

  /** The gateway stops, or the session ended. */
  override hangUp(): void {
    this.quiet();
    this.onHangUp();
  }

  #askable(): ClientCall | undefined {
    for (const call of this.calls) if (!call.done && call.takesQuestions === true) return call;
    return undefined;
  }
}
