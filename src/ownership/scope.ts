/**
 * The ownership tree. Whatever lives is added to one scope; ending a scope ends all below it, youngest first, and what
 * comes too late is closed at once, so that nothing can slip out between "ending" and "ended".
 */
import type { EndReason } from "../protocol/keeper/messages.ts";

/** Something with one owner. `close` is idempotent and resolves when the thing is proven gone; it rejects if it is not. */
export interface Owned {
  close(reason: EndReason): Promise<ScopeClosed | void>;
}

/** What became of a scope: who could not be closed, and why. Empty = everything is gone. */
export interface ScopeClosed {
  reason: EndReason;
  failures: { name: string; error: unknown }[];
}

export interface ScopeOptions {
  /** Members do not need each other: start to close youngest first, but do not wait for one before the next. */
  independent?: boolean;
}

export class Scope implements Owned {
  readonly name: string;
  readonly #independent: boolean;
  readonly #parent: Scope | undefined;
  /** In order of arrival, which a Map keeps. */
  readonly #members = new Map<Owned, string>();
  readonly #failures: ScopeClosed["failures"] = [];
  #closing: Promise<ScopeClosed> | undefined;
  #reason: EndReason = "session-ended";
  /** Late members that are being closed; the scope is not gone before them. */
  readonly #late = new Set<Promise<void>>();

  constructor(name: string, options: ScopeOptions = {}, parent?: Scope) {
    this.name = name;
    this.#independent = options.independent ?? false;
    this.#parent = parent;
  }

  /** True from the first call of `close` on, of its own or of one above it, which may come to this one only later. */
  get closing(): boolean {
    return this.#closing !== undefined || this.#parent?.closing === true;
  }

  get size(): number {
    return this.#members.size;
  }

  /** Takes a thing in. If the scope is closing already, the thing is closed at once, with the scope's reason. */
  add<T extends Owned>(thing: T, name: string): T {
    if (this.#closing === undefined) this.#members.set(thing, name);
    else {
      const closed = this.#end(thing, name).finally(() => this.#late.delete(closed));
      this.#late.add(closed);
    }
    return thing;
  }

  /** A scope below this one; it leaves by itself once it is closed. */
  child(name: string, options: ScopeOptions = {}): Scope {
    return this.add(new Scope(name, options, this), name);
  }

  /** For a thing that ended by itself: its owner need not close it any more. */
  release(thing: Owned): void {
    this.#members.delete(thing);
  }

  /** Ends everything below, youngest first. The same promise each time; it never rejects, failures are in the result. */
  close(reason: EndReason): Promise<ScopeClosed> {
    if (this.#closing === undefined) {
      this.#reason = reason;
      const { promise, resolve } = Promise.withResolvers<ScopeClosed>();
      // Set before the first member hears of it: a member that calls back must find the scope closing.
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

  /** Closes one member; whatever it throws is kept, so that the others still end. */
  async #end(thing: Owned, name: string): Promise<void> {
    try {
      const result = await thing.close(this.#reason);
      if (result !== undefined) this.#failures.push(...result.failures);
    } catch (error) {
      this.#failures.push({ name, error });
    }
  }
}
