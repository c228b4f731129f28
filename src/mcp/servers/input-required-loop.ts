/**
 * A session client's call at a stateless server, over as many rounds as the server has questions. Each question goes to
 * the client as a request of a session-based revision; the request is then resent with the answers, under a new id.
 */
import type { Clock, Timer } from "../../clock.ts";
import { asciiText, rpcCode, isObject, numberAt } from "../wire/json-rpc.ts";
import { readEnvelope, type Envelope } from "../wire/envelope.ts";
import type { Numbers } from "../wire/numbers.ts";
import { splice, type Edit } from "../wire/splice.ts";
import type { WireEvents } from "./wire.ts";

/** Rounds per call. */
const roundsMax = 64;
/** Delay before resending a request that needed no answer. */
const pauseMs = 250;
/** Requests that a server may answer with questions. */
const askingMethods = new Set(["tools/call", "prompts/get", "resources/read"]);
const marker = Buffer.from('"input_required"');

export interface InputRequiredLoopParts {
  numbers: Numbers;
  clock: Clock;
  events: WireEvents;
  send: (line: Buffer) => boolean;
}

interface Asking {
  /** As the upstream knows it. */
  number: number;
  /** The current id at the server; undefined while the client is asked. */
  now: number | undefined;
  /** The request as first sent. */
  whole: Buffer;
  rounds: number;
  state: string | undefined;
  /** Our ids of open questions, with the server's keys. */
  open: Map<string, string>;
  answers: Record<string, unknown>;
  pause?: Timer;
}

/** The questions in a result; null: malformed ones. */
type InputRequired = { inputRequests: Record<string, InputQuestion>; requestState: string | undefined } | null;

interface InputQuestion {
  method: string;
  params?: Record<string, unknown>;
}

export class InputRequiredLoop {
  readonly #parts: InputRequiredLoopParts;
  /** By the id at the server. */
  readonly #calls = new Map<number, Asking>();
  /** By the id of an open question. */
  readonly #asked = new Map<string, Asking>();

  constructor(parts: InputRequiredLoopParts) {
    this.#parts = parts;
  }

