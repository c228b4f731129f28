/** Our own requests to a server: `initialize`, and its lists. */
import type { Clock } from "../../clock.ts";
import { HoldfastError } from "../../errors.ts";
import { version } from "../../version.ts";
import { rpcCode, isObject } from "../wire/json-rpc.ts";
import { sessionVersions, statelessVersion } from "../wire/headers.ts";
import { RefusedError } from "./own-requests.ts";
import type { Upstream } from "./upstream.ts";

/** The client identity presented to a server. */
export interface Introduction {
  protocolVersion: string;
  capabilities: Record<string, unknown>;
  clientInfo: Record<string, unknown>;
}

export interface InitializeResult {
  protocolVersion: string;
  capabilities: Record<string, unknown>;
  serverInfo: Record<string, unknown>;
  instructions?: string;
}

/** One tool, prompt, resource or template, as the server wrote it. */
export type Item = Record<string, unknown>;

const listNames = ["tools", "prompts", "resources", "resourceTemplates"] as const;
export type ListName = (typeof listNames)[number];
export type Lists = Record<ListName, Item[]>;

const listMethods: Record<ListName, string> = {
  tools: "tools/list",
  prompts: "prompts/list",
  resources: "resources/list",
  resourceTemplates: "resources/templates/list",
};
/** Entries per list; endless pagination is cut here. */
const itemsMax = 10_000;
const pagesMax = 1000;
/** Time for one page of a list, and for all of them. */
const pageMs = 20_000;
const listMs = 60_000;
/** All pages of a list together. */
const listBytesMax = 64 * 1024 * 1024;

/** A server without `server/discover` may ignore it silently. */
const probeMs = 5000;

/** The server's kind, as far as known before the handshake. */
export type RevisionKind = "session" | "stateless" | "unknown";

/**
 * Initializes the server in a revision that it supports: a stateless client prefers the stateless one, a session client
 * the others, and after a refusal the other kind is tried. Rejects with a `server_down` whose message describes what
 * the server did.
 */
export async function greet(
  upstream: Upstream,
  introduction: Introduction,
  boundMs: number,
  kind: RevisionKind = "unknown",
): Promise<InitializeResult> {
  const isStateless = introduction.protocolVersion === statelessVersion;
  const [first, second] =
    kind === "stateless" || (isStateless && kind === "unknown") ? [discover, initialize] : [initialize, discover];
  try {
    return await first(upstream, introduction, boundMs);
  } catch (cause) {
    if (upstream.closed || (cause instanceof HoldfastError && cause.code === "server_down"))
      throw refused(upstream.server, cause);
    try {
      // A session-based server may ignore anything before `initialize`; silence to `initialize` itself is a failure.
      if (first === discover || cause instanceof RefusedError) return await second(upstream, introduction, boundMs);
    } catch (other) {
      // The first refusal is more informative if the other kind is unknown to the server.
      if (first === discover) throw refused(upstream.server, other);
    }
    throw refused(upstream.server, cause);
  }
}

async function initialize(upstream: Upstream, introduction: Introduction, boundMs: number): Promise<InitializeResult> {
  // A stateless client is represented in the newest session-based revision.
  const asked = sessionVersions.includes(introduction.protocolVersion)
    ? introduction.protocolVersion
    : sessionVersions[0];
  // `initialize` requires a name, which stateless clients may omit.
  const clientInfo = { name: "unnamed", version: "0", ...introduction.clientInfo };
  const given = { ...introduction, protocolVersion: asked, clientInfo };
  const asking = upstream.ask("initialize", given, boundMs).catch((thrown: unknown) => {
    throw namingLimit(thrown, upstream.server, boundMs);
  });
  const result = (await asking) as Partial<InitializeResult> | undefined;
  if (typeof result?.protocolVersion !== "string")
    throw refused(upstream.server, new Error("answered initialize without a protocolVersion"));
  upstream.say({ jsonrpc: "2.0", method: "notifications/initialized" });
  const { protocolVersion, instructions } = result;
  const rest = typeof instructions === "string" ? { instructions } : {};
  return {
    protocolVersion,
    capabilities: objectOr(result.capabilities),
    serverInfo: objectOr(result.serverInfo),
    ...rest,
  };
}

