/** Every TCP connection from accept to release: counted, bounded, and ended within a bounded time at shutdown. */
import { readFileSync } from "node:fs";
import type { Server } from "node:http";
import type { Socket } from "node:net";

/** Connections at one time, where the system does not set a lower limit. */
const connectionsMaxDefault = 10_000;
/** Share of the descriptor limit at which new work is refused: at the limit itself accept fails without a word. */
const descriptorShare = 0.8;

export class Connections {
  /** Above this, requests are answered 503. */
  readonly softMax: number;
  readonly #sockets = new Set<Socket>();
  #onEmpty: (() => void) | undefined;

  constructor(descriptors = descriptorLimit()) {
    this.softMax = Math.min(connectionsMaxDefault, Math.floor(descriptors * descriptorShare));
  }

  get size(): number {
    return this.#sockets.size;
  }

  get crowded(): boolean {
    return this.#sockets.size > this.softMax;
  }

  watch(server: Server): void {
    // A little room above, so that most of those who come too many hear a 503 instead of a closed door.
    server.maxConnections = this.softMax + Math.ceil(this.softMax / 16);
    server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => {
        this.#sockets.delete(socket);
        if (this.#sockets.size === 0) this.#onEmpty?.();
      });
    });
  }

  /** Resolves when none is left. Those that stay are reset after `boundMs`: an orderly end would wait for the other side. */
  drained(boundMs: number): Promise<void> {
    if (this.#sockets.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        for (const socket of this.#sockets) socket.resetAndDestroy();
      }, boundMs);
      this.#onEmpty = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** Open files that this process may have. */
function descriptorLimit(): number {
  try {
    const limit = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1"))?.[1];
    return limit === undefined ? connectionsMaxDefault : Number(limit);
  } catch {
    return connectionsMaxDefault; // no procfs on this system
  }
}
