/**
 * The client of stateless requests as its servers see it. It has no stream of its own: messages of a call go with that
 * call, changes go to the listeners, and everything else is dropped.
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

/** A call whose round ended with a question to its client. */
export interface Suspended {
  /** Ends the wait for the client. */
  giveUp(): void;
}

export class StatelessClient extends SessionClient {
  readonly listeners = new Set<Listener>();
  readonly suspended = new Set<Suspended>();
  /** Closes the connection of the client, on transports with one. */
  onHangUp: () => void = () => {};
  /** Resources of the listeners: their number, and whether the server accepted the subscription. */
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

  /** Sends a change to its listeners. */
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

  /** Ends all listeners and suspended calls. */
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
