/** Our requests that are open at a remote server: none stays open longer than it is of use, whatever the server does. */
import type { Clock, Timer } from "../../clock.ts";
import type { Ongoing } from "./authorized.ts";

/** Time for a server to end a response that nobody waits for: its answer was heard, or none was due. */
const lingerMs = 60_000;
/** Time for a server to end the response of a call that was cancelled. */
const cancelledMs = 5000;

interface Open {
  request: Ongoing;
  timer: Timer | undefined;
}

export class OpenRequests {
  readonly #clock: Clock;
  readonly #open = new Map<string, Open>();
  #unnamed = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `id` undefined: no answer is due. Returns the key by which it is known here. */
  add(id: string | undefined, request: Ongoing): string {
    const key = id ?? `unnamed ${++this.#unnamed}`;
    this.#open.set(key, { request, timer: undefined });
    if (id === undefined) this.#endAfter(key, lingerMs);
    return key;
  }

  holds(key: string, request: Ongoing): boolean {
    return this.#open.get(key)?.request === request;
  }

  answered(id: string): void {
    if (this.#open.get(id)?.timer === undefined) this.#endAfter(id, lingerMs);
  }

  /** The server was told that nobody waits any more. */
  cancelled(id: string): void {
    this.#endAfter(id, cancelledMs);
  }

  /** Ends it at once. False: there is none. */
  end(id: string): boolean {
    const open = this.#open.get(id);
    if (open === undefined) return false;
    this.#forget(id, open);
    open.request.destroy();
    return true;
  }

  /** It is over, however. */
  over(key: string, request: Ongoing | undefined): void {
    const open = this.#open.get(key);
    if (open !== undefined && open.request === request) this.#forget(key, open);
  }

  #endAfter(key: string, ms: number): void {
    const open = this.#open.get(key);
    if (open === undefined) return;
    open.timer?.clear();
    open.timer = this.#clock.after(ms, () => void this.end(key));
  }

  #forget(key: string, open: Open): void {
    open.timer?.clear();
    this.#open.delete(key);
  }
}
