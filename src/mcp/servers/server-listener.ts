/**
 * Our `subscriptions/listen` at a stateless server, which carries its changes. A subscription set cannot be altered, so
 * a new request replaces the old one, which is cancelled once the new one is acknowledged.
 */
import type { Clock, Timer } from "../../clock.ts";
import type { Envelope } from "../wire/envelope.ts";
import type { Numbers } from "../wire/numbers.ts";
import { numberAt } from "../wire/json-rpc.ts";

/** Waits before a retry after the server ended the request: the first, and the longest. */
const retryMs = { first: 1000, most: 30_000 };
const lists = { toolsListChanged: "tools", promptsListChanged: "prompts", resourcesListChanged: "resources" };

export interface ServerListenerParts {
  numbers: Numbers;
  clock: Clock;
  capabilities: Record<string, unknown>;
  say: (message: object) => boolean;
}

export class ServerListener {
  readonly #parts: ServerListenerParts;
  readonly #uris = new Set<string>();
  readonly #waiting: { uri: string; tell: (isTaken: boolean) => void }[] = [];
  /** The acknowledged request, and its replacement. */
  #current: number | undefined;
  #next: number | undefined;
  #retry: Timer | undefined;
  #retryMs = retryMs.first;
  #closed = false;

  constructor(parts: ServerListenerParts) {
    this.#parts = parts;
  }

  begin(): void {
    if (this.#filter() !== undefined) this.#ask();
  }

  /** `tell` reports whether the server accepts it. */
  want(uri: string, isIn: boolean, tell: (isTaken: boolean) => void): void {
    const isChange = this.#uris.has(uri) !== isIn;
    if (isIn) this.#uris.add(uri);
    else this.#uris.delete(uri);
    if (!isChange || !isIn) tell(true);
    else this.#waiting.push({ uri, tell });
    if (isChange && !this.#ask()) this.#settle([]);
  }

  /** True: the message concerns only this listener. */
  hears(envelope: Envelope, line: Buffer): boolean {
    if (envelope.kind === "response") {
      const number = numberAt(line, envelope.idStart, envelope.idEnd);
      if (number !== this.#current && number !== this.#next) return false;
      this.#ended(number);
      return true;
    }
    if (envelope.method === "notifications/subscriptions/acknowledged") {
      this.#acknowledged(line);
      return true;
    }
    // The server ends our subscription.
    if (envelope.method === "notifications/cancelled") {
      const number = numberAt(line, envelope.requestStart, envelope.requestEnd);
      if (number === this.#current || number === this.#next) this.#ended(number);
      return true;
    }
    return false;
  }

  close(): void {
    this.#closed = true;
    this.#retry?.clear();
    this.#settle([]);
  }

  #filter(): Record<string, unknown> | undefined {
    const offers = (name: string) =>
      (this.#parts.capabilities[name] as { listChanged?: unknown } | undefined)?.listChanged;
    const wanted = Object.entries(lists).filter(([, name]) => offers(name) === true);
    if (wanted.length === 0 && this.#uris.size === 0) return undefined;
    const flags = Object.fromEntries(wanted.map(([kind]) => [kind, true]));
    return this.#uris.size === 0 ? flags : { ...flags, resourceSubscriptions: [...this.#uris] };
  }

  /** False: the server takes no input. */
  #ask(): boolean {
    if (this.#closed) return false;
    this.#retry?.clear();
    const before = this.#next;
    this.#next = undefined;
    if (before !== undefined) this.#giveUp(before);
    const notifications = this.#filter();
    if (notifications === undefined) {
      this.#replace(undefined);
      return true;
    }
    this.#next = this.#parts.numbers.next();
    return this.#parts.say({
      jsonrpc: "2.0",
      id: this.#next,
      method: "subscriptions/listen",
      params: { notifications },
    });
  }

  #acknowledged(line: Buffer): void {
    const { params } = JSON.parse(line.toString("utf8")) as {
      params?: { _meta?: Record<string, unknown>; notifications?: { resourceSubscriptions?: unknown } };
    };
    if (params?._meta?.["io.modelcontextprotocol/subscriptionId"] !== this.#next) return;
    this.#replace(this.#next);
    this.#retryMs = retryMs.first;
    const taken = params?.notifications?.resourceSubscriptions;
    this.#settle(Array.isArray(taken) ? taken : []);
  }

  #replace(number: number | undefined): void {
    const before = this.#current;
    this.#current = number;
    this.#next = undefined;
    if (before !== undefined) this.#giveUp(before);
  }

  #giveUp(requestId: number): void {
    this.#parts.say({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId } });
  }

  #settle(taken: unknown[]): void {
    for (const { uri, tell } of this.#waiting.splice(0)) {
      const isTaken = taken.includes(uri);
      if (!isTaken) this.#uris.delete(uri);
      tell(isTaken);
    }
  }

  #ended(number: number): void {
    if (number === this.#next) {
      this.#next = undefined;
      this.#settle([]);
    } else this.#current = undefined;
    if (this.#closed || this.#current !== undefined || this.#next !== undefined || this.#filter() === undefined) return;
    this.#retry?.clear();
    this.#retry = this.#parts.clock.after(this.#retryMs, () => void this.#ask());
    this.#retryMs = Math.min(this.#retryMs * 2, retryMs.most);
  }
}
