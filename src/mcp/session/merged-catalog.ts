/** The merged catalog of one session: the lists of its servers as one, with change notifications to its client. */
import type { Clock, Timer } from "../../clock.ts";
import type { Log } from "../../log.ts";
import type { Session } from "../../sessions/session.ts";
import type { ServerMetadata } from "../servers/catalog.ts";
import type { ListName } from "../servers/handshake.ts";
import type { SessionClient } from "./session-client.ts";
import type { MirroredParam } from "../wire/mirrored-params.ts";
import type { Binding } from "../servers/binding.ts";
import type { Merged, MergedViews, Part } from "./merge.ts";
import { splitName } from "./names.ts";
import type { Bindings } from "./bindings.ts";

/** First pause before a silent server is looked at again; doubled up to the longest. */
const lookAgainMs = 30_000;
const lookAgainMsMax = 600_000;

export interface MergedCatalogParts {
  bindings: Bindings;
  views: MergedViews;
  isPrefixed: boolean;
  session: Session;
  client: SessionClient;
  clock: Clock;
  log: Log;
  /**
   * How long the session waits for starting servers, for `initialize` and all lists together; later ones are announced
   * as a changed list.
   */
  listMs: number;
}

export class MergedCatalog {
  readonly #parts: MergedCatalogParts;
  /** The catalog that the client saw last, to detect changes. */
  #shown: Merged | undefined;
  /** The answer of `now`, and what it was made from. */
  #last: { all: Binding[]; metadata: (ServerMetadata | undefined)[]; merged: Merged } | undefined;
  #patienceMs: number;
  /** Servers whose lists are being fetched. */
  readonly #learning = new Map<Binding, Promise<void>>();
  /** The next looks at silent servers: a client that lists once hears of one that comes up late. */
  readonly #looks = new Map<Binding, { timer: Timer; waitMs: number }>();

  constructor(parts: MergedCatalogParts) {
    this.#parts = parts;
    this.#patienceMs = parts.listMs;
  }

  /** The catalog as known in time; starts servers for it. Failed ones are left out and logged. */
  async merged(): Promise<Merged> {
    const { views, session, isPrefixed, log } = this.#parts;
    const merged = views.of(await this.#metadata(), isPrefixed);
    if (this.#shown !== merged && merged.clashes.length > 0)
      log("mcp.clash", { session: session.id, clashes: merged.clashes });
    if (this.#shown !== merged) for (const left of merged.unlisted) log("mcp.unlisted", left);
    this.#shown = merged;
    return merged;
  }

  /** The metadata of some servers is still unknown. */
  get isPartial(): boolean {
    return this.#parts.bindings.all.some((binding) => binding.metadata === undefined);
  }

  /** Servers that the lists go on without, and why. */
  get absent(): { name: string; problem: string }[] {
    return this.#parts.bindings.all.flatMap(({ name, metadata, breaker }) => {
      if (metadata !== undefined || (!breaker.isSilent && breaker.failures === 0)) return [];
      const problem = breaker.isSilent ? "it has not answered yet" : breaker.lastFailure;
      return [{ name, problem: `${problem}; its tools are announced when it comes up` }];
    });
  }

  /** The session is over. */
  close(): void {
    for (const { timer } of this.#looks.values()) timer.clear();
    this.#looks.clear();
  }

  /** The catalog as known now, without any start. Asked for with every call, so it is kept while nothing has changed. */
  now(): Merged {
    const { all } = this.#parts.bindings;
    const last = this.#last;
    if (last?.all === all && all.every(({ metadata }, index) => metadata === last.metadata[index])) return last.merged;
    const { views, isPrefixed } = this.#parts;
    const merged = views.of(this.#known(), isPrefixed);
    this.#last = { all, metadata: all.map(({ metadata }) => metadata), merged };
    return merged;
  }

  /** Header parameters of a tool. Undefined: its server's tools are still unknown. */
  mirrored(tool: string): MirroredParam[] | undefined {
    const binding = this.#bindingOf(tool);
    if (binding !== undefined && binding.metadata === undefined) return undefined;
    return this.now().mirrored.get(tool) ?? [];
  }

  /** The same, with a start of the server if needed. Rejects with the reason of a failed start. */
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

  /** The client has seen the catalog as known now. */
  show(): void {
    this.#shown = this.now();
  }

  /** Announces the lists that changed since the client saw them; with `isUnknown`, all of them. */
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
    // Responsive servers are first in line for a start.
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
      .finally(() => {
        this.#learning.delete(binding);
        this.#lookLater(binding);
      });
    this.#learning.set(binding, learning);
    return learning;
  }

  #lookLater(binding: Binding): void {
    const { session, clock, bindings } = this.#parts;
    const before = this.#looks.get(binding);
    before?.timer.clear();
    this.#looks.delete(binding);
    const isWanted = () => !session.ended && bindings.all.includes(binding);
    if (binding.metadata !== undefined || !binding.breaker.isSilent || !isWanted()) return;
    const waitMs = before === undefined ? lookAgainMs : Math.min(before.waitMs * 2, lookAgainMsMax);
    const timer = clock.after(waitMs, () => {
      if (isWanted()) void this.#learn(binding); // never rejects
    });
    this.#looks.set(binding, { timer, waitMs });
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
