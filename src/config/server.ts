/** The shape of one entry of `mcpServers`, and of all of them: one server's mistakes are its own. */
import { z } from "zod";
import { describeIssues, plainIssue } from "../plain-issues.ts";
import { servedNames } from "./names.ts";

export const milliseconds = z.int().min(0).max(2_147_483_647);

/** A shell somewhere in the user's ssh config may see the name, so nothing that one reads is in it. */
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

/** An object with keys of the user's choosing: without a prototype, so that a key may be called anything. */
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

/** What every server has, wherever it runs. */
const everyServer = {
  enabled: z.boolean().default(true),
  /** A request without an answer for so long is cancelled and answered with an error. 0 = never. */
  requestTimeoutMs: milliseconds.default(0),
  /** Time for the server to answer `initialize`. */
  connectionTimeoutMs: milliseconds.default(60_000),
  /** `session`: one process tree per session. `pool`: one for all sessions that may share it (docs/mcp.md). */
  share: z.enum(["session", "pool"]).default("session"),
  /** The server is ended when no call was in flight for so long, and started again by the next one. 0 = never. */
  idleTimeoutMs: milliseconds.default(0),
  /** After so long calls go to a new process; the old one ends with its last call. 0 = never. */
  maxLifetimeMs: milliseconds.default(0),
};

/** One stdio MCP server, by the keys that every MCP client uses. */
const stdioSchema = z.strictObject({
  command: z.string().min(1, "must name a program"),
  args: z.array(z.string()).default([]),
  /** Added to a clean base environment (PATH, HOME, LANG …); nothing else of the gateway's own is passed on. */
  env: recordOf(z.string()).prefault({}),
  cwd: z.string().min(1).optional(),
  /** `local`, or `ssh:` and a destination of the user's ssh config: the server runs there, guarded; or a node's name. */
  host: z
    .union(
      [z.literal("local"), sshHost, nodeName],
      "must be local, a node's name (letters, digits, - and _), or ssh:<host, user@host, or a name of your ssh config>",
    )
    .default("local"),
  /** Where a server with a node as its host is started while that node is away: `local` or another node. Absent = nowhere. */
  hostFallback: z
    .union([z.literal("local"), nodeName], "must be local or a node's name (letters, digits, - and _)")
    .optional(),
  /** A `command: "ssh"` gets the same remote guard. false = it runs as written, and its remote side has no owner. */
  sshGuard: z.boolean().default(true),
  /** What npx would run is installed once and run without npx (docs/mcp.md). */
  resolveNpx: z.boolean().default(false),
  ...everyServer,
  /** For the server's whole process tree; looked at every 200 ms, a tree over its limit is ended as `limit-exceeded`. */
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

/** One remote MCP server. Holdfast does not start it, but its sessions there are ours to end. */
const remoteSchema = z.strictObject({
  /** `http`: streamable HTTP; `sse`: the older pair of a stream and an address to post to. */
  type: z.enum(["http", "streamable-http", "sse"]).default("http"),
  url: z.string().min(1),
  /** Sent with every request. */
  headers: recordOf(
    z.string(),
    z
      .string()
      .regex(/^[A-Za-z0-9-]+$/, { error: ({ input }) => `${JSON.stringify(input)} is not the name of a header` }),
  ).prefault({}),
  /** Name of an environment variable of the gateway that holds a bearer token. */
  bearerTokenEnv: z.string().min(1).optional(),
  /** `holdfast mcp login`. Needed only where the server does not register us by itself; false = no login there. */
  oauth: z
    .union(
      [
        z.literal(false),
        z.strictObject({
          clientId: z.string().min(1).optional(),
          /** Name of an environment variable of the command that logs in. */
          clientSecretEnv: z.string().min(1).optional(),
          scopes: z
            .array(
              z
                .string()
                .regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, "is not a scope: it holds a space, a quote or a backslash"),
            )
            .optional(),
          /** On 127.0.0.1, for the browser's way back; 0 = any that is free. */
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

/** Which tools a client runs without asking is its own business, and so is how it describes a server. */
const clientsOwnKeys = ["autoApprove", "alwaysAllow", "description"];
const transports = new Map([
  ["stdio", undefined],
  ["local", undefined],
  ["streamableHttp", "streamable-http"],
]);

/** A server as clients write it, in our keys where the meaning is certain: people paste what a server's page shows. */
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

/** Stands for a server whose form is wrong, of which nothing can be said. */
export const unreadableServer: AnyServer = stdioSchema.parse({ command: "false" });

/** By its `url` a server is remote; each kind is told its own mistakes. */
export function parseServer(given: unknown): { server: AnyServer } | { issues: z.core.$ZodIssue[] } {
  const value = withoutForeignKeys(given);
  const schema = isObject(value) && "url" in value ? remoteSchema : stdioSchema;
  const parsed = schema.safeParse(value, { error: plainIssue });
  return parsed.success ? { server: parsed.data } : { issues: parsed.error.issues };
}

/** A server that cannot be used as it stands; the others are. */
interface UnavailableServer {
  /** What is missing or wrong, with its key and the remedy, in one line. */
  problem: string;
  /** As written, variables not filled in, to be looked at again; undefined where its form is wrong. */
  server: AnyServer | undefined;
}

/** The servers of a config, under the names that they are served under. Neither object has a prototype. */
export interface Servers {
  mcpServers: Record<string, AnyServer>;
  unavailable: Record<string, UnavailableServer>;
  /** As the file calls them, of those that cannot be served under that name. */
  writtenNames: Record<string, string>;
}

/** One server's mistakes are its own: it is unavailable, and the rest of the file holds. */
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
