/** The schema of `mcpServers` and its entries; an error in one server affects only that one. */
import { z } from "zod";
import { describeIssues, plainIssue } from "../plain-issues.ts";
import { servedNames } from "./names.ts";

export const milliseconds = z.int().min(0).max(2_147_483_647);

/** A shell in the user's ssh config may see the name, so shell metacharacters are excluded. */
export const sshHost = z
  .string()
  .regex(
    /^ssh:[^\s'"`$;&<>|(){}*?!#~-][^\s'"`$;&<>|(){}*?!#]*$/,
    "must be ssh:<host, user@host, or a name of your ssh config>",
  );

/** As `holdfast nodes list` shows it. */
const nodeName = z.string().regex(/^(?!local$)[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/);

/** Whether `host` is a node's name. */
export function isNodeHost(host: string): boolean {
  return host !== "local" && !host.startsWith("ssh:");
}

/** An object with arbitrary keys, without a prototype so that any key is safe. */
function recordOf<V extends z.ZodType>(value: V, key: z.ZodType<string> = z.string()) {
  return z.unknown().transform((given, context): Record<string, z.output<V>> => {
    const result = Object.create(null) as Record<string, z.output<V>>;
    if (!isObject(given)) {
      context.addIssue({ code: "invalid_type", expected: "record", input: given });
      return z.NEVER;
    }
    for (const [name, one] of Object.entries(given)) {
      const checkedKey = key.safeParse(name, { error: plainIssue });
      const checked = value.safeParse(one, { error: plainIssue });
      const issues = [...(checkedKey.error?.issues ?? []), ...(checked.error?.issues ?? [])];
      for (const issue of issues) context.issues.push({ ...issue, path: [name, ...issue.path], input: one });
      if (checked.success) result[name] = checked.data;
    }
    return result;
  });
}

export function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The keys of every server, local or remote. */
const everyServer = {
  enabled: z.boolean().default(true),
  /** A request without an answer for this long is cancelled and answered with an error. 0 = never. */
  requestTimeoutMs: milliseconds.default(0),
  /** Time for the server to answer `initialize`. */
  connectionTimeoutMs: milliseconds.default(60_000),
  /** `session`: one process tree per session. `pool`: one for all sessions that may share it (docs/mcp.md). */
  share: z.enum(["session", "pool"]).default("session"),
  /** The server is ended after this long without a call, and restarted by the next one. 0 = never. */
  idleTimeoutMs: milliseconds.default(0),
  /** After this long calls go to a new process; the old one ends with its last call. 0 = never. */
  maxLifetimeMs: milliseconds.default(0),
};

/** One stdio MCP server, with the keys of all MCP clients. */
const stdioSchema = z.strictObject({
  command: z.string().min(1, "must name a program"),
  args: z.array(z.string()).default([]),
  /** Added to a clean base environment (PATH, HOME, LANG …); the rest of the gateway's own is withheld. */
  env: recordOf(z.string()).prefault({}),
  cwd: z.string().min(1).optional(),
  /** `local`, or `ssh:` and a destination of the user's ssh config: the server runs there, guarded; or a node's name. */
  host: z
    .union(
      [z.literal("local"), sshHost, nodeName],
      "must be local, a node's name (letters, digits, - and _), or ssh:<host, user@host, or a name of your ssh config>",
    )
    .default("local"),
  /** Where the server is started while its host, a node, is away: `local` or another node. Absent = nowhere. */
  hostFallback: z
    .union([z.literal("local"), nodeName], "must be local or a node's name (letters, digits, - and _)")
    .optional(),
  /** A `command: "ssh"` gets the same remote guard. false = it runs as written, and its remote side has no owner. */
  sshGuard: z.boolean().default(true),
  /** The package that npx would run is installed once and run without npx (docs/mcp.md). */
  resolveNpx: z.boolean().default(false),
  ...everyServer,
  /** For the server's whole process tree, checked every 200 ms; a tree over its limit is ended as `limit-exceeded`. */
  limits: z
    .strictObject({
      processesMax: z.int().min(1).optional(),
      memoryBytesMax: z
        .int()
        .min(1024 * 1024)
        .optional(),
    })
    .prefault({}),
});
export type ServerConfig = z.output<typeof stdioSchema>;

/** One remote MCP server. Holdfast does not start it, but owns and ends its sessions there. */
const remoteSchema = z.strictObject({
  /** `http`: streamable HTTP; `sse`: the older pair of a stream and an address for POST. */
  type: z.enum(["http", "streamable-http", "sse"]).default("http"),
  url: z.string().min(1),
  /** Sent with every request. */
  headers: recordOf(
    z.string(),
    z
      .string()
      .regex(/^[A-Za-z0-9-]+$/, { error: ({ input }) => `${JSON.stringify(input)} is not the name of a header` }),
  ).prefault({}),
  /** Name of the gateway's environment variable with the bearer token. */
  bearerTokenEnv: z.string().min(1).optional(),
  /** `holdfast mcp login`. Needed only if the server does not register clients itself; false = no login there. */
  oauth: z
    .union(
      [
        z.literal(false),
        z.strictObject({
          clientId: z.string().min(1).optional(),
          /** Name of an environment variable of the login command. */
          clientSecretEnv: z.string().min(1).optional(),
          scopes: z
            .array(
              z
                .string()
                .regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, "is not a scope: it holds a space, a quote or a backslash"),
            )
            .optional(),
          /** Port on 127.0.0.1 for the browser's redirect; 0 = any free one. */
          redirectPort: z.int().min(0).max(65_535).default(0),
        }),
      ],
      "must be false, or an object of clientId, clientSecretEnv, scopes, redirectPort",
    )
    .optional(),
  ...everyServer,
});
export type RemoteConfig = z.output<typeof remoteSchema>;

export type AnyServer = ServerConfig | RemoteConfig;

/** Client-only settings: tools approved in advance, and the description of a server. */
const clientsOwnKeys = ["autoApprove", "alwaysAllow", "description"];
const transports = new Map([
  ["stdio", undefined],
  ["local", undefined],
  ["streamableHttp", "streamable-http"],
]);

/** A server from a client's config, in our keys where the meaning is certain: people paste from server documentation. */
export function withoutForeignKeys(given: unknown): unknown {
  if (!isObject(given)) return given;
  const server: Record<string, unknown> = { ...given };
  for (const key of clientsOwnKeys) delete server[key];
  const { type, disabled, enabled } = server;
  if (typeof type === "string" && transports.has(type) && (type === "streamableHttp") === "url" in server) {
    delete server["type"];
    const own = transports.get(type);
    if (own !== undefined) server["type"] = own;
  }
  if (typeof disabled === "boolean" && (enabled === undefined || enabled === !disabled)) {
    delete server["disabled"];
    if (disabled) server["enabled"] = false;
  }
  return server;
}

/** Stands for a malformed server, of which nothing is known. */
export const unreadableServer: AnyServer = stdioSchema.parse({ command: "false" });

/** A `url` makes a server remote; each kind gets its own error messages. */
export function parseServer(given: unknown): { server: AnyServer } | { issues: z.core.$ZodIssue[] } {
  const value = withoutForeignKeys(given);
  const schema = isObject(value) && "url" in value ? remoteSchema : stdioSchema;
  const parsed = schema.safeParse(value, { error: plainIssue });
  return parsed.success ? { server: parsed.data } : { issues: parsed.error.issues };
}

/** A server that is unusable as it stands, unlike the rest. */
interface UnavailableServer {
  /** Everything missing or wrong, with key and remedy, in one line. */
  problem: string;
  /** As written, with variables unexpanded, for a recheck; undefined if malformed. */
  server: AnyServer | undefined;
}

/** The servers of a config under their served names. Neither object has a prototype. */
export interface Servers {
  mcpServers: Record<string, AnyServer>;
  unavailable: Record<string, UnavailableServer>;
  /** The file's names for servers that are served under another one. */
  writtenNames: Record<string, string>;
}

/** An error in one server makes only that server unavailable. */
export function readServers(given: object): Servers {
  const bare = <V>() => Object.create(null) as Record<string, V>;
  const read: Servers = { mcpServers: bare(), unavailable: bare(), writtenNames: bare() };
  for (const [written, served] of servedNames(Object.keys(given))) {
    if (written !== served) read.writtenNames[served] = written;
    const value: unknown = Object.getOwnPropertyDescriptor(given, written)?.value;
    const parsed = parseServer(value);
    if ("server" in parsed) read.mcpServers[served] = parsed.server;
    else
      read.unavailable[served] = {
        problem: describeIssues(parsed.issues, ["mcpServers", written]).join("; "),
        server: undefined,
      };
  }
  return read;
}
