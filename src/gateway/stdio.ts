/**
 * Upgrades a request for `/mcp` to plain lines in both directions for `holdfast mcp`, after the usual access checks.
 */
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { LineEndpoint } from "../mcp/stdio/line-endpoint.ts";
import type { SessionManager } from "../mcp/session/session-manager.ts";
import { parentOf } from "../mcp/wire/headers.ts";
import { needsRun, type Access } from "./access.ts";
import type { Grant } from "./grants.ts";
import { connectionOf } from "./connections/connection.ts";
import type { Connections } from "./connections/connections.ts";
import { deniedUpgrade, refuseUpgrade, type UpgradeRefusal } from "./websocket/handshake.ts";

export interface StdioParts {
  connections: Connections;
  access: Access;
  manager: SessionManager;
  endpoint: LineEndpoint;
}

/** All servers or one; trailing slashes are accepted. */
export const mcpPath = /^\/mcp(?:\/([A-Za-z0-9_-]{1,64}))?\/?$/;

export function isStdioUpgrade(request: IncomingMessage): boolean {
  return request.headers.upgrade?.toLowerCase() === "holdfast-stdio" && serverOf(request) !== null;
}

/** The path's server; undefined for all, null for another path. */
function serverOf({ url = "" }: IncomingMessage): string | undefined | null {
  const query = url.indexOf("?");
  const match = mcpPath.exec(query === -1 ? url : url.slice(0, query));
  return match === null ? null : match[1];
}

export class StdioEndpoint {
  readonly #parts: StdioParts;

  constructor(parts: StdioParts) {
    this.#parts = parts;
  }

  upgrade(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    const { access, manager } = this.#parts;
    const denied = access.screen(request);
    if (denied !== undefined) return this.#refuse(stream, deniedUpgrade(denied));
    const grant = access.authorize(request);
    if ("status" in grant) return this.#refuse(stream, deniedUpgrade(grant));
    if (!grant.scopes.has("run")) return this.#refuse(stream, deniedUpgrade(needsRun));
    const name = serverOf(request);
    if (name === null || manager.servers.select(name) !== undefined) return this.#join(request, stream, head, grant);
    // It may exist by now. Rejected: the keeper is gone, and this process with it.
    void manager.servers.recheck(name).then(
      () => this.#join(request, stream, head, grant),
      () => {},
    );
  }

  #join(request: IncomingMessage, stream: Duplex, head: Buffer, grant: Grant): void {
    const { manager, endpoint } = this.#parts;
    const name = serverOf(request);
    const selection = name === null ? undefined : manager.servers.select(name);
    if (selection === undefined) {
      const { code, message } = manager.servers.whyNot(name ?? "");
      return this.#refuse(stream, { status: code === "server_down" ? 503 : 404, message });
    }
    const connection = connectionOf(stream as Socket);
    if (connection === undefined || connection.state === "closing" || connection.state === "closed") return;
    connection.open();
    stream.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: holdfast-stdio\r\n\r\n");
    endpoint.join(stream, head, {
      selection,
      parentId: parentOf(request),
      caller: grant,
    });
  }

  #refuse(stream: Duplex, refusal: UpgradeRefusal): void {
    this.#parts.connections.end(stream as Socket, "unauthorized", () => refuseUpgrade(stream, refusal));
  }
}
