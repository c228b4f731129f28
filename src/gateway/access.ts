/**
 * Who may call: Host header (DNS rebinding), Origin header (web pages), bearer token. All are parsed and compared
 * whole, never by prefix.
 */
import type { IncomingMessage } from "node:http";
import { isIPv4, isIPv6, type Socket } from "node:net";
import type { Clock } from "../clock.ts";
import type { Grant, Grants } from "./grants.ts";
import type { Throttle } from "./throttle.ts";

/** Headers that must not be duplicated, since readers could disagree; one bit each. */
const singleHeaders = new Map([
  ["host", 1],
  ["authorization", 2],
  ["origin", 4],
  ["mcp-session-id", 8],
  ["content-type", 16],
]);
const singleLengths = new Set([...singleHeaders.keys()].map((name) => name.length));
/** Accepted Host headers; a client sends the same one with every request. */
const knownHostsMax = 64;

export interface AccessParams {
  clock: Clock;
  grants: Grants;
  throttle: Throttle;
  allowedHosts: string[];
  allowedOrigins: string[];
  /** Listening addresses. */
  addresses: string[];
  port: number;
  scheme: "http" | "https";
}

export interface Denial {
  status: 400 | 401 | 403 | 429;
  message: string;
  /** With 429: seconds to wait. */
  retryAfterS?: number;
}

export const needsRead: Denial = { status: 403, message: '/metrics needs a token with the scope "read"' };
export const needsRun: Denial = { status: 403, message: 'MCP servers need a token with the scope "run"' };

export class Access {
  readonly #clock: Clock;
  readonly #grants: Grants;
  readonly #throttle: Throttle;
  readonly #hosts: Set<string>;
  readonly #origins: Set<string>;
  readonly #knownHosts = new Set<string>();
  /** The Authorization header each connection authenticated with; hashing it again would cost on every call. */
  readonly #proven = new WeakMap<Socket, { authorization: string; grant: Grant }>();

  constructor(params: AccessParams) {
    this.#clock = params.clock;
    this.#grants = params.grants;
    this.#throttle = params.throttle;
    const names = ["localhost", ...params.addresses.map(canonicalAddress)];
    this.#hosts = new Set([...names, ...params.allowedHosts.map((host) => host.toLowerCase())]);
    const own = [...names, "127.0.0.1", "[::1]"].map((name) => originOf(`${params.scheme}://${name}:${params.port}`));
    this.#origins = new Set([...own, ...params.allowedOrigins.map(originOf)].filter((each) => each !== undefined));
  }

  /** Checks Host and Origin. Undefined = accepted. */
  screen(request: IncomingMessage): Denial | undefined {
    const twice = duplicated(request.rawHeaders);
    if (twice !== undefined) return { status: 400, message: `duplicate header ${twice}` };
    const { host, origin } = request.headers;
    if (host === undefined || !this.#isOwnHost(host)) {
      return {
        status: 403,
        message: `Host ${JSON.stringify(host ?? "")} is not allowed; add it to \`allowedHosts\` in the config if it is yours`,
      };
    }
    if (origin !== undefined && !this.#origins.has(origin.toLowerCase())) {
      return {
        status: 403,
        message: `Origin ${JSON.stringify(origin)} is not allowed; add it to \`allowedOrigins\` in the config if it is yours`,
      };
    }
    return undefined;
  }

  /** The token's grant, or why the request is refused. */
  authorize(request: IncomingMessage): Grant | Denial {
    const { socket } = request;
    const { authorization } = request.headers;
    // A timing attack on this comparison needs the token itself.
    const proven = this.#proven.get(socket);
    if (proven !== undefined && proven.authorization === authorization && this.#grants.stillGood(proven.grant))
      return proven.grant;
    const given = bearer(authorization);
    if (given === undefined || authorization === undefined)
      return {
        status: 401,
        message: "a bearer token is needed: `Authorization: Bearer …` with the content of the token file",
      };
    const grant = this.admit(given, socket);
    if (!("status" in grant)) this.#proven.set(socket, { authorization, grant });
    return grant;
  }

  /** The token's grant. The connection ends with it. */
  admit(token: string, socket: Socket): Grant | Denial {
    const grant = this.#grants.find(token);
    if (grant === undefined) return this.#refuse(socket);
    this.#grants.hold(grant, socket);
    return grant;
  }

  #refuse(socket: Socket): Denial {
    const waitMs = this.#throttle.failed(socket.remoteAddress, this.#clock.monotonic());
    if (waitMs === 0) return { status: 401, message: "the bearer token is wrong" };
    const retryAfterS = Math.ceil(waitMs / 1000);
    return {
      status: 429,
      message: `too many wrong tokens from this address; try again in ${retryAfterS} s`,
      retryAfterS,
    };
  }

  #isOwnHost(header: string): boolean {
    if (this.#knownHosts.has(header)) return true;
    const name = hostName(header);
    if (name === undefined || !(this.#hosts.has(name) || isLoopback(name) || this.#hosts.has(header.toLowerCase())))
      return false;
    if (this.#knownHosts.size < knownHostsMax) this.#knownHosts.add(header);
    return true;
  }
}

/** Canonical name or address of a Host header, or undefined unless it is `host[:port]`. */
export function hostName(header: string): string | undefined {
  const match = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?$/.exec(header);
  const [, host = "", port = "0"] = match ?? [];
  if (match === null || Number(port) > 65_535) return undefined;
  if (!host.startsWith("[")) return host.toLowerCase();
  const address = host.slice(1, -1);
  return isIPv6(address) ? canonicalAddress(address) : undefined;
}

/** `[::1]` for all its spellings; IPv4 addresses and names unchanged. */
function canonicalAddress(address: string): string {
  return isIPv6(address) ? new URL(`http://[${address}]`).hostname : address.toLowerCase();
}

/** 127.0.0.0/8, in full: `127.1` and `127.evil.com` are names, not addresses. */
function isLoopback(name: string): boolean {
  return (isIPv4(name) && name.startsWith("127.")) || name === "[::1]";
}

/**
 * As a browser writes it. `URL` has "null" for the pages of an extension or an editor, which is also what any sandboxed
 * page sends.
 */
function originOf(url: string): string | undefined {
  const { origin, protocol, host } = new URL(url);
  if (origin !== "null") return origin;
  return host === "" ? undefined : `${protocol}//${host}`.toLowerCase();
}

function bearer(header: string | undefined): string | undefined {
  const match = /^Bearer +([\x21-\x7e]+)$/i.exec(header ?? "");
  return match?.[1];
}

function duplicated(rawHeaders: string[]): string | undefined {
  let seen = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const raw = rawHeaders[at]!;
    // Length first: this runs on every request.
    if (!singleLengths.has(raw.length)) continue;
    const bit = singleHeaders.get(raw.toLowerCase());
    if (bit === undefined) continue;
    if ((seen & bit) !== 0) return raw.toLowerCase();
    seen |= bit;
  }
  return undefined;
}
