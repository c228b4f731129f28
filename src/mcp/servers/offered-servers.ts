/** The servers of the config, and which of them can be had. */
import { HoldfastError } from "../../errors.ts";
import type { KeeperLink } from "../../protocol/keeper/link.ts";
import type { FrontServer } from "../../protocol/keeper/messages.ts";
import { notOffered } from "../session/bindings.ts";

/** Which servers a path stands for. */
export interface Selection {
  servers: FrontServer[];
  isPrefixed: boolean;
  /** As the session shows it: null where they are several. */
  label: string | null;
}

const isOffered = ({ enabled, problem }: FrontServer) => enabled && problem === undefined;

export class OfferedServers {
  readonly #link: KeeperLink;
  readonly #servers = new Map<string, FrontServer>();
  #rechecking: Promise<null> | undefined;

  constructor(link: KeeperLink) {
    this.#link = link;
    for (const server of link.hello.config.servers) this.#servers.set(server.name, server);
  }

  /** All of the config, also those that cannot be had. */
  get all(): FrontServer[] {
    return [...this.#servers.values()];
  }

  /** Whether it is the one that the config names so. */
  has(server: FrontServer): boolean {
    return this.#servers.get(server.name) === server;
  }

  /** The config was read anew: a server that is not in `changed` keeps its object. Returns those that are no more what they were. */
  replace(servers: FrontServer[], changed: ReadonlySet<string>): FrontServer[] {
    const before = new Map(this.#servers);
    this.#servers.clear();
    for (const server of servers) {
      const known = changed.has(server.name) ? undefined : before.get(server.name);
      this.#servers.set(server.name, known ?? server);
    }
    return [...before.values()].filter((server) => !this.has(server));
  }

  /** By the name it is served under, or the one that the config has for it. */
  server(name: string): FrontServer | undefined {
    return this.#servers.get(name) ?? [...this.#servers.values()].find(({ writtenName }) => writtenName === name);
  }

  /** All servers that can be had, or one. Undefined: there is no such server, or it cannot be had. */
  select(name: string | undefined): Selection | undefined {
    const offered = [...this.#servers.values()].filter(isOffered);
    if (name === undefined) return { servers: offered, isPrefixed: true, label: null };
    const server = this.server(name);
    return server !== undefined && isOffered(server)
      ? { servers: [server], isPrefixed: false, label: server.name }
      : undefined;
  }

  /** Why no server of that name can be had, and which can. */
  whyNot(name: string): HoldfastError {
    const server = this.server(name);
    const what = `MCP server ${JSON.stringify(name)}`;
    if (server?.enabled === true && server.problem !== undefined)
      return new HoldfastError("server_down", `${what} is unavailable: ${server.problem}`);
    const known = [...this.#servers.values()].filter(isOffered).map((one) => one.name);
    const why = server === undefined ? "is not in the config" : "is disabled (`enabled: false`)";
    return new HoldfastError("server_unknown", `${what} ${why}; available servers: ${known.join(", ") || "none"}`);
  }

  /** Has a server that could not be had looked at again, or (undefined) all such; what can be had now is offered. */
  async recheck(name?: string): Promise<void> {
    const server = name === undefined ? null : this.server(name);
    const isLacking = server === null ? this.lacking.length > 0 : server?.problem !== undefined;
    if (!isLacking) return;
    this.#rechecking ??= this.#link.ask("config.recheck", {}).finally(() => (this.#rechecking = undefined));
    await this.#rechecking;
  }

  /** Servers that cannot be had as things are, looked at again. */
  async unavailable(): Promise<{ name: string; problem: string }[]> {
    await this.recheck();
    return this.lacking;
  }

  /** As far as is known; for a session's client. */
  get lacking(): { name: string; problem: string }[] {
    return [...this.#servers.values()].flatMap(({ name, problem }) =>
      problem === undefined ? [] : [{ name, problem }],
    );
  }

  /** Why a session on this server alone does not go on after a reload. */
  whyEnded(name: string): string {
    const isThere = this.select(name) !== undefined;
    return isThere
      ? `MCP server ${JSON.stringify(name)} is another in the config now; begin a new session`
      : notOffered(name);
  }
}
