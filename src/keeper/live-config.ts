/**
 * Reads the config anew while the keeper runs: checked whole, taken or refused whole. Its servers are taken at once; the
 * rest is what this life was made with, and is named as what needs a restart.
 */
import { isDeepStrictEqual } from "node:util";
import type { Config } from "../config/schema.ts";
import { asHoldfastError } from "../errors.ts";
import { frontServers } from "./front-config.ts";
import type { Log } from "./log.ts";
import type { ConfigChange, FrontServer } from "./protocol/messages.ts";

/** A config and the file that it was read from; undefined = there is none, the defaults. */
export interface ConfigRead {
  file: string | undefined;
  config: Config;
}

type Servers = Config["mcpServers"];

/** The config of one keeper's life. Whoever has the object sees the servers that a reload puts into it. */
export class LiveConfig {
  readonly config: Config;
  readonly #read: () => ConfigRead;
  #file: string | undefined;

  /** Throws `config_unreadable` or `config_invalid`, as does `read`. */
  constructor(read: () => ConfigRead) {
    this.#read = read;
    const { config, file } = read();
    this.config = config;
    this.#file = file;
  }

  get file(): string | undefined {
    return this.#file;
  }

  get servers(): FrontServer[] {
    return frontServers(this.config);
  }

  /** What is another now. Throws why the file is refused; then all is as it was. */
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
    this.config.mcpServers = mergeServers(this.config.mcpServers, fresh.config.mcpServers, change);
    this.#file = fresh.file;
    const { added, removed, changed, needsRestart } = change;
    log.info({ event: "config.reloaded", added, removed, changed, needsRestart });
    return change;
  }
}

/** A server that is as it was keeps its object, so that whoever started it can tell. */
function mergeServers(old: Servers, fresh: Servers, { unchanged }: ConfigChange): Servers {
  const kept = new Set(unchanged);
  return Object.fromEntries(
    Object.entries(fresh).map(([name, server]) => [name, kept.has(name) ? (old[name] ?? server) : server]),
  );
}

function compareConfigs(old: Config, fresh: Config): ConfigChange {
  const { mcpServers: before, ...restBefore } = old;
  const { mcpServers: after, ...restAfter } = fresh;
  const isSame = (name: string) => isDeepStrictEqual(before[name], after[name]);
  const common = Object.keys(after).filter((name) => Object.hasOwn(before, name));
  return {
    added: Object.keys(after).filter((name) => !Object.hasOwn(before, name)),
    removed: Object.keys(before).filter((name) => !Object.hasOwn(after, name)),
    changed: common.filter((name) => !isSame(name)),
    unchanged: common.filter(isSame),
    needsRestart: differingKeys(restBefore, restAfter),
  };
}

/** `port`, `limits.runsMax`: keys that differ, two levels deep, as docs/config.md lists them. */
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
