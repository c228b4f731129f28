/** Reads `holdfast.json`: JSON with comments, checked whole before anything starts. Every error names file, key and remedy. */
import { readFileSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { parse, printParseErrorCode, type ParseError } from "jsonc-parser";
import { z } from "zod";
import { HoldfastError } from "../errors.ts";
import { expandVariables } from "./expand.ts";
import { findProgram } from "./program.ts";
import { readTls } from "./tls.ts";
import { configSchema, isNodeHost, type Config, type RemoteConfig, type ServerConfig } from "./schema.ts";

/** Values that the command line sets over the file. */
export interface ConfigOverrides {
  port?: number | undefined;
  bind?: string[] | undefined;
  /** PEM files; both or none. */
  tlsCert?: string | undefined;
  tlsKey?: string | undefined;
}

/** `file` undefined = the defaults. The result has no `${VAR}` left in it. */
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
  for (const [name, server] of Object.entries(config.mcpServers)) prepareServer(file, name, server);
  return config;
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

/** Others can reach it, and it was given no certificate: then it needs one of its own, for plain HTTP is for this machine only. */
export function needsCertificate({ bind, tls }: Pick<Config, "bind" | "tls">): boolean {
  return tls === undefined && !bind.every(isLoopback);
}

/** Every address of the machine. */
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
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new HoldfastError(
      "config_unreadable",
      `cannot read the config ${file}: ${reason}; correct the path or its rights, or leave --config out`,
      { cause },
    );
  }
  return parseConfig(file, text);
}

/** The text of a config, checked against the schema; defaults filled in, variables not. */
export function parseConfig(file: string, text: string): Config {
  const errors: ParseError[] = [];
  const value: unknown = parse(text, errors, { allowTrailingComma: true, disallowComments: false });
  const [first] = errors;
  if (first !== undefined) {
    const line = text.slice(0, first.offset).split("\n").length;
    throw new HoldfastError(
      "config_invalid",
      `${file}, line ${line}: ${printParseErrorCode(first.error)}; the file is JSON with comments`,
    );
  }
  const parsed = configSchema.safeParse(value ?? {});
  if (parsed.success) return parsed.data;
  throw new HoldfastError("config_invalid", describeIssues(file, parsed.error.issues));
}

/** One line per problem: file, key, what is wrong, what is allowed. */
function describeIssues(file: string, issues: z.core.$ZodIssue[]): string {
  const lines = issues.slice(0, 8).map((issue) => {
    if (issue.code === "unrecognized_keys") {
      const keys = issue.keys.map((key) => [...issue.path, key].join("."));
      return `${file}: unknown key ${keys.join(", ")}; remove it or see docs/config.md for the keys there are`;
    }
    const key = issue.path.length === 0 ? "(the whole file)" : issue.path.join(".");
    const problem =
      issue.code === "invalid_key" ? issue.issues.map(({ message }) => message).join(", ") : issue.message;
    return `${file}: ${key}: ${problem}; docs/config.md says what it may be`;
  });
  return lines.join("\n");
}

function invalid(file: string | undefined, key: string, problem: string, remedy: string): HoldfastError {
  return new HoldfastError("config_invalid", `${file ?? "the command line"}: ${key}: ${problem}; ${remedy}`);
}

/** Fills in `${VAR}` and looks for the program and the directory, so that a typing error shows at start, not at first use. */
function prepareServer(file: string | undefined, name: string, server: ServerConfig | RemoteConfig): void {
  const key = `mcpServers.${name}`;
  const expand = (text: string, where: string) =>
    expandVariables(text, process.env, (variable) => {
      throw invalid(
        file,
        `${key}.${where}`,
        `\${${variable}} is not set`,
        `set it, or give a default as \${${variable}:-value}`,
      );
    });
  if ("url" in server) return prepareRemote(file, key, server, expand);
  server.command = expand(server.command, "command");
  server.args = server.args.map((each, index) => expand(each, `args.${index}`));
  for (const [variable, value] of Object.entries(server.env)) server.env[variable] = expand(value, `env.${variable}`);
  if (server.cwd !== undefined) {
    server.cwd = expand(server.cwd, "cwd");
    if (server.host === "local" && !isDirectory(server.cwd))
      throw invalid(file, `${key}.cwd`, `${server.cwd} is no directory`, "make it or correct the path");
  }
  if (server.resolveNpx && server.host !== "local")
    throw invalid(file, `${key}.resolveNpx`, "installs on this machine only", `leave it out, or "host"`);
  const { host, hostFallback } = server;
  if (hostFallback !== undefined && (!isNodeHost(host) || hostFallback === host))
    throw invalid(
      file,
      `${key}.hostFallback`,
      `is for a server on a node, and another place than its host`,
      "leave it out, or name a node in `host`",
    );
  // What a node has only it can say.
  if (!server.enabled || (isNodeHost(host) && hostFallback !== "local")) return;
  // The same of an ssh host; here ssh is needed.
  const isLocal = !host.startsWith("ssh:");
  const command = isLocal ? server.command : "ssh";
  const path = (isLocal ? server.env["PATH"] : undefined) ?? process.env["PATH"] ?? "";
  const cwd = (isLocal ? server.cwd : undefined) ?? process.cwd();
  if (findProgram(command, cwd, path) === undefined) {
    throw invalid(
      file,
      isLocal ? `${key}.command` : `${key}.host`,
      `${command} is not a program that can be run`,
      'install it, write its full path, or set "enabled": false',
    );
  }
}

/** Fills in the address and the headers; a bearer token becomes one of them. */
function prepareRemote(
  file: string | undefined,
  key: string,
  server: RemoteConfig,
  expand: (text: string, where: string) => string,
): void {
  server.url = expand(server.url, "url");
  const { protocol } = URL.parse(server.url) ?? {};
  if (protocol !== "http:" && protocol !== "https:")
    throw invalid(file, `${key}.url`, `${server.url} is no http or https address`, "write it in full");
  for (const [header, value] of Object.entries(server.headers))
    server.headers[header] = expand(value, `headers.${header}`);
  const { bearerTokenEnv, enabled } = server;
  if (bearerTokenEnv === undefined || !enabled) return;
  const token = process.env[bearerTokenEnv] ?? "";
  if (!/^[\x21-\x7e]+$/.test(token))
    throw invalid(
      file,
      `${key}.bearerTokenEnv`,
      `${bearerTokenEnv} holds no token`,
      "set it before the gateway starts",
    );
  server.headers["authorization"] = `Bearer ${token}`;
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
