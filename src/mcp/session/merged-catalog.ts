/** What one session is offered: the lists of its servers as one, and word to its client when they are others. */
import type { Clock } from "../../clock.ts";
import type { Log } from "../../log.ts";
import type { Session } from "../../sessions/session.ts";
import type { ListName } from "../servers/handshake.ts";
import type { SessionClient } from "./session-client.ts";
import type { MirroredParam } from "../wire/mirrored-params.ts";
import type { Binding } from "../servers/binding.ts";
import { merge, type Merged, type Part } from "./merge.ts";
import { splitName } from "./names.ts";
import type { Bindings } from "./bindings.ts";

export interface MergedCatalogParts {
  bindings: Bindings;
  isPrefixed: boolean;
  session: Session;
  client: SessionClient;
  clock: Clock;
  log: Log;
  /**
   * How long the session waits for servers that must be started, for its `initialize` and all its lists together; the ones that
   * come later are told as a changed list.
   */
  listMs: number;
}

export class MergedCatalog {
  readonly #parts: MergedCatalogParts;
  /** What the client was shown last, to tell it when there is something else. */
  #shown: Merged | undefined;
  #patienceMs: number;
  /** Servers whose lists are on their way. */
  readonly #learning = new Map<Binding, Promise<void>>();

  constructor(parts: MergedCatalogParts) {
    this.#parts = parts;
    this.#patienceMs = parts.listMs;
  }

  /** What is known in time; servers are started for it. One that fails is left out, and said so in the log. */
  async merged(): Promise<Merged> {
    const { session, isPrefixed, log } = this.#parts;
    const merged = merge(await this.#metadata(), isPrefixed);
    if (this.#shown !== merged && merged.clashes.length > 0)
      log("mcp.clash", { session: session.id, clashes: merged.clashes });
    if (this.#shown !== merged) for (const left of merged.unlisted) log("mcp.unlisted", left);
    this.#shown = merged;
    return merged;
  }

  /** Of some servers nothing is known yet. */
  get isPartial(): boolean {
    return this.#parts.bindings.all.some((binding) => binding.metadata === undefined);
  }

  /** What is known now, without any start. */
  now(): Merged {
    return merge(this.#known(), this.#parts.isPrefixed);
  }

  /** Parameters of a tool that its calls say again in headers. Undefined: what its server offers is not known yet. */
  mirrored(tool: string): MirroredParam[] | undefined {
    const binding = this.#bindingOf(tool);
    if (binding !== undefined && binding.metadata === undefined) return undefined;
    return this.now().mirrored.get(tool) ?? [];
  }

  /** The same, by a start of the server if need be. Rejects with why it cannot be started. */
  async learnMirrored(tool: string): Promise<MirroredParam[]> {
    await this.#bindingOf(tool)?.learn();
    return this.mirrored(tool) ?? [];
  }

  #bindingOf(tool: string): Binding | undefined {
    const { bindings, isPrefixed } = this.#parts;
    if (!isPrefixed) return bindings.all[0];
    const names = bindings.all.map(({ name }) => name);
    const { server = "" } = this.now().tools.resolve(tool) ?? splitName(tool, names) ?? {};
    return bindings.named(server);
  }

  /** The client was shown in the front before what is known now. */
  show(): void {
    this.#shown = this.now();
  }

  /** Tells the client which lists are others than it was shown; with `isUnknown` any of them may be. */
  changed(isUnknown = false): void {
    const before = this.#shown;
    if (before === undefined) return;
    const now = this.now();
    this.#shown = now;
    const { client } = this.#parts;
    const say = (what: string) => client.say({ jsonrpc: "2.0", method: `notifications/${what}/list_changed` });
    const isOther = (name: ListName) =>
      !before.lists[name].equals(now.lists[name]) || (isUnknown && before.capabilities[name] !== undefined);
    for (const name of ["tools", "prompts"] as const) if (isOther(name)) say(name);
    if (isOther("resources") || isOther("resourceTemplates")) say("resources");
  }

  async #metadata(): Promise<Part[]> {
    const missing = this.#parts.bindings.all.filter((binding) => !binding.isKnown);
    const awaited = missing.filter((binding) => !binding.breaker.isSilent);
    // Those that answer are first in line for a start.
    const learnt = awaited.map((binding) => this.#learn(binding));
    for (const binding of missing) void this.#learn(binding); // never rejects
    if (awaited.length === 0 || this.#patienceMs <= 0) return this.#known();
    await this.#wait(Promise.all(learnt));
    if (this.#patienceMs <= 0)
      for (const binding of awaited) if (this.#learning.has(binding)) this.#goOnWithout(binding);
    return this.#known();
  }

  /** Never rejects. One at a time for each binding. */
  #learn(binding: Binding): Promise<void> {
    const known = this.#learning.get(binding);
    if (known !== undefined) return known;
    const { session, log } = this.#parts;
    const { breaker } = binding;
    const look = breaker.isSilent ? breaker.look(() => binding.learn()) : binding.learn();
    const learning = Promise.resolve(look)
      .then(
        () => {},
        (error: unknown) => {
          if (!session.ended) log("mcp.unlisted", { server: binding.name, error: String(error) });
        },
      )
      .finally(() => this.#learning.delete(binding));
    this.#learning.set(binding, learning);
    return learning;
  }

  async #wait(learnt: Promise<unknown>): Promise<void> {
    const { clock } = this.#parts;
    const began = clock.monotonic();
    const late = Promise.withResolvers<void>();
    const timer = clock.after(this.#patienceMs, late.resolve);
    await Promise.race([learnt, late.promise]);
    timer.clear();
    this.#patienceMs -= clock.monotonic() - began;
  }

  #goOnWithout({ name, breaker }: Binding): void {
    if (breaker.isSilent || !breaker.waitedInVain()) return;
    const error = `no answer within limits.listMs = ${this.#parts.listMs}; lists go on without it and change when it answers`;
    this.#parts.log("mcp.unlisted", { server: name, error });
  }

  #known(): Part[] {
    return this.#parts.bindings.all.flatMap(({ name, metadata }) =>
      metadata === undefined ? [] : [{ server: name, metadata }],
    );
  }
}
