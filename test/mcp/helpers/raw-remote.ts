/** A remote server over bare TCP, for what no HTTP library would send: each request is answered byte by byte by the test. */
import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";

export interface RawRequest {
  /** `POST`, `GET`, `DELETE`. */
  verb: string;
  path: string;
  /** As they came, in lower case. */
  head: string;
  message: { id?: number; method?: string; params?: { name?: string; requestId?: number } };
  socket: Socket;
  /** Answers in order: a whole response of this status. */
  reply: (status: number, type: string, body: string, more?: string) => void;
  /** Writes until the other side hangs up, never more than it reads. */
  flood: (piece: string | Buffer) => void;
}

export class RawRemote implements AsyncDisposable {
  readonly heard: RawRequest[] = [];
  /** Bytes that were taken by the other side, or wait in the system. */
  sentBytes = 0;
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((socket) => this.#serve(socket));
  readonly #answer: (request: RawRequest) => void;

  private constructor(answer: (request: RawRequest) => void) {
    this.#answer = answer;
  }

  static async start(answer: (request: RawRequest) => void): Promise<RawRemote> {
    const remote = new RawRemote(answer);
    remote.#server.listen(0, "127.0.0.1");
    await once(remote.#server, "listening");
    return remote;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get url(): string {
    return `${this.origin}/mcp`;
  }

  /** Connections that are open. */
  get open(): number {
    return this.#sockets.size;
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => {}); // "close" follows
    socket.once("close", () => this.#sockets.delete(socket));
    let text = "";
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
      for (;;) {
        const end = text.indexOf("\r\n\r\n");
        if (end === -1) return;
        const head = text.slice(0, end).toLowerCase();
        const length = Number(/content-length: (\d+)/.exec(head)?.[1] ?? 0);
        if (text.length < end + 4 + length) return;
        const body = text.slice(end + 4, end + 4 + length);
        const [verb = "", path = ""] = text.split(" ", 2);
        text = text.slice(end + 4 + length);
        const request: RawRequest = {
          verb,
          path,
          head,
          message: (body === "" ? {} : JSON.parse(body)) as RawRequest["message"],
          socket,
          reply: (status, type, answer, more = "") =>
            void socket.write(
              `HTTP/1.1 ${status} Said\r\ncontent-type: ${type}\r\n${more}content-length: ${Buffer.byteLength(answer)}\r\n\r\n${answer}`,
            ),
          flood: (piece) => this.#flood(socket, Buffer.from(piece)),
        };
        this.heard.push(request);
        this.#answer(request);
      }
    });
  }

  #flood(socket: Socket, piece: Buffer): void {
    const go = () => {
      while (!socket.destroyed) {
        this.sentBytes += piece.length;
        if (socket.write(piece)) continue;
        socket.once("drain", go);
        return;
      }
    };
    go();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}

const initialized = {
  protocolVersion: "2025-06-18",
  capabilities: { tools: {} },
  serverInfo: { name: "raw", version: "1" },
};
const tools = [{ name: "plain", inputSchema: { type: "object" } }];

/** Answers what every server must; the rest is the caller's. */
export function behaved(request: RawRequest, rest: (request: RawRequest) => void): void {
  const { verb, message, reply } = request;
  const answer = (result: object) =>
    reply(
      200,
      "application/json",
      JSON.stringify({ jsonrpc: "2.0", id: message.id, result }),
      "mcp-session-id: s1\r\n",
    );
  if (verb === "DELETE") return reply(204, "text/plain", "");
  if (verb === "GET") return rest(request);
  if (message.method === "initialize") return answer(initialized);
  if (message.method === "tools/list") return answer({ tools });
  if (message.method === "tools/call" && message.params?.name === "plain")
    return answer({ content: [{ type: "text", text: "plain" }] });
  if (message.method === "notifications/initialized") return reply(202, "text/plain", "");
  rest(request);
}
