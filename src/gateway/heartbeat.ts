/** Tells the keeper that this process turns, and what it last began: a front that hangs cannot say so any more. */
import type { KeeperLink } from "../keeper/protocol/link.ts";

const beatMs = 1000;

export class Heartbeat {
  readonly #link: KeeperLink;
  readonly #timer: NodeJS.Timeout;
  #lastMethod = "start";

  constructor(link: KeeperLink) {
    this.#link = link;
    this.#timer = setInterval(() => link.heartbeat(this.#lastMethod), beatMs);
    this.#timer.unref();
  }

  /** Before each handler. The word goes out only when it changes, so that a stream of like calls costs nothing. */
  announce(method: string): void {
    if (method === this.#lastMethod) return;
    this.#lastMethod = method;
    this.#link.heartbeat(method);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
