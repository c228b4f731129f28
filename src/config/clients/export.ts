/** The servers of `holdfast.json` in the form of one client. What the client cannot express is said, never dropped in silence. */
import { stringify } from "smol-toml";
import type { RawServer } from "./import.ts";
import type { ClientName } from "./places.ts";

export interface Exported {
  text: string;
  /** `name: why`; the server is not in the text. */
  refused: string[];
  /** `name: what was left out`. */
  notes: string[];
}

interface Dialect {
  /** Keys from the root to the servers. */
  path: string[];
  /** Keys of a server that the client knows under the same name and unit. */
  keys: string[];
  /** How a variable is written; undefined = the client fills in none. */
  variable?: (name: string, fallback: string | undefined) => string | undefined;
  /** Added to each stdio server, and to each remote one. */
  stdio?: RawServer;
  remote?: RawServer;
}

const common = ["command", "args", "env", "url", "headers"];
const plainVariable = (name: string, fallback?: string) => (fallback === undefined ? `\${${name}}` : undefined);
const editorVariable = (name: string, fallback?: string) => (fallback === undefined ? `\${env:${name}}` : undefined);
const withDefault = (name: string, fallback?: string) => `\${${name}${fallback === undefined ? "" : `:-${fallback}`}}`;

const dialects: Record<ClientName, Dialect> = {
  claude: {
    path: ["mcpServers"],
    keys: common,
    variable: withDefault,
    stdio: { type: "stdio" },
    remote: { type: "http" },
  },
  codex: { path: ["mcp_servers"], keys: [...common, "cwd", "enabled"] },
  cursor: { path: ["mcpServers"], keys: common, variable: editorVariable },
  vscode: {
    path: ["servers"],
    keys: [...common, "cwd"],
    variable: editorVariable,
    stdio: { type: "stdio" },
    remote: { type: "http" },
  },
  copilot: {
    path: ["mcpServers"],
    keys: [...common, "cwd"],
    variable: plainVariable,
    stdio: { type: "local", tools: ["*"] },
    remote: { type: "http", tools: ["*"] },
  },
  openclaw: {
    path: ["mcp", "servers"],
    keys: [...common, "cwd", "connectionTimeoutMs", "requestTimeoutMs"],
    variable: plainVariable,
    remote: { transport: "streamable-http" },
  },
  gemini: { path: ["mcpServers"], keys: [...common, "cwd"], variable: plainVariable },
};

/** Under the client's own name and unit. */
const renamed: Partial<Record<ClientName, Record<string, [string, number]>>> = {
  codex: { connectionTimeoutMs: ["startup_timeout_sec", 0.001], requestTimeoutMs: ["tool_timeout_sec", 0.001] },
  gemini: { requestTimeoutMs: ["timeout", 1] },
};
const moved: Partial<Record<ClientName, Record<string, string>>> = {
  codex: { headers: "http_headers" },
  gemini: { url: "httpUrl" },
};

const variablePattern = /\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}/g;

/** `servers` as the file has them, variables not filled in. */
export function exportServers(servers: Readonly<Record<string, RawServer>>, client: ClientName): Exported {
  const dialect = dialects[client];
  const refused: string[] = [];
  const notes: string[] = [];
  const entries: [string, RawServer][] = [];
  for (const [name, server] of Object.entries(servers)) {
    if (server["enabled"] === false && !dialect.keys.includes("enabled")) {
      refused.push(`${name}: it is disabled, which ${client} has no word for`);
      continue;
    }
    const unknown = unknownVariable(server, dialect);
    if (unknown === undefined) entries.push([name, exportServer(name, server, client, notes)]);
    else refused.push(`${name}: ${client} does not fill in ${unknown}; export writes no server that would not start`);
  }
  let value: RawServer = Object.fromEntries(entries);
  for (const key of dialect.path.toReversed()) value = { [key]: value };
  const text = client === "codex" ? stringify(value) : `${JSON.stringify(value, null, 2)}\n`;
  return { text, refused, notes };
}

function unknownVariable(server: RawServer, { variable }: Dialect): string | undefined {
  // Codex passes a variable on by its name, which is what NAME = "${NAME}" means.
  const env = Object.entries((server["env"] ?? {}) as Record<string, string>);
  const own =
    variable === undefined ? Object.fromEntries(env.filter(([name, value]) => !isForwarded(name, value))) : {};
  const looked = variable === undefined ? { ...server, env: own } : server;
  for (const [whole, name = "", fallback] of JSON.stringify(looked).matchAll(variablePattern))
    if (variable?.(name, fallback) === undefined) return whole;
  return undefined;
}

function isForwarded(name: string, value: string): boolean {
  return value === `\${${name}}` || value === `\${${name}:-}`;
}

function exportServer(name: string, server: RawServer, client: ClientName, notes: string[]): RawServer {
  const { keys, variable, stdio, remote } = dialects[client];
  const result: RawServer = { ...("url" in server ? remote : stdio) };
  for (const [key, value] of Object.entries(server)) {
    const other = renamed[client]?.[key];
    if (key === "enabled" && value === true) continue;
    else if (other !== undefined && typeof value === "number") result[other[0]] = value * other[1];
    else if (client === "codex" && key === "env")
      Object.assign(result, codexEnvironment(value as Record<string, string>));
    else if (keys.includes(key))
      result[moved[client]?.[key] ?? key] = variable === undefined ? value : written(value, variable);
    else notes.push(`${name}: ${key} is not known to ${client} and was left out`);
  }
  return result;
}

function codexEnvironment(env: Record<string, string>): RawServer {
  const all = Object.entries(env);
  const forwarded = all.filter(([name, value]) => isForwarded(name, value)).map(([name]) => name);
  const own = Object.fromEntries(all.filter(([name, value]) => !isForwarded(name, value)));
  return {
    ...(Object.keys(own).length === 0 ? {} : { env: own }),
    ...(forwarded.length === 0 ? {} : { env_vars: forwarded }),
  };
}

function written(value: unknown, variable: NonNullable<Dialect["variable"]>): unknown {
  const replace = (text: string) =>
    text.replaceAll(variablePattern, (whole, name: string, fallback?: string) => variable(name, fallback) ?? whole);
  if (typeof value === "string") return replace(value);
  if (Array.isArray(value)) return value.map((one) => written(one, variable));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, written(one, variable)]));
}
