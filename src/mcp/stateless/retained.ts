/**
 * Calls suspended for their clients' answers. A `requestState` is random, valid for one round, and only a key of this
 * map, so it can be neither altered nor forged.
 */
import { hash } from "node:crypto";
import type { Random } from "../../random.ts";
import { canonical } from "../servers/pool.ts";

/** Suspended calls at one time; further questions are refused. */
const callsMax = 1000;
/** Distinguishes our states from those of stateless servers. */
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

/** Equal for requests with the same content, regardless of their metadata and answers. */
export function requestDigest(method: string, body: Buffer): string {
  const { params } = JSON.parse(body.toString("utf8")) as { params?: Record<string, unknown> };
  const { _meta, inputResponses: _answers, requestState: _state, ...asked } = params ?? {};
  return hash("sha256", `${method} ${canonical(asked)}`, "hex");
}
