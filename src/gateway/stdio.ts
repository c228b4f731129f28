/**
 * Upgrades a request for `/mcp` to plain lines in both directions for `holdfast mcp`, after the usual access checks.
 */
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { LineDoor } from "../mcp/aggregate/line-door.ts";
import type { Hub } from "../mcp/aggregate/hub.ts";
import { parentOf } from "../mcp/headers.ts";
import { needsRun, type Access } from "./access.ts";
import type { Grant } from "./grants.ts";
import { connectionOf } from "./connections/connection.ts";
import type { Connections } from "./connections/connections.ts";
import { deniedUpgrade, refuseUpgrade, type UpgradeRefusal } from "./websocket/handshake.ts";

export interface StdioParts {
  connections: Connections;
  access: Access;
  hub: Hub;
  door: LineDoor;
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
    const { access, hub } = this.#parts;
    const denied = access.screen(request);
    if (denied !== undefined) return this.#refuse(stream, deniedUpgrade(denied));
    const grant = access.authorize(request);
    if ("status" in grant) return this.#refuse(stream, deniedUpgrade(grant));
    if (!grant.scopes.has("run")) return this.#refuse(stream, deniedUpgrade(needsRun));
    const name = serverOf(request);
    if (name === null || hub.servers.select(name) !== undefined) return this.#join(request, stream, head, grant);
    // It may exist by now. Rejected: the keeper is gone, and this process with it.
    void hub.servers.recheck(name).then(
      () => this.#join(request, stream, head, grant),
      () => {},
    );
  }

  #join(request: IncomingMessage, stream: Duplex, head: Buffer, grant: Grant): void {
    const { hub, door } = this.#parts;
    const name = serverOf(request);
    const selection = name === null ? undefined : hub.servers.select(name);
    if (selection === undefined) {
      const { code, message } = hub.servers.whyNot(name ?? "");
      return this.#refuse(stream, { status: code === "server_down" ? 503 : 404, message });
    }
    const connection = connectionOf(stream as Socket);
    if (connection === undefined || connection.state === "closing" || connection.state === "closed") return;
    connection.open();
    stream.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: holdfast-stdio\r\n\r\n");
    door.join(stream, head, {
      selection,
      parentId: parentOf(request),
      caller: grant,
    });
  }

  #refuse(stream: Duplex, refusal: UpgradeRefusal): void {
    this.#parts.connections.end(stream as Socket, "unauthorized", () => refuseUpgrade(stream, refusal));
  }
}
