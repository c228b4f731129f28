/** One timer for all periodic checks: open streams, long waits, undelivered questions. */
import type { Clock, Timer } from "../../clock.ts";

/** Shorter than the idle limits of proxies (30 to 60 s) and of the fetch that clients use (300 s). */
export const heartbeatMs = 15_000;

export interface HeartbeatMember {
  heartbeat(now: number): void;
}

export class StreamHeartbeat {
  readonly #clock: Clock;
  readonly #members = new Set<HeartbeatMember>();
  #timer: Timer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(member: HeartbeatMember): void {
    this.#members.add(member);
    if (this.#timer === undefined) this.#arm();
  }

  remove(member: HeartbeatMember): void {
    this.#members.delete(member);
    if (this.#members.size > 0) return;
    this.#timer?.clear();
    this.#timer = undefined;
  }

  #arm(): void {
    this.#timer = this.#clock.after(heartbeatMs, () => {
      this.#timer = undefined;
      const now = this.#clock.monotonic();
      for (const member of this.#members) member.heartbeat(now);
      if (this.#members.size > 0) this.#arm();
    });
  }
}
