/** A WebSocket client for tests: plain `ws`, one waiting list for answers, one queue for notifications. */
import { once } from "node:events";
import type net from "node:net";
import { WebSocket } from "ws";

export interface Answer {
  id?: unknown;
  result?: unknown;
  error?: { code: number; message: string; data: { code: string } };
  method?: string;
  params?: unknown;
}

export interface SocketOptions {
  token?: string;
  headers?: Record<string, string>;
  protocols?: string[];
  query?: string;
  /** False: pings are the test's to answer. */
  autoPong?: boolean;
}

export class Socket implements AsyncDisposable {
  readonly ws: WebSocket;
  /** Everything that came, in order. */
  readonly heard: Answer[] = [];
  readonly closed: Promise<{ code: number; reason: string }>;
  #nextId = 1;
  #wake = Promise.withResolvers<void>();

  constructor(
    url: string,
    { token, headers = {}, protocols = ["holdfast.v1"], query = "", autoPong = true }: SocketOptions = {},
  ) {
    const bearer = token === undefined ? {} : { authorization: `Bearer ${token}` };
    this.ws = new WebSocket(`${url.replace("http", "ws")}/ws${query}`, protocols, {
      autoPong,
      headers: { ...bearer, ...headers },
    });
    this.ws.on("message", (data: Buffer) => {
      this.heard.push(JSON.parse(data.toString()) as Answer);
      this.#ring();
    });
    this.closed = new Promise((resolve) => {
      this.ws.once("close", (code: number, reason: Buffer) => {
        resolve({ code, reason: reason.toString() });
        this.#ring();
      });
    });
    this.ws.on("error", () => {}); // "close" follows and tells
  }

  static async open(url: string, options: SocketOptions = {}): Promise<Socket> {
    const socket = new Socket(url, options);
    await Promise.race([
      once(socket.ws, "open"),
      socket.closed.then(({ code }) => {
        throw new Error(`closed at once with ${code}`);
      }),
    ]);
    return socket;
  }

  /** The socket below, for what ws does not let one do. */
  get raw(): net.Socket {
    return (this.ws as unknown as { _socket: net.Socket })._socket;
  }

  /** Waits for the first of all that came for which `is` is true. */
  async find(is: (answer: Answer) => boolean): Promise<Answer> {
    for (;;) {
      const found = this.heard.find(is);
      if (found !== undefined) return found;
      if (this.ws.readyState === WebSocket.CLOSED) throw new Error("closed before it came");
      await this.#wake.promise;
    }
  }

  async call(method: string, params: object = {}): Promise<Answer> {
    const id = this.#nextId++;
    this.ws.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
    return this.find((answer) => answer.id === id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.ws.terminate();
    await this.closed;
  }

  #ring(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers<void>();
  }
}
