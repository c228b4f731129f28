/** The ownership tree. Ending a scope ends all below it, youngest first; late members are closed at once. */
import type { EndReason } from "../protocol/run.ts";

/** Something with one owner. `close` is idempotent, resolves on proof, and rejects without it. */
export interface Owned {
  close(reason: EndReason): Promise<ScopeClosed | void>;
}

/** What could not be closed, and why. Empty = everything is gone. */
export interface ScopeClosed {
  reason: EndReason;
  failures: { name: string; error: unknown }[];
}

export interface ScopeOptions {
  /** Independent members are closed concurrently, youngest first. */
  independent?: boolean;
}

export class Scope implements Owned {
  readonly name: string;
  readonly #independent: boolean;
  readonly #parent: Scope | undefined;
  /** In order of arrival. */
  readonly #members = new Map<Owned, string>();
  readonly #failures: ScopeClosed["failures"] = [];
  #closing: Promise<ScopeClosed> | undefined;
  #reason: EndReason = "session-ended";
  /** Late members being closed, part of the scope until then. */
  readonly #late = new Set<Promise<void>>();

  constructor(name: string, options: ScopeOptions = {}, parent?: Scope) {
    this.name = name;
    this.#independent = options.independent ?? false;
    this.#parent = parent;
  }

  /** True from the first `close` of this scope or one above. */
  get closing(): boolean {
    return this.#closing !== undefined || this.#parent?.closing === true;
  }

  get size(): number {
    return this.#members.size;
  }

  /** Adds a member; a closing scope closes it at once, for its own reason. */
  add<T extends Owned>(thing: T, name: string): T {
    if (this.#closing === undefined) this.#members.set(thing, name);
    else {
      const closed = this.#end(thing, name).finally(() => this.#late.delete(closed));
      this.#late.add(closed);
    }
    return thing;
  }

  /** A child scope; it leaves once closed. */
  child(name: string, options: ScopeOptions = {}): Scope {
    return this.add(new Scope(name, options, this), name);
  }

  /** Removes a member that ended by itself. */
  release(thing: Owned): void {
    this.#members.delete(thing);
  }

  /** Ends everything below, youngest first. Returns the same promise each time; failures are in the result. */
  close(reason: EndReason): Promise<ScopeClosed> {
    if (this.#closing === undefined) {
      this.#reason = reason;
      const { promise, resolve } = Promise.withResolvers<ScopeClosed>();
      // Set first: members that call back must find the scope closing.
      this.#closing = promise;
      void this.#run().then(() => resolve({ reason, failures: this.#failures }));
    }
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close("session-ended").then(() => {});
  }

  async #run(): Promise<void> {
    const youngestFirst = [...this.#members].toReversed();
    this.#members.clear();
    if (this.#independent) await Promise.all(youngestFirst.map(([thing, name]) => this.#end(thing, name)));
    else for (const [thing, name] of youngestFirst) await this.#end(thing, name);
    while (this.#late.size > 0) await Promise.all(this.#late);
    this.#parent?.release(this);
  }

  /** Closes a member and keeps its error, so that the others still end. */
  async #end(thing: Owned, name: string): Promise<void> {
    try {
      const result = await thing.close(this.#reason);
      if (result !== undefined) this.#failures.push(...result.failures);
    } catch (error) {
      this.#failures.push({ name, error });
    }
  }
}
