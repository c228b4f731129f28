/** What we ask a server on our own account, each with a bound. */
import type { Clock, Timer } from "../../clock.ts";
import type { SentIds } from "../../protocol/keeper/linked-run.ts";
import type { Envelope } from "../wire/envelope.ts";
import type { Numbers } from "../wire/numbers.ts";

/** The server answered with an error. */
export class RefusedError extends Error {
  override readonly name = "RefusedError";
  readonly code: number;
  constructor(code: number, message: string) {
    // What never reached the server is answered by us, in whole sentences.
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
  /** What of the server's output was dropped, for whoever waited in vain. */
  dropped: () => string;
}

export class OwnRequests {
  readonly #parts: OwnRequestsParts;
  readonly #say: (message: object, ids?: SentIds) => boolean;
  readonly #closed: (number: number) => void;
  readonly #open = new Map<number, OwnRequest>();

  /** `closed` hears of each that needs no answer any more. */
  constructor(
    parts: OwnRequestsParts,
    say: (message: object, ids?: SentIds) => boolean,
    closed: (number: number) => void,
  ) {
    this.#parts = parts;
    this.#say = say;
    this.#closed = closed;
  }

  /** Rejects with a sentence: the server's error, its end, or no answer within the bound. */
  ask(method: string, params: object, boundMs: number): Promise<OwnAnswer> {
    return new Promise((resolve, reject) => {
      const id = this.#parts.numbers.next();
      const late = () => {
        this.#open.delete(id);
        this.#closed(id);
        // The protocol has no cancelling of `initialize`; what did not answer it is ended.
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

  /** The answer to this one cannot be read. */
  refuse(number: number, why: string): void {
    const own = this.#open.get(number);
    if (own === undefined) return;
    this.#open.delete(number);
    this.#closed(number);
    own.timer.clear();
    own.reject(new Error(why));
  }

  /** An answer that no call waits for; one that comes too late is dropped. */
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
