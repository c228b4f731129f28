/** The bindings of one session: one per server, replaced when the config changes the server. */
import type { FrontServer } from "../../protocol/keeper/front-config.ts";
import type { Log } from "../../log.ts";
import type { ScopeClosed } from "../../ownership/scope.ts";
import type { Session } from "../../sessions/session.ts";
import type { Binding } from "../servers/binding.ts";

export interface BindingsParts {
  session: Session;
  log: Log;
  make: (server: FrontServer) => Binding;
}

export class Bindings {
  readonly #parts: BindingsParts;
  #byName: Map<string, Binding>;
  /** In the order of the config. */
  all: Binding[];

  constructor(servers: FrontServer[], parts: BindingsParts) {
    this.#parts = parts;
    this.#byName = new Map(servers.map((server) => [server.name, this.#take(server)]));
    this.all = [...this.#byName.values()];
  }

  named(name: string): Binding | undefined {
    return this.#byName.get(name);
  }

  /**
   * Binds exactly these servers from now on; a server that is the same object keeps its binding. Calls on removed
   * servers end at once, calls on changed ones run to completion. `fresh`: the new bindings. `ended` resolves when the
   * removed servers are gone; it never rejects.
   */
  replace(servers: FrontServer[]): { fresh: Binding[]; ended: Promise<void> } {
    const before = this.#byName;
    const kept = (server: FrontServer) => {
      const binding = before.get(server.name);
      return binding?.server === server ? binding : undefined;
    };
    this.#byName = new Map(servers.map((server) => [server.name, kept(server) ?? this.#take(server)]));
    this.all = [...this.#byName.values()];
    const old = [...before.values()].filter((binding) => this.#byName.get(binding.name) !== binding);
    const fresh = this.all.filter((binding) => before.get(binding.name) !== binding);
    const [drained, ended]: [Promise<void>[], Promise<void>[]] = [[], []];
    for (const binding of old)
      if (this.#byName.has(binding.name)) drained.push(this.#report(binding, binding.drain()));
      else ended.push(this.#report(binding, binding.end(notOffered(binding.name))));
    return { fresh, ended: Promise.all(ended).then(() => {}) };
  }

  #take(server: FrontServer): Binding {
    const { session, make } = this.#parts;
    const binding = make(server);
    // A server of the session's own has its processes in a nested scope.
    if (binding.isPooled) session.scope.add(binding, `binding at ${binding.name}`);
    return binding;
  }

  /** The session lives on, so survivors are reported here. */
  async #report(binding: Binding, closed: Promise<ScopeClosed | void>): Promise<void> {
    const { session, log } = this.#parts;
    const { failures = [] } = (await closed) ?? {};
    session.scope.release(binding);
    for (const { name, error } of failures)
      log("session.leftover", {
        session: session.id,
        server: binding.name,
        reason: "config-changed",
        name,
        error: String(error),
      });
  }
}

export function notOffered(server: string): string {
  return `MCP server ${JSON.stringify(server)} was taken out of the config, or cannot be had now; \`holdfast mcp status\` says why`;
}
