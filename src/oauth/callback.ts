/** The loopback listener for one login: it accepts one answer, and only with the login's state. */
import { createHash, timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { systemClock } from "../clock.ts";
import { HoldfastError } from "../errors.ts";
import { plainCode } from "./plain-code.ts";

const http = process.getBuiltinModule("node:http");

const host = "127.0.0.1";
const path = "/callback";
/** Most requests per login. */
const requestsMax = 100;

export interface Answer {
  code: string;
  /** RFC 9207: the issuer of the code. */
  iss: string | undefined;
}

const page = (text: string) =>
  `<!doctype html><meta charset="utf-8"><title>Holdfast</title><p style="font: 1.1em sans-serif; margin: 3em">${text}</p>\n`;

export class Callback implements AsyncDisposable {
  readonly #server: InstanceType<typeof http.Server>;
  readonly #answer = Promise.withResolvers<Answer>();
  #state: string | undefined;
  #requests = 0;

  /** Port 0 = any. Rejects with `port_in_use`. */
  static async listen(port: number): Promise<Callback> {
    const callback = new Callback();
    const server = callback.#server;
    try {
      server.listen(port, host);
      await once(server, "listening");
    } catch (cause) {
      throw new HoldfastError("port_in_use", `port ${port} for the browser's answer is taken; oauth.redirectPort`, {
        cause,
      });
    }
    return callback;
  }

  private constructor() {
    this.#server = http.createServer(
      { headersTimeout: 5000, requestTimeout: 5000, keepAlive: false },
      (request, response) => {
        const [status, text] = this.#take(request.method, request.headers.host, request.url ?? "");
        response.writeHead(status, {
          "content-type": "text/html; charset=utf-8",
          "cache-control": "no-store",
          connection: "close",
        });
        response.end(page(text));
      },
    );
    this.#answer.promise.catch(() => {}); // reported to the waiting login
  }

  get url(): string {
    return `http://${host}:${this.#port}${path}`;
  }

  get #port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /**
   * Resolves with the first answer that has the state; others change nothing. Rejects with `login_failed` on a refusal,
   * or after `boundMs`.
   */
  async wait(state: string, boundMs: number): Promise<Answer> {
    this.#state = state;
    const timer = systemClock.after(boundMs, () => {
      const message = `the browser did not come back within ${Math.round(boundMs / 1000)} s; --timeout waits longer`;
      this.#answer.reject(new HoldfastError("login_failed", message));
    });
    try {
      return await this.#answer.promise;
    } finally {
      timer.clear();
    }
  }

  #take(method: string | undefined, given: string | undefined, target: string): [number, string] {
    if (++this.#requests > requestsMax) return [429, "Too many requests."];
    // DNS rebinding: a page elsewhere whose name points here.
    if (given !== `${host}:${this.#port}`) return [403, "Not for this host."];
    const url = URL.parse(target, this.url);
    if (method !== "GET" || url?.pathname !== path) return [404, "Not found."];
    const { searchParams } = url;
    if (!this.#isOurs(searchParams)) return [400, "This answer does not belong to a login in progress here."];
    const code = searchParams.get("code");
    if (searchParams.has("error") || code === null) {
      this.#answer.reject(
        new HoldfastError("login_failed", `the authorization server refused${reasonOf(searchParams)}`),
      );
      return [200, "The login was refused. You can close this page."];
    }
    this.#answer.resolve({ code, iss: searchParams.get("iss") ?? undefined });
    return [200, "The answer was received; the terminal shows the result. You can close this page."];
  }

  #isOurs(parameters: URLSearchParams): boolean {
    const [given, ...more] = parameters.getAll("state");
    if (given === undefined || more.length > 0 || this.#state === undefined) return false;
    const digest = (text: string) => createHash("sha256").update(text).digest();
    return timingSafeEqual(digest(given), digest(this.#state));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

function reasonOf(parameters: URLSearchParams): string {
  const error = parameters.get("error");
  return error === null ? "" : ` (${plainCode(error)})`;
}
