/**
 * Reloads the config of a running keeper: all or nothing, except for unavailable servers, which are reported. Server changes
 * apply at once; other changes are reported as requiring a restart.
 */
import { isDeepStrictEqual } from "node:util";
import type { ConfigChange, FrontServer } from "../protocol/keeper/front-config.ts";
import { recheckServers } from "../config/load.ts";
import type { Config } from "../config/schema.ts";
import { RenewedTls, type TlsPair } from "../config/tls.ts";
import { asHoldfastError } from "../errors.ts";
import { frontServers } from "./front-config.ts";
import type { Log } from "./log.ts";
import type { KeeperMessage } from "../protocol/keeper/messages.ts";

/** A config and its file; undefined = defaults without a file. */
export interface ConfigRead {
  file: string | undefined;
  config: Config;
}

type Servers = Config["mcpServers"];
type ServersNews = Extract<KeeperMessage, { type: "servers" }>;

/** The config of one keeper life. All holders of the object see reloaded servers. */
export class LiveConfig {
  readonly config: Config;
  readonly #read: () => ConfigRead;
  /** Of the first config: another takes a restart. */
  readonly #tls: RenewedTls | undefined;
  #file: string | undefined;

  /** Throws `config_unreadable` or `config_invalid`, as does `read`. */
  constructor(read: () => ConfigRead) {
    this.#read = read;
    const { config, file } = read();
    this.config = config;
    this.#tls = config.tls === undefined ? undefined : new RenewedTls(config.tls);
    this.#file = file;
  }

  get file(): string | undefined {
    return this.#file;
  }

  /** The certificate as it is now. */
  get tls(): TlsPair | null {
    return this.#tls?.read() ?? null;
  }

  get servers(): FrontServer[] {
    return frontServers(this.config);
  }

  /** Returns the changes. Throws when the file is refused, with nothing changed. */
  reload(log: Log): ConfigChange {
    let fresh: ConfigRead;
    try {
      fresh = this.#read();
    } catch (thrown) {
      const error = asHoldfastError(thrown);
      log.error({ event: "config.refused", error: error.message });
      throw error;
    }
    const change = compareConfigs(this.config, fresh.config);
    const { mcpServers, unavailable, writtenNames } = fresh.config;
    this.config.mcpServers = mergeServers(this.config.mcpServers, mcpServers, change);
    Object.assign(this.config, { unavailable, writtenNames });
    this.#file = fresh.file;
    const { added, removed, changed, needsRestart } = change;
    log.info({ event: "config.reloaded", added, removed, changed, needsRestart });
    this.logUnavailable(log);
    return change;
  }

  /** Checks unavailable servers again and reports those now available. */
  recheck(log: Log, tell: (news: ServersNews) => void): void {
    const changed = recheckServers(this.config);
    if (changed.length === 0) return;
    for (const name of changed) log.info({ event: "server.available", server: name });
    const unchanged = namesOf(this.config).filter((name) => !changed.includes(name));
    const unavailable = unavailableOf(this.config);
    const change = { added: [], removed: [], changed, unchanged, needsRestart: [], unavailable };
    tell({ type: "servers", servers: this.servers, change });
  }

  logUnavailable(log: Log): void {
    for (const { name, problem } of unavailableOf(this.config))
      log.warn({ event: "server.unavailable", server: name, problem });
  }
}

function unavailableOf({ unavailable }: Config): ConfigChange["unavailable"] {
  return Object.entries(unavailable).map(([name, { problem }]) => ({ name, problem }));
}

function namesOf({ mcpServers, unavailable }: Config): string[] {
  return [...Object.keys(mcpServers), ...Object.keys(unavailable)];
}

/** Unchanged servers keep their identity across reloads, so that their users can tell. */
function mergeServers(old: Servers, fresh: Servers, { unchanged }: ConfigChange): Servers {
  const merged = Object.create(null) as Servers;
  const kept = new Set(unchanged);
  for (const [name, server] of Object.entries(fresh)) merged[name] = kept.has(name) ? (old[name] ?? server) : server;
  return merged;
}

function compareConfigs(old: Config, fresh: Config): ConfigChange {
  const { mcpServers: before, unavailable: lackedBefore, writtenNames: _old, ...restBefore } = old;
  const { mcpServers: after, unavailable: lackedAfter, writtenNames: _fresh, ...restAfter } = fresh;
  const isSame = (name: string) =>
    isDeepStrictEqual(before[name], after[name]) && isDeepStrictEqual(lackedBefore[name], lackedAfter[name]);
  const [namesBefore, namesAfter] = [new Set(namesOf(old)), namesOf(fresh)];
  const common = namesAfter.filter((name) => namesBefore.has(name));
  return {
    added: namesAfter.filter((name) => !namesBefore.has(name)),
    removed: [...namesBefore].filter((name) => !namesAfter.includes(name)),
    changed: common.filter((name) => !isSame(name)),
    unchanged: common.filter(isSame),
    needsRestart: differingKeys(restBefore, restAfter),
    unavailable: unavailableOf(fresh),
  };
}

/** `port`, `limits.runsMax`: differing keys, two levels deep, as docs/config.md lists them. */
function differingKeys(old: object, fresh: object): string[] {
  const [before, after] = [old, fresh] as Record<string, unknown>[];
  const keys = [...new Set([...Object.keys(old), ...Object.keys(fresh)])].filter((key) => key !== "$schema");
  return keys.flatMap((key) => {
    const [was, is] = [before?.[key], after?.[key]];
    if (isDeepStrictEqual(was, is)) return [];
    if (!isSection(was) || !isSection(is)) return [key];
    const below = [...new Set([...Object.keys(was), ...Object.keys(is)])];
    return below.filter((name) => !isDeepStrictEqual(was[name], is[name])).map((name) => `${key}.${name}`);
  });
}

function isSection(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