/** Names the config's limit that the silent server exceeded. */
function namingLimit(thrown: unknown, server: string, boundMs: number): unknown {
  const within = ` within ${boundMs} ms`;
  if (!(thrown instanceof Error) || thrown instanceof RefusedError || !thrown.message.includes(within)) return thrown;
  const key = `mcpServers.${server}.connectionTimeoutMs`;
  return new Error(thrown.message.replace(within, `${within} (${key})`), { cause: thrown });
}

interface Discovered extends Partial<InitializeResult> {
  supportedVersions?: unknown;
  _meta?: Record<string, unknown>;
}

async function discover(upstream: Upstream, introduction: Introduction, boundMs: number): Promise<InitializeResult> {
  const _meta = {
    "io.modelcontextprotocol/protocolVersion": statelessVersion,
    "io.modelcontextprotocol/clientInfo": { name: "holdfast", version, ...introduction.clientInfo },
    "io.modelcontextprotocol/clientCapabilities": {},
  };
  const asked = upstream.ask("server/discover", { _meta }, Math.min(boundMs, probeMs));
  const result = (await asked) as Discovered | undefined;
  const versions = result?.supportedVersions;
  if (!Array.isArray(versions) || !versions.includes(statelessVersion))
    throw new Error(`answered server/discover without revision ${statelessVersion}`);
  const capabilities = objectOr(result?.capabilities);
  const instructions = result?.instructions;
  const serverInfo = objectOr(result?._meta?.["io.modelcontextprotocol/serverInfo"]);
  const rest = typeof instructions === "string" ? { instructions } : {};
  return {
    protocolVersion: statelessVersion,
    capabilities,
    serverInfo: { name: upstream.server, version: "", ...serverInfo },
    ...rest,
  };
}

function objectOr(value: unknown): Record<string, unknown> {
  return isObject(value) ? value : {};
}

function refused(server: string, cause: unknown): HoldfastError {
  const what = cause instanceof Error ? cause.message : String(cause);
  const name = `MCP server ${JSON.stringify(server)}`;
  return new HoldfastError("server_down", what.startsWith(name) ? what : `${name} ${what}`, { cause });
}

/**
 * Fetches every list in the server's capabilities. A refused list counts as empty, except tools: an empty tool list
 * would be cached, and without tools no call would ever refresh it.
 */
export async function learnLists(
  upstream: Upstream,
  capabilities: Record<string, unknown>,
  clock: Clock,
): Promise<Lists> {
  const lists: Lists = { tools: [], prompts: [], resources: [], resourceTemplates: [] };
  for (const name of listNames) {
    const capability = name === "resourceTemplates" ? "resources" : name;
    if (capabilities[capability] !== undefined) lists[name] = await learnList(upstream, name, clock);
  }
  return lists;
}

async function learnList(upstream: Upstream, name: ListName, clock: Clock): Promise<Item[]> {
  const items: Item[] = [];
  let cursor: string | undefined;
  let bytes = 0;
  const began = clock.monotonic();
  for (let page = 0; page < pagesMax && items.length < itemsMax && bytes < listBytesMax; page++) {
    const params = cursor === undefined ? {} : { cursor };
    const leftMs = began + listMs - clock.monotonic();
    if (leftMs <= 0) return items;
    let result: Record<string, unknown> | undefined;
    try {
      const answer = await upstream.askSized(listMethods[name], params, Math.min(pageMs, leftMs));
      result = answer.result as Record<string, unknown> | undefined;
      bytes += answer.bytes;
    } catch (thrown) {
      // Some servers declare resources but lack templates; only tools and the server's end concern the caller.
      const isUnknown = thrown instanceof RefusedError && thrown.code === rpcCode.methodUnknown;
      if (upstream.closed || (name === "tools" && !isUnknown)) throw refused(upstream.server, untold(thrown));
      return items;
    }
    const list = result?.[name];
    for (const item of Array.isArray(list) ? (list as unknown[]) : [])
      if (isObject(item) && items.length < itemsMax) items.push(item);
    const next = result?.["nextCursor"];
    // A server that repeats a cursor ignores it, and would page without end.
    if (typeof next !== "string" || next === cursor) return items;
    cursor = next;
  }
  return items;
}

function untold(thrown: unknown): unknown {
  return thrown instanceof RefusedError ? new Error(`does not tell its tools: it ${thrown.message}`) : thrown;
}
