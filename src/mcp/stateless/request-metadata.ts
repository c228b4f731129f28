/** Metadata of a stateless request: its headers must equal its body. */
import type { IncomingMessage } from "node:http";
import type { Envelope } from "../wire/envelope.ts";
import { headerText } from "../wire/header-values.ts";
import { allVersions, olderVersions, sessionVersions, statelessVersion } from "../wire/headers.ts";
import { rpcCode, asciiText, isObject } from "../wire/json-rpc.ts";
import { refusal, type Refusal } from "../http/reply.ts";
import { canonical } from "../servers/pool.ts";
import { isLevel } from "./log-levels.ts";

const prefix = "io.modelcontextprotocol/";
const ownKeys = ["protocolVersion", "clientInfo", "clientCapabilities", "logLevel"].map((key) => prefix + key);
/** Requests whose `Mcp-Name` names their target. */
const namedMethods = new Set(["tools/call", "prompts/get", "resources/read"]);
/** Cached parses of `_meta`, and the longest text cached: a client repeats the same one in each request. */
const understoodMax = 256;
const understoodBytesMax = 4096;

export interface Metadata {
  clientInfo: Record<string, unknown>;
  capabilities: Record<string, unknown>;
  /** The same without roots, which require a scope. */
  anonymousCapabilities: Record<string, unknown>;
  /** Both as canonical text, computed once. */
  capabilitiesText: string;
  anonymousCapabilitiesText: string;
  /** Undefined: the client wants no log messages with its answer. */
  logLevel: string | undefined;
  /** Other members of `_meta` without the progress token: the part for session-based servers. */
  rest: Record<string, unknown>;
  /** The same as text, for the usual case. */
  restText: string;
}

/** The header names the stateless revision, or an unknown one without an agreed session. */
export function namesStateless(request: IncomingMessage): boolean {
  const { "mcp-protocol-version": version, "mcp-session-id": session } = request.headers;
  if (typeof version !== "string" || sessionVersions.includes(version) || olderVersions.includes(version)) return false;
  return version === statelessVersion || session === undefined;
}

export function mismatch(message: string): Refusal {
  return refusal(400, rpcCode.headerMismatch, "invalid_params", `Header mismatch: ${message}`);
}

function malformed(message: string): Refusal {
  return refusal(400, rpcCode.invalidParams, "invalid_params", message);
}

/** Reads the metadata of requests, and remembers what they repeat. */
export class MetadataReader {
  readonly #understood = new Map<string, Metadata>();

  /** All metadata of the request, or its refusal. */
  read(request: IncomingMessage, envelope: Envelope, body: Buffer): Metadata | Refusal {
    const problem = versionProblem(request, envelope, body) ?? headerProblem(request, envelope, body);
    return problem ?? this.#readMeta(envelope, body);
  }

  /** The same for a request without headers. */
  readLine(envelope: Envelope, body: Buffer): Metadata | Refusal {
    const said = textAt(body, envelope.versionStart, envelope.versionEnd);
    if (said === undefined) return versionMissing();
    return said === statelessVersion ? this.#readMeta(envelope, body) : versionUnknown(said);
  }

  #readMeta(envelope: Envelope, body: Buffer): Metadata | Refusal {
    const text = body.toString("latin1", envelope.metaStart, envelope.metaEnd);
    const known = this.#understood.get(text);
    if (known !== undefined) return known;
    const metadata = understand(JSON.parse(body.toString("utf8", envelope.metaStart, envelope.metaEnd)) as object);
    if ("status" in metadata || envelope.tokenStart > 0 || text.length > understoodBytesMax) return metadata;
    if (this.#understood.size >= understoodMax) this.#understood.clear();
    this.#understood.set(text, metadata);
    return metadata;
  }
}

function versionProblem(request: IncomingMessage, envelope: Envelope, body: Buffer): Refusal | undefined {
  const header = request.headers["mcp-protocol-version"];
  const said = textAt(body, envelope.versionStart, envelope.versionEnd);
  if (typeof header !== "string") return mismatch("the MCP-Protocol-Version header is missing");
  if (header !== statelessVersion && (said === undefined || said === header)) return versionUnknown(header);
  if (said === undefined) return versionMissing();
  return said === header ? undefined : mismatch(differs("MCP-Protocol-Version", header, said));
}

function versionMissing(): Refusal {
  return malformed(`params._meta["${prefix}protocolVersion"] is missing`);
}

function versionUnknown(requested: string): Refusal {
  const message = `Unsupported protocol version ${requested}; supported: ${allVersions.join(", ")}`;
  const { status, fault } = refusal(400, rpcCode.unsupportedVersion, "invalid_params", message);
  return { status, fault: { ...fault, data: { supported: allVersions, requested } } };
}

function headerProblem(request: IncomingMessage, envelope: Envelope, body: Buffer): Refusal | undefined {
  const { "mcp-method": method, "mcp-name": given } = request.headers;
  if (typeof method !== "string") return mismatch("the Mcp-Method header is missing");
  if (method !== envelope.method) return mismatch(differs("Mcp-Method", method, envelope.method));
  if (!namedMethods.has(method)) return undefined;
  const isRead = method === "resources/read";
  const [start, end] = isRead ? [envelope.uriStart, envelope.uriEnd] : [envelope.nameStart, envelope.nameEnd];
  const name = textAt(body, start, end);
  if (name === undefined) return malformed(`params.${isRead ? "uri" : "name"} is missing`);
  if (typeof given !== "string") return mismatch("the Mcp-Name header is missing");
  const decoded = headerText(given);
  return decoded === name ? undefined : mismatch(differs("Mcp-Name", decoded ?? given, name));
}

function differs(header: string, value: string, body: string): string {
  return `${header} header value '${value}' does not match body value '${body}'`;
}

/** Undefined: missing, or not a string. */
function textAt(body: Buffer, start: number, end: number): string | undefined {
  if (start === 0) return undefined;
  const value = JSON.parse(body.toString("utf8", start, end)) as unknown;
  return typeof value === "string" ? value : undefined;
}

function understand(meta: object): Metadata | Refusal {
  const all = meta as Record<string, unknown>;
  const capabilities = all[`${prefix}clientCapabilities`];
  if (!isObject(capabilities)) return malformed(`params._meta["${prefix}clientCapabilities"] is missing`);
  const { roots: _roots, ...anonymousCapabilities } = capabilities;
  const clientInfo = all[`${prefix}clientInfo`];
  const logLevel = all[`${prefix}logLevel`];
  if (logLevel !== undefined && !isLevel(logLevel))
    return malformed(`params._meta["${prefix}logLevel"] is not a log level`);
  const isRest = ([key]: [string, unknown]) => !ownKeys.includes(key) && key !== "progressToken";
  const rest = Object.fromEntries(Object.entries(all).filter(isRest));
  return {
    clientInfo: isObject(clientInfo) ? clientInfo : {},
    capabilities,
    anonymousCapabilities,
    capabilitiesText: canonical(capabilities),
    anonymousCapabilitiesText: canonical(anonymousCapabilities),
    logLevel,
    rest,
    restText: asciiText(rest),
  };
}

/** The `_meta` for a session-based server; `number` is set where the client wants progress. */
export function sessionMeta({ rest, restText }: Metadata, number: number | undefined): string {
  return number === undefined ? restText : asciiText({ ...rest, progressToken: number });
}
