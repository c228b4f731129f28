/**
 * `holdfast mcp`: an MCP server over stdio for any client's config. It opens one connection to the gateway, identifies
 * itself, and becomes a 28 KB pump between the client and that connection. The session ends with the connection, and the
 * connection with this process, whatever the cause.
 */
import { createConnection, isIP, type Socket } from "node:net";
import { connect as connectTls, type ConnectionOptions } from "node:tls";
import { systemClock, type Timer } from "../clock.ts";
import { late, tokenOf, unreachable, urlOf, type GatewayAddress } from "../client/address.ts";
import { trustOf } from "../client/trust.ts";
import { becomePump } from "../platform/become.ts";
import { watchCaller } from "../platform/self/index.ts";
import { endOfInput } from "../end-of-input.ts";
import { HoldfastError } from "../errors.ts";
import type { CommandContext } from "./context.ts";

export interface McpOptions {
  /** A single server, under its own names; by default all. */
  server?: string;
  /** Id of the parent session, with which this one ends. */
  parent?: string;
  /** Stay a Node process. */
  pump: boolean;
}

/** How long the gateway has to accept the connection. */
const answerMs = 10_000;
const headBytesMax = 16 * 1024;

/** Internals of Node's sockets, which have no public descriptor. */
interface WithHandle {
  _handle?: { fd?: number } | null;
}

/** Resolves with the exit code when one side ended, unless the process became the pump. */
export async function mcp(context: CommandContext, options: McpOptions): Promise<number> {
  const url = new URL(urlOf(context));
  const path = options.server === undefined ? "/mcp" : `/mcp/${encodeURIComponent(options.server)}`;
  const lines = [
    `GET ${path} HTTP/1.1`,
    `Host: ${url.host}`,
    `Authorization: Bearer ${tokenOf(context)}`,
    "Connection: Upgrade",
    "Upgrade: holdfast-stdio",
    ...(options.parent === undefined ? [] : [`X-Holdfast-Parent: ${options.parent}`]),
  ];
  const socket = await open(url, trustOf(context.state, url.href), context);
  socket.write(`${lines.join("\r\n")}\r\n\r\n`);
  await accepted(socket, url);
  const isPlain = url.protocol === "http:";
  if (options.pump && isPlain) {
    try {
      becomePump((socket as WithHandle)._handle?.fd ?? -1);
    } catch {
      // This process cannot become the pump, so it copies itself.
    }
  }
  return copy(socket);
}

function open(url: URL, trust: ConnectionOptions, address: GatewayAddress): Promise<Socket> {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const port = Number(url.port === "" ? (url.protocol === "https:" ? 443 : 80) : url.port);
  return new Promise((resolve, reject) => {
    const isTls = url.protocol === "https:";
    const socket = isTls
      ? connectTls({ host, port, servername: isIP(host) === 0 ? host : "", ...trust })
      : createConnection({ host, port });
    const fail = (cause: Error) =>
      reject(cause instanceof HoldfastError ? cause : unreachable(url.origin, cause, address));
    socket.setTimeout(answerMs, () => socket.destroy(late(url.origin, "the connection of `holdfast mcp`", answerMs)));
    socket.once("error", fail).once(isTls ? "secureConnect" : "connect", () => resolve(socket));
  });
}

/** Waits for 101; any other response becomes an error with the gateway's message. */
async function accepted(socket: Socket, url: URL): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let head = "";
  const refused = (why: string) => reject(new HoldfastError("gateway_unreachable", `${url.origin}: ${why}`));
  const take = (chunk: Buffer) => {
    head += chunk.toString("latin1");
    if (head.length > headBytesMax) return refused("the answer is not HTTP");
    const isWhole = head.includes("\r\n\r\n");
    if (isWhole && head.startsWith("HTTP/1.1 101 ")) resolve();
    else if (isWhole && head.includes("}")) refused(messageOf(head));
  };
  const end = () => refused(messageOf(head));
  socket.on("data", take).once("error", reject).once("end", end).once("close", end);
  try {
    await promise;
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    socket.off("data", take).off("error", reject).off("end", end).off("close", end).setTimeout(0);
    socket.pause();
  }
}

function messageOf(head: string): string {
  const [line = ""] = head.split("\r\n");
  const body = head.slice(head.indexOf("\r\n\r\n") + 4);
  const message = /"message":"((?:[^"\\]|\\.)*)"/.exec(body)?.[1];
  if (message !== undefined) return JSON.parse(`"${message}"`) as string;
  return line === "" ? "the gateway closed the connection" : line;
}

/** How often to check on a client whose input ended: no event reports the loss of its other end. */
const clientLookMs = 250;

/** The pump in Node: 0 when the client ended, 1 when the gateway did. The end of stdin is a half-close, as in the pump. */
function copy(socket: Socket): Promise<number> {
  return new Promise((resolve) => {
    const isOrphan = watchCaller();
    let look: Timer | undefined;
    const end = (code: number) => {
      look?.clear();
      socket.destroy();
      resolve(code);
    };
    const endInput = () => {
      socket.write(Buffer.of(endOfInput));
      look = systemClock.every(clientLookMs, () => isOrphan() && end(0));
    };
    process.stdin.once("end", endInput).once("error", () => end(0));
    process.stdout.once("error", () => end(0));
    socket.once("close", () => end(look === undefined ? 1 : 0)).on("error", () => {}); // "close" follows
    process.stdin.pipe(socket, { end: false });
    socket.pipe(process.stdout, { end: false });
  });
}
