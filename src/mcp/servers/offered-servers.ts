/** The configured servers, and which of them are available. */
import type { FrontServer } from "../../protocol/keeper/front-config.ts";
import { HoldfastError } from "../../errors.ts";
import type { KeeperLink } from "../../protocol/keeper/link.ts";
import { notOffered } from "../session/bindings.ts";

/** The servers of a path. */
export interface Selection {
  servers: FrontServer[];
  isPrefixed: boolean;
  /** As shown in the session: null for several servers. */
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

  /** All of the config, including unavailable ones. */
  get all(): FrontServer[] {
    return [...this.#servers.values()];
  }

  /** Whether this object is the current server of its name. */
  has(server: FrontServer): boolean {
    return this.#servers.get(server.name) === server;
  }

  /** Applies a reloaded config: servers outside `changed` keep their objects. Returns the changed and removed ones. */
  replace(servers: FrontServer[], changed: ReadonlySet<string>): FrontServer[] {
    const before = new Map(this.#servers);
    this.#servers.clear();
    for (const server of servers) {
      const known = changed.has(server.name) ? undefined : before.get(server.name);
      this.#servers.set(server.name, known ?? server);
    }
    return [...before.values()].filter((server) => !this.has(server));
  }

  /** By the served name or the configured one. */
  server(name: string): FrontServer | undefined {
    return this.#servers.get(name) ?? [...this.#servers.values()].find(({ writtenName }) => writtenName === name);
  }

  /** All available servers, or one. Undefined: unknown or unavailable. */
  select(name: string | undefined): Selection | undefined {
    const offered = [...this.#servers.values()].filter(isOffered);
    if (name === undefined) return { servers: offered, isPrefixed: true, label: null };
    const server = this.server(name);
    return server !== undefined && isOffered(server)
      ? { servers: [server], isPrefixed: false, label: server.name }
      : undefined;
  }

  /** Why no such server is available, and which ones are. */
  whyNot(name: string): HoldfastError {
    const server = this.server(name);
    const what = `MCP server ${JSON.stringify(name)}`;
    if (server?.enabled === true && server.problem !== undefined)
      return new HoldfastError("server_down", `${what} is unavailable: ${server.problem}`);
    const known = [...this.#servers.values()].filter(isOffered).map((one) => one.name);
    const why = server === undefined ? "is not in the config" : "is disabled (`enabled: false`)";
    return new HoldfastError("server_unknown", `${what} ${why}; available servers: ${known.join(", ") || "none"}`);
  }

  /** Checks an unavailable server again, or (undefined) all of them; those available now are offered. */
  async recheck(name?: string): Promise<void> {
    const server = name === undefined ? null : this.server(name);
    const isLacking = server === null ? this.lacking.length > 0 : server?.problem !== undefined;
    if (!isLacking) return;
    this.#rechecking ??= this.#link.ask("config.recheck", {}).finally(() => (this.#rechecking = undefined));
    await this.#rechecking;
  }

  /** Unavailable servers after another check. */
  async unavailable(): Promise<{ name: string; problem: string }[]> {
    await this.recheck();
    return this.lacking;
  }

  /** As far as known; for a session's client. */
  get lacking(): { name: string; problem: string }[] {
    return [...this.#servers.values()].flatMap(({ name, problem }) =>
      problem === undefined ? [] : [{ name, problem }],
    );
  }

  /** Why a session on this server alone ends at a reload. */
  whyEnded(name: string): string {
    const isThere = this.select(name) !== undefined;
    return isThere
      ? `MCP server ${JSON.stringify(name)} is another in the config now; begin a new session`
      : notOffered(name);
  }
}