  /** A request was sent, `whole` as the server received it. */
  sent(envelope: Envelope, line: Buffer, whole: Buffer): void {
    if (!askingMethods.has(envelope.method)) return;
    const number = numberAt(line, envelope.idStart, envelope.idEnd);
    // The line may be the sender's memory; the copy is kept for resending.
    const kept = whole === line ? Buffer.from(line) : whole;
    this.#calls.set(number, {
      number,
      now: number,
      whole: kept,
      rounds: 0,
      state: undefined,
      open: new Map(),
      answers: {},
    });
  }

  /** The caller cancelled. Returns the id at the server; NaN: the server has no request of this call at the moment. */
  cancel(number: number): number {
    const asking = [...this.#calls.values(), ...this.#asked.values()].find((each) => each.number === number);
    if (asking === undefined) return number;
    this.#forget(asking);
    return asking.now ?? Number.NaN;
  }

  /** True: handled here, as a question or as a message of a later round. */
  hears(envelope: Envelope, line: Buffer): boolean {
    if (envelope.kind !== "response") return false;
    const asking = this.#calls.get(numberAt(line, envelope.idStart, envelope.idEnd));
    if (asking === undefined) return false;
    const result = line.includes(marker) ? inputRequired(line) : undefined;
    this.#calls.delete(asking.now ?? 0);
    if (result === null) {
      this.#fail(asking, "the server answered input_required with questions that cannot be read");
      return true;
    }
    if (result !== undefined) {
      this.#ask(asking, result);
      return true;
    }
    if (asking.now === asking.number) return false;
    const edit = { start: envelope.idStart, end: envelope.idEnd, text: String(asking.number) };
    this.#parts.events.onLine(splice(line, [edit]), () => {});
    return true;
  }

  /** The client's answer to a question, or its refusal. */
  answered(envelope: Envelope, line: Buffer): void {
    const id = line.toString("latin1", envelope.idStart, envelope.idEnd);
    const asking = this.#asked.get(id);
    if (asking === undefined) return; // its call is over
    const { result, error } = JSON.parse(line.toString("utf8")) as { result?: unknown; error?: { message?: unknown } };
    if (envelope.hasError)
      return this.#fail(asking, `the client did not answer its question: ${String(error?.message)}`);
    this.#asked.delete(id);
    asking.answers[asking.open.get(id) ?? ""] = result;
    asking.open.delete(id);
    if (asking.open.size === 0) this.#again(asking);
  }

  /** The server is gone: its calls have been answered. */
  close(): void {
    for (const { pause } of this.#calls.values()) pause?.clear();
    this.#calls.clear();
    this.#asked.clear();
  }

  #ask(asking: Asking, { inputRequests, requestState }: NonNullable<InputRequired>): void {
    asking.now = undefined;
    asking.state = requestState;
    asking.answers = {};
    asking.open.clear();
    if (++asking.rounds > roundsMax)
      return this.#fail(asking, `the server asked more than ${roundsMax} times in a row`);
    const questions = Object.entries(inputRequests).map(([key, request]) => {
      const id = `"ask-${this.#parts.numbers.next()}"`;
      asking.open.set(id, key);
      this.#asked.set(id, asking);
      return { id, ...request };
    });
    if (questions.length === 0) {
      // Kept in the map, so that it can be cancelled.
      asking.pause = this.#parts.clock.after(pauseMs, () => this.#again(asking));
      this.#calls.set(-asking.number, asking);
      return;
    }
    for (const { id, method, params } of questions) {
      if (!asking.open.has(id)) return; // an earlier question was refused, and the call with it
      const rest = JSON.stringify({ method, ...(params === undefined ? {} : { params }) }).slice(1);
      this.#parts.events.onLine(Buffer.from(`{"jsonrpc":"2.0","id":${id},${rest}`), () => {}, false, asking.number);
    }
  }

  #again(asking: Asking): void {
    this.#calls.delete(-asking.number);
    const { whole, answers, state } = asking;
    const envelope = readEnvelope(whole);
    asking.now = this.#parts.numbers.next();
    const edits: Edit[] = [{ start: envelope.idStart, end: envelope.idEnd, text: String(asking.now) }];
    const more = [
      ...(Object.keys(answers).length === 0 ? [] : [`"inputResponses":${asciiText(answers)},`]),
      ...(state === undefined ? [] : [`"requestState":${asciiText(state)},`]),
    ].join("");
    const start = envelope.paramsStart + 1; // never empty: it holds the client's metadata
    edits.push({ start, end: start, text: more });
    this.#calls.set(asking.now, asking);
    if (!this.#parts.send(splice(whole, edits))) this.#fail(asking, "the server takes no input");
  }

  #fail(asking: Asking, message: string): void {
    this.#forget(asking);
    const { events } = this.#parts;
    // Its other questions need no answer now.
    for (const id of asking.open.keys())
      events.onLine(
        Buffer.from(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${id}}}`),
        () => {},
      );
    const error = JSON.stringify({ code: rpcCode.internal, message });
    events.onLine(Buffer.from(`{"jsonrpc":"2.0","id":${asking.number},"error":${error}}`), () => {});
  }

  #forget(asking: Asking): void {
    asking.pause?.clear();
    for (const id of asking.open.keys()) this.#asked.delete(id);
    this.#calls.delete(asking.now ?? -asking.number);
  }
}

/** Undefined: an ordinary answer. */
function inputRequired(line: Buffer): InputRequired | undefined {
  const { result } = JSON.parse(line.toString("utf8")) as { result?: unknown };
  if (!isObject(result) || result["resultType"] !== "input_required") return undefined;
  const { inputRequests = {}, requestState } = result;
  if (!isObject(inputRequests) || !Object.values(inputRequests).every(isQuestion)) return null;
  if (requestState !== undefined && typeof requestState !== "string") return null;
  return { inputRequests: inputRequests as Record<string, InputQuestion>, requestState };
}

function isQuestion(value: unknown): value is InputQuestion {
  if (!isObject(value) || typeof value["method"] !== "string") return false;
  return value["params"] === undefined || isObject(value["params"]);
}
