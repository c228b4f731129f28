/** A gateway with the holes of its kind, one beside the other: an attack that does not reach it proves nothing about ours. */
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";

/** Wrong tokens from one address after which that address is shut out, whatever it sends. */
const lockoutAfter = 20;

export class NaiveServer implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), "holdfast-naive-"));
  readonly log = join(this.directory, "log");
  readonly #server: Server;
  readonly #tokens: Set<string>;
  readonly #failures = new Map<string, number>();

  private constructor(token: string) {
    this.#tokens = new Set([token]);
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  static async start(token: string): Promise<NaiveServer> {
    const naive = new NaiveServer(token);
    naive.#server.listen(0, "127.0.0.1");
    await once(naive.#server, "listening");
    return naive;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get logged(): string {
    return readFileSync(this.log, "utf8");
  }

  /** Forgets the token, and nothing else. */
  revoke(token: string): void {
    this.#tokens.delete(token);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, "close");
    rmSync(this.directory, { recursive: true, force: true });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    appendFileSync(this.log, `${request.method} ${request.url}\n`);
    const address = request.socket.remoteAddress ?? "";
    const body = await text(request);
    const isLockedOut = (this.#failures.get(address) ?? 0) >= lockoutAfter;
    const mayPass = !isLockedOut && this.#mayPass(request, body);
    if (!mayPass) this.#failures.set(address, (this.#failures.get(address) ?? 0) + 1);
    response.writeHead(isLockedOut ? 429 : mayPass ? 200 : 401, { "content-type": "text/event-stream" });
    if (mayPass && request.method === "GET") response.write(": a stream that nobody ends\n\n");
    else response.end(mayPass ? '{"jsonrpc":"2.0","id":1,"result":null}' : "");
  }

  #mayPass(request: IncomingMessage, body: string): boolean {
    const { headers } = request;
    const fromUrl = new URL(request.url ?? "/", "http://x").searchParams.get("token");
    if (fromUrl !== null && this.#tokens.has(fromUrl)) return true;
    // "It comes from this machine", as whoever sends it says.
    if (headers["x-forwarded-for"] === "127.0.0.1" || headers["x-holdfast-scopes"] !== undefined) return true;
    // A cookie that the browser sends along, whatever page asks.
    if (headers.cookie?.includes("session=1") === true) return true;
    const given = (parse(body)["params"] as { token?: unknown } | undefined)?.token;
    // Loose comparison: a list of one string is that string.
    // oxlint-disable-next-line eqeqeq
    if (given !== undefined && [...this.#tokens].some((token) => (given as string) == token || given === true))
      return true;
    const bearer = headers.authorization?.replace(/^Bearer ?/, "");
    return bearer !== undefined && (this.#tokens.has(bearer) || bearer === "" || bearer === "undefined");
  }
}

function parse(body: string): Record<string, unknown> {
  try {
    return JSON.parse(body) as Record<string, unknown>;
  } catch {
    return {};
  }
}
