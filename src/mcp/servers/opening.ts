/** Starts a server with its client's own `initialize`, passed byte for byte in both directions. */
import type { FrontServer } from "../../protocol/keeper/front-config.ts";
import type { Clock } from "../../clock.ts";
import { HoldfastError } from "../../errors.ts";
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
  /** Before the server's answer is sent: stores the handoff state first. */
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
  /** The server is up; runs before its answer is sent. */
  stand: (initialize: InitializeResult) => void;
}

/** Resolves when the server is up. Rejects when it refuses; closes a silent one. The call is always answered. */
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
    // The breaker counts only the calls after this one.
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

/** Stands for the unknown metadata of a pass-through server. */
export const unknownServer: InitializeResult = { protocolVersion: "", capabilities: {}, serverInfo: {} };
