/**
 * Reads `holdfast.json`: JSON with comments, checked before anything starts. An error in one server makes only that server
 * unavailable; any other error refuses the file. Every message names file, key and remedy.
 */
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { HoldfastError } from "../errors.ts";
import { describeIssues, plainIssue } from "../plain-issues.ts";
import { reasonOf } from "../plain-reason.ts";
import { readJsonc } from "./jsonc.ts";
import { prepareServer } from "./prepare.ts";
import { configSchema, type Config } from "./schema.ts";
import { readTls } from "./tls.ts";

/** Command-line values that override the file. */
export interface ConfigOverrides {
  port?: number | undefined;
  bind?: string[] | undefined;
  /** PEM files; both or none. */
  tlsCert?: string | undefined;
  tlsKey?: string | undefined;
  /** An unavailable server refuses the file. */
  strict?: boolean | undefined;
}

/** `file` undefined = the defaults. In the result every `${VAR}` is expanded. */
export function loadConfig(file: string | undefined, overrides: ConfigOverrides = {}): Config {
  const config = file === undefined ? configSchema.parse({}) : readConfig(file);
  if (overrides.port !== undefined) config.port = overrides.port;
  if (overrides.bind !== undefined) config.bind = overrides.bind;
  applyTls(config, file, overrides);
  if (config.tools.exec !== false && !config.exec.enabled)
    throw invalid(
      file,
      "tools.exec",
      "needs exec.enabled",
      'set "exec": {"enabled": true}, or "tools": {"exec": false}',
    );
  prepareServers(config);
  const problems = Object.values(config.unavailable).map(({ problem }) => `${file ?? "the defaults"}: ${problem}`);
  if (overrides.strict === true && problems.length > 0) throw new HoldfastError("config_invalid", problems.join("\n"));
  return config;
}

function prepareServers(config: Config): void {
  for (const [name, server] of Object.entries(config.mcpServers)) {
    const prepared = prepareServer(writtenName(config, name), server);
    if ("server" in prepared) {
      config.mcpServers[name] = prepared.server;
      continue;
    }
    delete config.mcpServers[name];
    config.unavailable[name] = { problem: prepared.problem, server };
  }
}

/** Parses a config, and prepares its servers for a start by this process. */
export function checkConfig(file: string, text: string): Config {
  const config = parseConfig(file, text);
  prepareServers(config);
  return config;
}

/** The name under which a server is served; unknown names stay as they are. */
export function servedName({ writtenNames }: Config, written: string): string {
  return Object.keys(writtenNames).find((served) => writtenNames[served] === written) ?? written;
}

/** The file's name for a server that is served under `name`. */
export function writtenName({ writtenNames }: Config, name: string): string {
  return writtenNames[name] ?? name;
}

/** Rechecks unavailable servers and moves those that are available now to `mcpServers`. Returns their names. */
export function recheckServers(config: Config): string[] {
  return Object.keys(config.unavailable).filter((name) => {
    const entry = config.unavailable[name];
    if (entry?.server === undefined) return false;
    const prepared = prepareServer(writtenName(config, name), entry.server);
    if ("problem" in prepared) {
      entry.problem = prepared.problem;
      return false;
    }
    config.mcpServers[name] = prepared.server;
    delete config.unavailable[name];
    return true;
  });
}

function applyTls(config: Config, file: string | undefined, { tlsCert, tlsKey }: ConfigOverrides): void {
  const source = tlsCert === undefined && tlsKey === undefined ? file : undefined;
  if (source === undefined && (tlsCert === undefined) !== (tlsKey === undefined))
    throw new HoldfastError("usage", "--tls-cert and --tls-key belong together: give both");
  if (tlsCert !== undefined && tlsKey !== undefined) config.tls = { cert: resolve(tlsCert), key: resolve(tlsKey) };
  else if (config.tls !== undefined && file !== undefined) {
    const directory = dirname(resolve(file));
    config.tls = { cert: resolve(directory, config.tls.cert), key: resolve(directory, config.tls.key) };
  }
  if (config.tls === undefined) return;
  try {
    readTls(config.tls);
  } catch (thrown) {
    throw invalid(source, "tls", (thrown as Error).message, "see docs/config.md");
  }
}

/** Reachable by others and without a given certificate: it needs one of its own, since plain HTTP is for this machine only. */
export function needsCertificate({ bind, tls }: Pick<Config, "bind" | "tls">): boolean {
  return tls === undefined && !bind.every(isLoopback);
}

/** Whether it stands for every address of the machine. */
export function isWildcard(address: string): boolean {
  return address === "0.0.0.0" || address === "::";
}

function isLoopback(address: string): boolean {
  return address === "::1" || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(address);
}

function readConfig(file: string): Config {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    const message = `cannot read the config ${file}: ${reasonOf(cause)}; correct the path or its rights, or leave --config out`;
    throw new HoldfastError("config_unreadable", message, { cause });
  }
  return parseConfig(file, text);
}

/** Parses a config by the schema; fills in defaults and leaves variables unexpanded. */
export function parseConfig(file: string, text: string): Config {
  const read = readJsonc(text);
  if ("problem" in read) {
    const { line, column, message } = read.problem;
    throw new HoldfastError("config_invalid", `${file}, line ${line}, column ${column}: ${message}`);
  }
  const parsed = configSchema.safeParse(read.value, { error: plainIssue });
  if (parsed.success) return parsed.data;
  const lines = describeIssues(parsed.error.issues).map((line) => `${file}: ${line}; see docs/config.md`);
  throw new HoldfastError("config_invalid", lines.join("\n"));
}

function invalid(file: string | undefined, key: string, problem: string, remedy: string): HoldfastError {
  return new HoldfastError("config_invalid", `${file ?? "the command line"}: ${key}: ${problem}; ${remedy}`);
}
