/** A gateway as one writes it first, with the holes that such gateways had: what the attacks of the tests get into. */
import { once } from "node:events";
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { WebSocketServer, type WebSocket } from "ws";

/** As many connections as it takes: whoever holds them all holds everybody else out. */
const connectionsMax = 30;

export class NaiveGateway implements AsyncDisposable {
  readonly token = "naive-token-0123456789";
  /** Calls that were carried out. */
  executed = 0;
  /** Errors that nobody caught: each would have ended the process. */
  crashes = 0;
  readonly #server = http.createServer((request, response) => void this.#request(request, response));
  readonly #sockets = new WebSocketServer({ server: this.#server, path: "/ws" });

  static async start(): Promise<NaiveGateway> {
    const naive = new NaiveGateway();
    naive.#server.maxConnections = connectionsMax;
    naive.#sockets.on("connection", (ws, request) => naive.#connection(ws, request));
    naive.#server.listen(0, "127.0.0.1");
    await once(naive.#server, "listening");
    return naive;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#sockets.clients) client.terminate();
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, "close");
  }

  #connection(ws: WebSocket, request: IncomingMessage): void {
    const { origin } = request.headers;
    // By its beginning, and what has none is no browser; the Host is not looked at.
    if (origin !== undefined && origin !== "null" && !/^https?:\/\/(localhost|127\.)/.test(origin))
      return ws.close(1008);
    const { searchParams } = new URL(request.url ?? "", this.url);
    let isKnown = searchParams.get("token") === this.token || request.headers.authorization === `Bearer ${this.token}`;
    ws.on("error", () => {});
    ws.on("message", (data: Buffer) => {
      const { id, method, params } = JSON.parse(data.toString()) as { id: number; method: string; params?: never };
      if (method === "auth") {
        // The look takes a moment, and what comes meanwhile waits for nothing.
        void this.#admits(params).then((admitted) => {
          isKnown ||= admitted;
          ws.send(JSON.stringify({ jsonrpc: "2.0", id, ...(admitted ? { result: {} } : { error: { code: 1 } }) }));
          return admitted ? undefined : ws.close(1008);
        });
        isKnown = true;
        return;
      }
      if (!isKnown) return ws.close(1008);
      this.executed++;
      ws.send(JSON.stringify({ jsonrpc: "2.0", id, result: null }));
    });
  }

  async #admits(params: { token?: unknown } | undefined): Promise<boolean> {
    await new Promise(setImmediate);
    try {
      // There is one, and it is as long as ours.
      return Buffer.from(params?.token as string).length === this.token.length;
    } catch {
      this.crashes++;
      return false;
    }
  }

  async #request(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // From this machine: one of us. Whatever it calls itself.
    const { method } = JSON.parse(await text(request)) as { method: string };
    if (method === "gateway.stop") this.executed++;
    response.end("{}");
  }
}
