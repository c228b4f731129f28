/** The front's part of the config: no command, argument or environment, except those of servers run by nodes. */
import { programName } from "../platform/program.ts";
import { hash } from "node:crypto";
import type { FrontConfig, FrontServer } from "../protocol/keeper/front-config.ts";
import { isNodeHost, type AnyServer, type Config } from "../config/schema.ts";
import { unreadableServer } from "../config/server.ts";
import { needsCertificate, writtenName } from "../config/load.ts";
import { HoldfastError } from "../errors.ts";
import type { TlsPair } from "../config/tls.ts";
import { baseEnvironment, mergeEnvironment, proxiesIn } from "../platform/environment.ts";

/** A draining front has its own bounds; it is killed this much later. */
const drainSlackMs = 2000;
const drainMsMin = 5000;

/** Time for a front to drain before it is killed. */
export function drainBoundMs({ connections }: Config): number {
  return Math.max(drainMsMin, connections.drainMs + drainSlackMs);
}

export function frontConfig(config: Config, port: number, tls: TlsPair | null): FrontConfig {
  const { bind, session, allowedOrigins, allowedHosts, limits, connections, tools, nodes } = config;
  const servers = frontServers(config);
  const { messageBytesMax, startsMax, listMs, questionMs } = limits;
  // Config validation ensures this; a defect there must not open the gateway here.
  if (needsCertificate(config)) throw new HoldfastError("internal", "a bind past loopback without a certificate");
  return {
    port,
    bind,
    servers,
    session,
    allowedOrigins,
    allowedHosts,
    messageBytesMax,
    startsMax,
    listMs,
    questionMs,
    connections,
    tls,
    tools,
    nodes,
  };
}

/** Includes unavailable servers, with the reason. */
export function frontServers(config: Config): FrontServer[] {
  const usable = Object.entries(config.mcpServers).map(([name, server]) => frontServer(name, server));
  const unavailable = Object.entries(config.unavailable).map(([name, { server, problem }]) => ({
    ...frontServer(name, server ?? unreadableServer),
    problem,
  }));
  return [...usable, ...unavailable].map((server) => {
    const written = writtenName(config, server.name);
    return written === server.name ? server : { ...server, writtenName: written };
  });
}

function frontServer(name: string, server: AnyServer): FrontServer {
  const { enabled, requestTimeoutMs, connectionTimeoutMs, share, idleTimeoutMs, maxLifetimeMs } = server;
  const common = { name, enabled, share, requestTimeoutMs, connectionTimeoutMs, idleTimeoutMs, maxLifetimeMs };
  if ("url" in server) {
    const { url, headers } = server;
    const kind = server.type === "sse" ? ("sse" as const) : ("http" as const);
    const hasOwn = Object.keys(headers).some((header) => header.toLowerCase() === "authorization");
    const oauth = server.oauth !== false && !hasOwn;
    return { ...common, kind, url, headers, oauth, fingerprint: fingerprintOf([kind, url, sorted(headers)]) };
  }
  const { command, args, cwd, env, host, hostFallback, sshGuard, resolveNpx, limits } = server;
  const fingerprint = fingerprintOf([command, args, cwd ?? null, sorted(env), host, sshGuard, resolveNpx]);
  if (!isNodeHost(host)) {
    const timeoutHint = host === "local" ? downloadHint(command, env) : undefined;
    return { ...common, kind: "stdio", fingerprint, ...(timeoutHint === undefined ? {} : { timeoutHint }) };
  }
  const node = { host, fallback: hostFallback ?? null, argv: [command, ...args], cwd: cwd ?? null, env, limits };
  return { ...common, kind: "stdio", fingerprint, node };
}

/** Programs that download what they run from a registry. */
const downloaders = /^(?:npx|npm|pnpm|pnpx|yarn|bunx|uvx|uv|pipx|deno)$/;

/** A possible cause when a server downloaded at start does not answer; undefined for others. */
export function downloadHint(command: string, env: Record<string, string>): string | undefined {
  const program = programName(command);
  if (!downloaders.test(program)) return undefined;
  const proxies = proxiesIn(mergeEnvironment(baseEnvironment(), env));
  const what = `${program} may still be downloading, or cannot reach its registry`;
  return proxies.length > 0
    ? `${what}; it was given ${proxies.join(", ")}: check that this proxy answers`
    : `${what}; no proxy variable is set: where the network needs one, set HTTPS_PROXY where the gateway is started, or in "env" of this server`;
}

const sorted = (values: Record<string, string>) => Object.entries(values).toSorted(([a], [b]) => (a < b ? -1 : 1));

function fingerprintOf(parts: unknown[]): string {
  return hash("sha256", JSON.stringify(parts), "hex").slice(0, 32);
}
