/** Our open requests at a remote server, each with a time limit regardless of the server. */
import type { Clock, Timer } from "../../clock.ts";
import type { Ongoing } from "./authorized.ts";

/** Time for a server to end a response after its answer, or without one due. */
const lingerMs = 60_000;
/** Time for a server to end the response of a cancelled call. */
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

  /** `id` undefined: no answer is due. Returns its key here. */
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

  /** The server was told of the cancellation. */
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

  /** The request is over, for any reason. */
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
