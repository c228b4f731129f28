/** A relay that adds the bearer token, for clients that cannot be given one. It changes nothing else. */
import { once } from "node:events";
import type http from "node:http";
import type { AddressInfo } from "node:net";

/** Not imported: see http.ts. */
const { createServer, request: requestOnward } = process.getBuiltinModule("node:http");

export class TokenRelay implements AsyncDisposable {
  readonly #server: http.Server;

  private constructor(server: http.Server) {
    this.#server = server;
  }

  static async start(target: string, token: string): Promise<TokenRelay> {
    const server = createServer((request, response) => {
      const there = new URL(request.url ?? "/", target);
      const headers = { ...request.headers, host: there.host, authorization: `Bearer ${token}` };
      const options = { method: request.method ?? "GET", headers, agent: false };
      const onward = requestOnward(there, options, (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        response.flushHeaders();
        answer.pipe(response);
      });
      onward.on("error", () => response.destroy());
      response.on("close", () => onward.destroy());
      request.pipe(onward);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new TokenRelay(server);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}
