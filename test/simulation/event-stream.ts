/** Clients that stay on the line: event streams of a session, and the WebSocket. */
import { request, type ClientRequest } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocket } from "ws";
import type { TimerOwner } from "../../src/platform/simulated/simulation.ts";
import type { World } from "./world.ts";

export interface Message {
  readonly id?: number | string;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly code: number; readonly message: string; readonly data?: { readonly code?: string } };
}

const client: TimerOwner = { isAlive: true, isStopped: false };

/** A request whose answer may be a stream; its messages are there as they arrive. */
export class Streamed {
  readonly messages: Message[] = [];
  status = 0;
  isOver = false;
  readonly #request: ClientRequest;
  #rest = "";
  #isStream = false;

  constructor(world: World, method: "GET" | "POST", path: string, headers: Record<string, string>, body?: object) {
    const { socket } = world.network.connect(world.site.port, client);
    socket.on("error", () => {});
    const host = `127.0.0.1:${world.site.port}`;
    this.#request = request({
      createConnection: () => socket,
      host,
      method,
      path,
      headers: {
        authorization: `Bearer ${world.site.token}`,
        accept: method === "GET" ? "text/event-stream" : "application/json, text/event-stream",
        "content-type": "application/json",
        host,
        connection: "close",
        ...headers,
      },
    });
    const over = () => (this.isOver = true);
    this.#request.once("error", over);
    this.#request.once("response", (response) => {
      this.status = response.statusCode ?? 0;
      this.#isStream = response.headers["content-type"]?.startsWith("text/event-stream") === true;
      response.on("data", (chunk: Buffer) => this.#take(String(chunk)));
      response.once("error", over);
      response.once("close", over);
    });
    this.#request.end(body === undefined ? undefined : JSON.stringify(body));
  }

  close(): void {
    this.#request.destroy();
  }

  #take(chunk: string): void {
    this.#rest += chunk;
    if (!this.#isStream) {
      try {
        this.messages.push(JSON.parse(this.#rest) as Message);
        this.#rest = "";
      } catch {
        // not whole yet
      }
      return;
    }
    const events = this.#rest.split("\n\n");
    this.#rest = events.pop() ?? "";
    for (const event of events) {
      const data = event.split("\n").find((line) => line.startsWith("data:"));
      if (data !== undefined && data.trim() !== "data:") this.messages.push(JSON.parse(data.slice(5)) as Message);
    }
  }
}

/** A connection to `/ws`. */
export class Line {
  readonly notices: Message[] = [];
  isOpen = false;
  closed: { code: number; reason: string } | undefined;
  readonly #socket: WebSocket;
  readonly #answers = new Map<number, (message: Message) => void>();
  #last = 0;

  constructor(world: World, token = world.site.token) {
    const { socket } = world.network.connect(world.site.port, client);
    socket.on("error", () => {});
    this.#socket = new WebSocket(`ws://127.0.0.1:${world.site.port}/ws`, ["holdfast.v1"], {
      createConnection: () => socket as unknown as Duplex & { setNoDelay(): unknown },
      headers: { authorization: `Bearer ${token}` },
    });
    this.#socket.on("error", () => {});
    this.#socket.on("open", () => (this.isOpen = true));
    this.#socket.on("close", (code, reason) => (this.closed = { code, reason: String(reason) }));
    this.#socket.on("message", (data: Buffer) => {
      const message = JSON.parse(data.toString()) as Message;
      const answer = this.#answers.get(Number(message.id));
      if (message.method === undefined && answer !== undefined) answer(message);
      else this.notices.push(message);
    });
  }

  send(method: string, params: object = {}): Promise<Message> {
    const id = ++this.#last;
    this.#socket.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
    return new Promise((resolve) => this.#answers.set(id, resolve));
  }

  end(): void {
    this.#socket.terminate();
  }
}
