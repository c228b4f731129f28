/** Events as a bounded async iterator, ended by `break`, by the client, or by an error that names what was lost. */
import { HoldfastError } from "../errors.ts";
import type { LifecycleEvent, LifecycleName } from "../events.ts";

/** A reader this far behind has lost its position. */
const waitingMax = 10_000;

export type GatewayEvent = LifecycleEvent & { seq: number; at: number };

export class EventIterator implements AsyncIterableIterator<GatewayEvent> {
  readonly #names: ReadonlySet<string> | undefined;
  readonly #onReturn: (iterator: EventIterator) => void;
  #waiting: GatewayEvent[] = [];
  #wake: PromiseWithResolvers<void> | undefined;
  #end: { error: HoldfastError | undefined } | undefined;

  constructor(names: Iterable<LifecycleName> | undefined, onReturn: (iterator: EventIterator) => void) {
    this.#names = names === undefined ? undefined : new Set(names);
    this.#onReturn = onReturn;
  }

  push(event: GatewayEvent): void {
    if (this.#end !== undefined || this.#names?.has(event.name) === false) return;
    this.#waiting.push(event);
    if (this.#waiting.length > waitingMax) {
      this.#waiting = [];
      this.finish(new HoldfastError("gap", `the reader of these events is more than ${waitingMax} events behind`));
    }
    this.#wake?.resolve();
  }

  /** Ends the iteration, with an error if given. */
  finish(error?: HoldfastError): void {
    this.#end ??= { error };
    this.#wake?.resolve();
  }

  async next(): Promise<IteratorResult<GatewayEvent>> {
    for (;;) {
      const value = this.#waiting.shift();
      if (value !== undefined) return { value, done: false };
      if (this.#end !== undefined) {
        const { error } = this.#end;
        this.#end = { error: undefined };
        this.#onReturn(this);
        if (error !== undefined) throw error;
        return { value: undefined, done: true };
      }
      this.#wake = Promise.withResolvers<void>();
      await this.#wake.promise;
    }
  }

  return(): Promise<IteratorResult<GatewayEvent>> {
    this.#waiting = [];
    this.finish();
    this.#onReturn(this);
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }
}
