/** An exchange with a remote server as its logged-in user, retried once with a renewed token. */
import type { ClientRequest } from "node:http";
import { asHoldfastError } from "../../errors.ts";
import type { Bearer } from "../../oauth/bearer.ts";
import { exchange, type ExchangeEvents, type Outgoing } from "./exchange.ts";

export interface Ongoing {
  destroy(): void;
}

/** As `exchange`; `onClosed` comes last, when everything is released. Without a bearer it equals `exchange`. */
export function authorizedExchange(
  outgoing: Outgoing,
  events: ExchangeEvents,
  bearer: Bearer | undefined,
  onClosed: () => void,
): Ongoing {
  const attempt = new Attempt(outgoing, events, bearer, onClosed);
  attempt.begin();
  return attempt;
}

class Attempt implements Ongoing {
  readonly #outgoing: Outgoing;
  readonly #events: ExchangeEvents;
  readonly #bearer: Bearer | undefined;
  readonly #onClosed: () => void;
  #request: ClientRequest | undefined;
  #isDestroyed = false;
  #hasRenewed = false;

  constructor(outgoing: Outgoing, events: ExchangeEvents, bearer: Bearer | undefined, onClosed: () => void) {
    this.#outgoing = outgoing;
    this.#events = events;
    this.#bearer = bearer;
    this.#onClosed = onClosed;
  }

  begin(): void {
    const token = this.#bearer === undefined ? null : this.#bearer.atHand;
    // At once where possible, so that requests arrive in order.
    if (token === undefined) this.#renew(undefined);
    else this.#send(token);
  }

  destroy(): void {
    this.#isDestroyed = true;
    this.#request?.destroy();
  }

  #renew(refused: string | undefined): void {
    this.#bearer?.token(refused).then(
      (token) => {
        if (this.#isDestroyed) this.#end("it was given up", undefined);
        else this.#send(token);
      },
      (thrown: unknown) => this.#end(asHoldfastError(thrown).message, undefined),
    );
  }

  #send(token: string | null): void {
    const { headers } = this.#outgoing;
    const bearer = this.#bearer;
    const outgoing =
      token === null
        ? this.#outgoing
        : { ...this.#outgoing, headers: { ...headers, authorization: `Bearer ${token}` } };
    let isRefused = false;
    let isRenewing = false;
    this.#request = exchange(outgoing, {
      onHead: (response) => {
        isRefused = bearer !== undefined && asksForLogin(response.statusCode, response.headers["www-authenticate"]);
        if (isRefused) return;
        if (response.statusCode !== undefined && response.statusCode < 300) bearer?.taken();
        this.#events.onHead?.(response);
      },
      onEvent: (event, release) => this.#events.onEvent(event, release),
      onRefusal: (words) => {
        if (!isRefused) this.#events.onRefusal?.(words);
      },
      onEnd: (problem, status) => {
        if (!isRefused || bearer === undefined) return this.#events.onEnd(problem, status);
        isRenewing = status === 401 && token !== null && !this.#hasRenewed;
        if (!isRenewing) return this.#events.onEnd(bearer.wanted(), status);
        this.#hasRenewed = true;
        this.#renew(token ?? undefined);
      },
    });
    this.#request.once("close", () => {
      if (!isRenewing) this.#onClosed();
    });
  }

  #end(problem: string, status: number | undefined): void {
    this.#events.onEnd(problem, status);
    this.#onClosed();
  }
}

/** 401, or a 403 that names a missing scope (RFC 6750). */
function asksForLogin(status: number | undefined, challenge: string | undefined): boolean {
  return status === 401 || (status === 403 && /insufficient_scope/.test(challenge ?? ""));
}
