/** Exports the servers of `holdfast.json` for one client, and reports everything that the client cannot express. */
import { stringify } from "smol-toml";
import { withoutForeignKeys } from "../server.ts";
import type { RawServer } from "./import.ts";
import type { ClientName } from "./places.ts";

export interface Exported {
  text: string;
  /** `name: why`; the server is not in the text. */
  refused: string[];
  /** `name: what was omitted`. */
  notes: string[];
}

interface Dialect {
  /** Keys from the root to the servers. */
  path: string[];
  /** Keys of a server for which the client uses the same name and unit. */
  keys: readonly string[];
  /** Writes a variable in the client's syntax; undefined = the client expands none. */
  variable?: (name: string, fallback: string | undefined) => string | undefined;
  /** Added to each stdio server, each remote server, and each remote server of the older transport; undefined = unsupported. */
  stdio?: RawServer;
  remote?: RawServer;
  sse: RawServer | undefined;
}

const common = ["command", "args", "env", "url", "headers"] as const;
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
    sse: { type: "sse" },
  },
  codex: { path: ["mcp_servers"], keys: [...common, "cwd", "enabled"], sse: undefined },
  cursor: { path: ["mcpServers"], keys: common, variable: editorVariable, sse: {} },
  vscode: {
    path: ["servers"],
    keys: [...common, "cwd"],
    variable: editorVariable,
    stdio: { type: "stdio" },
    remote: { type: "http" },
    sse: { type: "sse" },
  },
  copilot: {
    path: ["mcpServers"],
    keys: [...common, "cwd"],
    variable: plainVariable,
    stdio: { type: "local", tools: ["*"] },
    remote: { type: "http", tools: ["*"] },
    sse: { type: "sse", tools: ["*"] },
  },
  openclaw: {
    path: ["mcp", "servers"],
    keys: [...common, "cwd", "connectionTimeoutMs", "requestTimeoutMs"],
    variable: plainVariable,
    remote: { transport: "streamable-http" },
    sse: { transport: "sse" },
  },
  gemini: { path: ["mcpServers"], keys: [...common, "cwd"], variable: plainVariable, sse: {} },
};

/** Keys with another name or unit in the client. */
const renamed: Partial<Record<ClientName, Record<string, [string, number]>>> = {
  codex: { connectionTimeoutMs: ["startup_timeout_sec", 0.001], requestTimeoutMs: ["tool_timeout_sec", 0.001] },
  gemini: { requestTimeoutMs: ["timeout", 1] },
};
const moved: Partial<Record<ClientName, Record<string, string>>> = {
  gemini: { url: "httpUrl" },
};

function ownValue<V>(table: Record<string, V> | undefined, key: string): V | undefined {
  return table !== undefined && Object.hasOwn(table, key) ? table[key] : undefined;
}

const variablePattern = /\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}/g;

/** `servers` as in the file, with variables unexpanded. */
export function exportServers(servers: Readonly<Record<string, RawServer>>, client: ClientName): Exported {
  const dialect = dialects[client];
  const refused: string[] = [];
  const notes: string[] = [];
  const entries: [string, RawServer][] = [];
  for (const [name, given] of Object.entries(servers)) {
    const normal = withoutForeignKeys(given) as RawServer;
    const server = client === "codex" ? normal : withBearer(normal);
    if (server["type"] === "sse" && dialect.sse === undefined) {
      refused.push(`${name}: ${client} does not speak sse`);
      continue;
    }
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
  // Codex passes a variable on by name, which is equivalent to NAME = "${NAME}".
  const env = Object.entries((server["env"] ?? {}) as Record<string, string>);
  const own =
    variable === undefined ? Object.fromEntries(env.filter(([name, value]) => !isForwarded(name, value))) : {};
  // The same applies to headers that consist of one variable.
  const headers = Object.entries((server["headers"] ?? {}) as Record<string, string>);
  const fixed = Object.fromEntries(headers.filter(([, value]) => wholeVariable(value) === undefined));
  const looked = variable === undefined ? { ...server, env: own, headers: fixed } : server;
  for (const [whole, name = "", fallback] of JSON.stringify(looked).matchAll(variablePattern))
    if (variable?.(name, fallback) === undefined) return whole;
  return undefined;
}

/** Turns the bearer token, for which only Codex has a key, into the equivalent header. */
function withBearer(server: RawServer): RawServer {
  const { bearerTokenEnv, ...rest } = server;
  if (typeof bearerTokenEnv !== "string") return server;
  const authorization = { Authorization: `Bearer \${${bearerTokenEnv}}` };
  return { ...rest, headers: { ...(rest["headers"] as object), ...authorization } };
}

function isForwarded(name: string, value: string): boolean {
  return value === `\${${name}}` || value === `\${${name}:-}`;
}

function exportServer(name: string, server: RawServer, client: ClientName, notes: string[]): RawServer {
  const { keys, variable, stdio, remote, sse } = dialects[client];
  const isSse = server["type"] === "sse";
  const result: RawServer = { ...("url" in server ? (isSse ? sse : remote) : stdio) };
  for (const [key, value] of Object.entries(server)) {
    const other = ownValue(renamed[client], key);
    if ((key === "enabled" && value === true) || key === "type") continue;
    else if (key === "url" && client === "gemini" && isSse) result["url"] = value;
    else if (key === "bearerTokenEnv") result["bearer_token_env_var"] = value;
    else if (client === "codex" && key === "headers")
      Object.assign(result, codexHeaders(value as Record<string, string>));
    else if (other !== undefined && typeof value === "number") result[other[0]] = value * other[1];
    else if (client === "codex" && key === "env")
      Object.assign(result, codexEnvironment(value as Record<string, string>));
    else if (keys.includes(key))
      result[ownValue(moved[client], key) ?? key] = variable === undefined ? value : written(value, variable);
    else notes.push(`${name}: ${key} is not known to ${client} and was left out`);
  }
  return result;
}

/** Codex has a separate list for headers that consist of one variable. */
function codexHeaders(headers: Record<string, string>): RawServer {
  const named = Object.entries(headers).map(([name, value]) => [name, value, wholeVariable(value)] as const);
  const fixed = named.filter(([, , variable]) => variable === undefined).map(([name, value]) => [name, value]);
  const taken = named.filter(([, , variable]) => variable !== undefined).map(([name, , variable]) => [name, variable]);
  return {
    ...(fixed.length === 0 ? {} : { http_headers: Object.fromEntries(fixed) as RawServer }),
    ...(taken.length === 0 ? {} : { env_http_headers: Object.fromEntries(taken) as RawServer }),
  };
}

const wholeVariable = (text: string) => /^\$\{([A-Za-z_]\w*)\}$/.exec(text)?.[1];

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
