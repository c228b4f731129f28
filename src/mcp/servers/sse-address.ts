/** The older transport (`sse`) begins with a stream, on which the server names the address to post to. */
import type { Clock } from "../../clock.ts";
import type { Envelope } from "../wire/envelope.ts";
import type { Ongoing } from "./authorized.ts";
import type { ServerEvent } from "./event-parser.ts";
import type { ExchangeEvents } from "./exchange.ts";

/** Refusals with another meaning: login, permission, timeout, size, rate. */
const othersMatter = new Set([401, 403, 407, 408, 429]);

/** Whether a server with this refusal may speak the older transport. */
export function mayBeOlder({ method }: Envelope, status = 0): boolean {
  return method === "initialize" && status >= 400 && status < 500 && !othersMatter.has(status);
}

export interface SseAddressParts {
  url: URL;
  clock: Clock;
  boundMs: number;
  get: (events: ExchangeEvents) => Ongoing;
  onEvent: (event: ServerEvent, release: () => void) => void;
  /** The stream ended after it had named the address. */
  onOver: (why: string) => void;
}

/** Rejects with the reason of a failure; then no stream is open. */
export function findSseAddress({ url, clock, boundMs, get, onEvent, onOver }: SseAddressParts): Promise<URL> {
  return new Promise((resolve, reject) => {
    let isFound = false;
    const fail = (why: string) => {
      timer.clear();
      if (isFound) return onOver(why);
      reject(new Error(why));
      stream.destroy();
    };
    const timer = clock.after(boundMs, () => fail(`named no address within ${boundMs} ms`));
    const stream = get({
      onEvent(event, release) {
        if (event.name !== "endpoint") return onEvent(event, release);
        release();
        const address = URL.parse(event.data.toString(), url);
        if (address === null) return fail("names an address that cannot be read");
        // Otherwise a server could redirect our credentials to another origin.
        if (address.origin !== url.origin) return fail(`names an address elsewhere, ${address.origin}`);
        isFound = true;
        timer.clear();
        resolve(address);
      },
      onEnd: (problem) => fail(problem ?? "ended its stream"),
    });
  });
}
