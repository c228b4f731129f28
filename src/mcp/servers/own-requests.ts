/** Our own requests to a server, each with a time limit. */
import type { Clock, Timer } from "../../clock.ts";
import type { SentIds } from "../../protocol/keeper/linked-run.ts";
import type { Envelope } from "../wire/envelope.ts";
import type { Numbers } from "../wire/numbers.ts";

/** The server answered with an error. */
export class RefusedError extends Error {
  override readonly name = "RefusedError";
  readonly code: number;
  constructor(code: number, message: string) {
    // Messages that begin with the server's name are our own whole sentences.
    super(message.startsWith("MCP server ") ? message : `answered: ${message}`);
    this.code = code;
  }
}

export interface OwnAnswer {
  result: unknown;
  /** Length of the message that carried it. */
  bytes: number;
}

interface OwnRequest {
  resolve: (answer: OwnAnswer) => void;
  reject: (error: Error) => void;
  timer: Timer;
}

export interface OwnRequestsParts {
  numbers: Numbers;
  clock: Clock;
  /** A description of the discarded output, for timeout errors. */
  dropped: () => string;
}

export class OwnRequests {
  readonly #parts: OwnRequestsParts;
  readonly #say: (message: object, ids?: SentIds) => boolean;
  readonly #closed: (number: number) => void;
  readonly #open = new Map<number, OwnRequest>();

  /** `closed` is called for each request that needs no answer now. */
  constructor(
    parts: OwnRequestsParts,
    say: (message: object, ids?: SentIds) => boolean,
    closed: (number: number) => void,
  ) {
    this.#parts = parts;
    this.#say = say;
    this.#closed = closed;
  }

  /** Rejects with a sentence: the server's error, its end, or a timeout. */
  ask(method: string, params: object, boundMs: number): Promise<OwnAnswer> {
    return new Promise((resolve, reject) => {
      const id = this.#parts.numbers.next();
      const late = () => {
        this.#open.delete(id);
        this.#closed(id);
        // The protocol cannot cancel `initialize`; the server is ended instead.
        if (method !== "initialize")
          this.#say({
            jsonrpc: "2.0",
            method: "notifications/cancelled",
            params: { requestId: id, reason: "timeout" },
          });
        reject(new Error(`gave no answer to ${method} within ${boundMs} ms${this.#parts.dropped()}`));
      };
      const timer = this.#parts.clock.after(boundMs, late);
      this.#open.set(id, { resolve, reject, timer });
      if (this.#say({ jsonrpc: "2.0", id, method, params }, { opens: id })) return;
      timer.clear();
      this.#open.delete(id);
      reject(new Error("takes no input"));
    });
  }

  numbers(): Iterable<number> {
    return this.#open.keys();
  }

  /** The answer to this one is unreadable. */
  refuse(number: number, why: string): void {
    const own = this.#open.get(number);
    if (own === undefined) return;
    this.#open.delete(number);
    this.#closed(number);
    own.timer.clear();
    own.reject(new Error(why));
  }

  /** An answer outside any call; late ones are dropped. */
  answered(number: number, envelope: Envelope, line: Buffer): void {
    const own = this.#open.get(number);
    if (own === undefined) return;
    this.#open.delete(number);
    this.#closed(number);
    own.timer.clear();
    const message = JSON.parse(line.toString()) as {
      result?: unknown;
      error?: { code?: unknown; message?: unknown } | null;
    };
    const { code, message: words = "an error without a message" } = message.error ?? {};
    if (envelope.hasError) own.reject(new RefusedError(Number(code), String(words)));
    else own.resolve({ result: message.result, bytes: line.length });
  }

  /** The server is gone. */
  fail(outcome: string): void {
    for (const own of this.#open.values()) {
      own.timer.clear();
      own.reject(new Error(outcome));
    }
    this.#open.clear();
  }
}
