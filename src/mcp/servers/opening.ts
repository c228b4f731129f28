/** A client's own `initialize` brings its server up: it goes there byte for byte, and so does the answer come back. */
import type { Clock } from "../../clock.ts";
import { HoldfastError } from "../../errors.ts";
import type { FrontServer } from "../../protocol/keeper/messages.ts";
import type { Envelope } from "../wire/envelope.ts";
import { rpcCode, isObject } from "../wire/json-rpc.ts";
import type { InitializeResult } from "./handshake.ts";
import type { Client } from "./client.ts";
import type { PendingCall } from "../wire/call.ts";
import type { Upstream } from "./upstream.ts";

export interface Opening {
  call: PendingCall;
  envelope: Envelope;
  body: Buffer;
  /** The server's answer is about to go out: what the next front must know is written down first. */
  onUp: (protocolVersion: string | undefined) => void;
  /** The server answers with an error. True: the caller answers the client. */
  onRefused: (line: Buffer) => boolean;
}

export interface OpeningParts {
  opening: Opening;
  upstream: Upstream;
  client: Client;
  server: FrontServer;
  clock: Clock;
  /** The server is up; runs before its answer goes out. */
  stand: (initialize: InitializeResult) => void;
}

/** Resolves when the server is up. Rejects when it refuses; one that is silent is closed, and the caller hears of every end. */
export function passOpening(parts: OpeningParts): Promise<void> {
  const { opening, upstream, client, server, clock, stand } = parts;
  const { call, envelope, body, onUp, onRefused } = opening;
  const name = `MCP server ${JSON.stringify(server.name)}`;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  call.params.onAnswer = (line, isError) => {
    if (isError) {
      reject(new HoldfastError("server_down", `${name} refused initialize`));
      return onRefused(line);
    }
    const { result } = JSON.parse(line.toString()) as { result?: unknown };
    const version = isObject(result) ? result["protocolVersion"] : undefined;
    const protocolVersion = typeof version === "string" ? version : undefined;
    // The calls that count for it come after this one.
    upstream.answered = 0;
    stand({ ...unknownServer, protocolVersion: protocolVersion ?? "" });
    onUp(protocolVersion);
    resolve();
    return false;
  };
  const { connectionTimeoutMs: boundMs, timeoutHint } = server;
  if (boundMs > 0)
    call.deadline = clock.after(boundMs, () => {
      const limit = `mcpServers.${server.name}.connectionTimeoutMs = ${boundMs}`;
      const hint = timeoutHint === undefined ? "" : `; ${timeoutHint}`;
      const message = `${name} did not answer initialize within ${limit}${hint}${upstream.dropped}`;
      call.fail({ code: rpcCode.timeout, message, reason: "run_ended" });
      upstream.onClosed(message, "run_ended", "timeout");
    });
  if (!upstream.request(client, call, envelope, body))
    upstream.onClosed(`${name} takes no input`, "run_ended", "timeout");
  return promise;
}

/** What is known of a server whose introduction was between it and its client. */
export const unknownServer: InitializeResult = { protocolVersion: "", capabilities: {}, serverInfo: {} };
