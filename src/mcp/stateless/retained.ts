/**
 * Calls whose client was asked something. The `requestState` under which it comes back is random, good for one round, and
 * means nothing but the place in this book: nothing in it can be changed or made up.
 */
import { hash } from "node:crypto";
import type { Random } from "../../random.ts";
import { canonical } from "../servers/pool.ts";

/** Calls that may wait for their clients at one time; a server that asks more is refused. */
const callsMax = 1000;
/** By this our states are told from those of servers that speak the stateless revision themselves. */
const mark = "holdfast.";

export class Retained<T> {
  readonly #calls = new Map<string, T>();
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  get hasRoom(): boolean {
    return this.#calls.size < callsMax;
  }

  keep(call: T): string {
    const state = mark + this.#random.bytes(18).toString("base64url");
    this.#calls.set(state, call);
    return state;
  }

  find(state: string): T | undefined {
    return this.#calls.get(state);
  }

  forget(state: string): void {
    this.#calls.delete(state);
  }
}

export function isOurState(state: unknown): state is string {
  return typeof state === "string" && state.startsWith(mark);
}

/** Equal for two requests that ask for the same, whatever they say of themselves and whatever they answer. */
export function requestDigest(method: string, body: Buffer): string {
  const { params } = JSON.parse(body.toString("utf8")) as { params?: Record<string, unknown> };
  const { _meta, inputResponses: _answers, requestState: _state, ...asked } = params ?? {};
  return hash("sha256", `${method} ${canonical(asked)}`, "hex");
}
