/** Handles invalid server output so that no caller waits forever. */
import type { Log } from "../../log.ts";
import { errorBody, numberAt, rpcCode, type RpcFault } from "./json-rpc.ts";
import { readEnvelope, type Envelope } from "./envelope.ts";
import { tooLong, unreadableAnswer } from "./faults.ts";
import { LostAnswers } from "./lost-answers.ts";
import { Noise } from "./noise.ts";
import { salvage } from "./salvage.ts";

export interface UnreadableParts {
  server: string;
  log: Log;
  runId: () => string | undefined;
  /** Our numbers of the requests that wait for their answer. */
  numbers: () => number[];
  fail: (number: number, fault: RpcFault) => void;
  send: (line: Buffer) => void;
}

export class Unreadable {
  readonly #parts: UnreadableParts;
  readonly #noise: Noise;
  readonly #lost: LostAnswers;

  constructor(parts: UnreadableParts) {
    this.#parts = parts;
    const { numbers, fail, server, log } = parts;
    this.#noise = new Noise(server, log);
    this.#lost = new LostAnswers({ numbers, fail: (number, why) => fail(number, unreadableAnswer(server, why)) });
  }

  /** `deliver` takes each whole message in the line. */
  hear(line: Buffer, why: string, deliver: (message: Buffer) => void): void {
    const { messages, hasNoise, answer, request } = salvage(line);
    if (hasNoise || messages.length === 0) this.drop(why, line);
    for (const message of messages) deliver(message);
    if (answer !== undefined) this.#lost.lost(answer.ids.map(numberOf), why);
    if (request !== undefined) this.refuse(request, why);
  }

  /** Fails the call of an oversized answer, or refuses an oversized question; other messages are dropped. */
  hearTooLong({ kind, idStart, idEnd }: Envelope, line: Buffer, messageBytesMax: number): void {
    const { server, fail } = this.#parts;
    const fault = tooLong(server, line.length, messageBytesMax);
    if (kind === "request") this.refuse(line.toString("latin1", idStart, idEnd), fault.message);
    else if (kind === "notification") this.drop(fault.message);
    else fail(numberAt(line, idStart, idEnd), fault);
  }

  /** Drops output that concerns no request. */
  drop(why: string, line?: Buffer): void {
    this.#noise.drop(this.#parts.runId(), why, line);
  }

  /** A description of the discarded output, for timeout errors. */
  get dropped(): string {
    return this.#noise.told;
  }

  /** A server's error without a request id: it could not read one of our messages. */
  hearNameless(words: string): void {
    this.#lost.lost([], words);
  }

  /** Answers the server's question with an error. */
  refuse(serverId: string, why: string): void {
    const message = `the request cannot be read: ${why}`;
    this.#parts.send(errorBody(serverId, { code: rpcCode.invalidRequest, message, reason: "invalid_params" }));
  }

  answered(number: number): void {
    this.#lost.answered(number);
  }
}

/**
 * Replaces an invalid event: by the whole messages in it, else by an error for the request of its response if it can be
 * the answer, else by itself. `answered`: the id answered this way.
 */
export function heardInstead(
  data: Buffer,
  why: string,
  server: string,
  asked: string | undefined,
): { lines: Buffer[]; answered: string | undefined } {
  const { messages, answer } = salvage(data);
  if (messages.length > 0)
    return { lines: messages, answered: messages.map(answeredId).find((id) => id !== undefined) };
  const isItsOwn = answer !== undefined && (answer.ids.length === 0 || answer.ids.includes(asked ?? ""));
  if (asked === undefined || !isItsOwn) return { lines: [data], answered: undefined };
  return { lines: [errorBody(asked, unreadableAnswer(server, why))], answered: asked };
}

function answeredId(message: Buffer): string | undefined {
  const { kind, idStart, idEnd } = readEnvelope(message);
  return kind === "response" ? message.toString("latin1", idStart, idEnd) : undefined;
}

function numberOf(id: string): number {
  return Number(id.startsWith('"') ? id.slice(1, -1) : id);
}
