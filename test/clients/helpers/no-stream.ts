/**
 * A relay in front of a gateway that refuses the listening stream (GET) and passes all else on. Clients that hold the stream
 * are present for as long as they live; behind this one their session can grow idle. It remembers what was answered.
 */
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";

interface Passed {
  method: string;
  status: number;
  /** Whether the request was of a session that had been opened before. */
  inSession: boolean;
}

export class NoStreamRelay implements AsyncDisposable {
  readonly passed: Passed[] = [];
  readonly #server: http.Server;
  readonly #target: URL;

  private constructor(target: string) {
    this.#target = new URL(target);
    this.#server = http.createServer((request, response) => this.#pass(request, response));
  }

  static async start(target: string): Promise<NoStreamRelay> {
    const relay = new NoStreamRelay(target);
    relay.#server.listen(0, "127.0.0.1");
    await once(relay.#server, "listening");
    return relay;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  #pass(request: http.IncomingMessage, response: http.ServerResponse): void {
    const { method = "", url = "/", headers } = request;
    if (method === "GET") {
      response.writeHead(405).end();
      return;
    }
    const there = new URL(url, this.#target);
    const onward = http.request(
      there,
      { method, headers: { ...headers, host: there.host }, agent: false },
      (answer) => {
        const status = answer.statusCode ?? 0;
        this.passed.push({ method, status, inSession: headers["mcp-session-id"] !== undefined });
        response.writeHead(status, answer.headers);
        answer.pipe(response);
      },
    );
    onward.on("error", () => response.destroy());
    response.on("close", () => onward.destroy());
    request.pipe(onward);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}
