/** Finds the gateway and token: given, or in the state directory. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isSameAlive } from "../platform/self/index.ts";
import { reasonOf } from "../plain-reason.ts";
import { readPrivateFile } from "../platform/self/private-file.ts";
import { HoldfastError, errorCodes, type ErrorCode } from "../errors.ts";

export interface GatewayAddress {
  /** State directory with the gateway's address and token. */
  state: string;
  url?: string;
  token?: string;
}

/** The gateway's address, read each time since it may have restarted. Throws `gateway_unreachable`, `usage`. */
export function urlOf({ state, url }: GatewayAddress): string {
  if (url !== undefined && !/^https?:$/.test(URL.parse(url)?.protocol ?? ""))
    throw new HoldfastError(
      "usage",
      `${JSON.stringify(url)} is not the address of a gateway; one looks like http://127.0.0.1:4653`,
    );
  const record = readJson(join(state, "keeper.json")) as { url?: string; node?: string | null } | undefined;
  if (url === undefined && typeof record?.node === "string") throw isNode(state, record.node);
  const found = url ?? record?.url;
  if (found === undefined) throw noGateway(state);
  return found.replace(/\/+$/, "");
}

/** Throws `unauthorized`. */
export function tokenOf({ token, state }: GatewayAddress): string {
  if (token !== undefined) return token;
  try {
    return readPrivateFile(join(state, "token")).trim();
  } catch (cause) {
    if (cause instanceof HoldfastError) throw cause;
    throw new HoldfastError(
      "unauthorized",
      `no token: ${join(state, "token")} cannot be read; give one with HOLDFAST_TOKEN or --token`,
      { cause },
    );
  }
}

export function noGateway(state: string): HoldfastError {
  return new HoldfastError(
    "gateway_unreachable",
    `no gateway runs on the state directory ${state}; start one with \`holdfast gateway\`, or name another with --state or --url`,
  );
}

function isNode(state: string, node: string): HoldfastError {
  return new HoldfastError(
    "gateway_unreachable",
    `the state directory ${state}belongs to node ${node}, which does not listen: ask its gateway (\`holdfast nodes describe ${node.slice(0, 12)}\`, \`holdfast ps\`); \`holdfast stop --state ${state}\` ends it`,
  );
}

/** No connection was made. Mentions a gateway that died here. */
export function unreachable(url: string, cause: unknown, address?: GatewayAddress): HoldfastError {
  const died = address === undefined ? undefined : describeDeath(address);
  return new HoldfastError(
    "gateway_unreachable",
    `no gateway answers at ${url} (${reasonOf(cause)}); ${died ?? "start one with `holdfast gateway`, or correct --url"}`,
    { cause },
  );
}

/** The gateway is connected but exceeded the client's limit. */
export function late(url: string, what: string, limitMs: number, cause?: unknown): HoldfastError {
  return new HoldfastError(
    "answer_late",
    `${url}: no answer to ${what} within ${limitMs / 1000} s, the limit of this command; it may still be carried out. \`holdfast status\` says whether the gateway answers at all`,
    { cause },
  );
}

/** A gateway removes its record at an orderly end; a record without its process means a crash. */
function describeDeath({ state, url }: GatewayAddress): string | undefined {
  const record = readJson(join(state, "keeper.json")) as
    | { pid?: number; startTime?: string; bootId?: string; config?: string | null }
    | undefined;
  if (url !== undefined || record?.pid === undefined) return undefined;
  try {
    if (isSameAlive({ startTime: "", bootId: "", ...record, pid: record.pid })) return undefined;
  } catch {
    return undefined; // the system shows no processes here, so nothing is known of this one
  }
  const config = record.config === null || record.config === undefined ? "" : ` --config ${record.config}`;
  return (
    `the gateway of ${state} (pid ${record.pid}) died without a clean stop; \`holdfast crashes\` tells more, ` +
    `\`holdfast gateway --state ${state}${config}\` starts it again`
  );
}

/** The answer's code, if this version knows it. */
export function knownCode(code: string | undefined): ErrorCode {
  return code !== undefined && Object.hasOwn(errorCodes, code) ? (code as ErrorCode) : "gateway_unreachable";
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return undefined; // never started here, or ended in order
  }
}
