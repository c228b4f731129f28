/** Hears what a server says that is no message: nobody may wait for ever for what was in it. */
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

  /** `deliver` takes each whole message that stands in the line. */
  hear(line: Buffer, why: string, deliver: (message: Buffer) => void): void {
    const { messages, hasNoise, answer, request } = salvage(line);
    if (hasNoise || messages.length === 0) this.drop(why, line);
    for (const message of messages) deliver(message);
    if (answer !== undefined) this.#lost.lost(answer.ids.map(numberOf), why);
    if (request !== undefined) this.refuse(request, why);
  }

  /** An answer has somebody who waits for it, and a question the server; anything else that is too long is dropped. */
  hearTooLong({ kind, idStart, idEnd }: Envelope, line: Buffer, messageBytesMax: number): void {
    const { server, fail } = this.#parts;
    const fault = tooLong(server, line.length, messageBytesMax);
    if (kind === "request") this.refuse(line.toString("latin1", idStart, idEnd), fault.message);
    else if (kind === "notification") this.drop(fault.message);
    else fail(numberAt(line, idStart, idEnd), fault);
  }

  /** Nobody waits for it. */
  drop(why: string, line?: Buffer): void {
    this.#noise.drop(this.#parts.runId(), why, line);
  }

  /** What was dropped, for whoever waited in vain. */
  get dropped(): string {
    return this.#noise.told;
  }

  /** An error of the server's that names no request: it could not read one of ours. */
  hearNameless(words: string): void {
    this.#lost.lost([], words);
  }

  /** The server waits for an answer to what it asked. */
  refuse(serverId: string, why: string): void {
    const message = `the request cannot be read: ${why}`;
    this.#parts.send(errorBody(serverId, { code: rpcCode.invalidRequest, message, reason: "invalid_params" }));
  }

  answered(number: number): void {
    this.#lost.answered(number);
  }
}

/**
 * What is heard in place of an event that is no message: whole messages in it, else an error for the request on whose
 * response it stands, if it can be that one's answer, else itself. `answered`: the id that has its answer with that.
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
