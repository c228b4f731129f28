/** A raw MCP client over streamable HTTP. It hides nothing, because the tests look at sockets, headers and ends. */
import type http from "node:http";
import { createInterface } from "node:readline";
import { text as readText } from "node:stream/consumers";
import { open } from "./http.ts";

/** Not imported: see http.ts. */
const { Agent } = process.getBuiltinModule("node:http");

export interface Answer {
  id?: number | string | null;
  method?: string;
  params?: unknown;
  result?: Record<string, unknown>;
  error?: { code: number; message: string };
}

/** How a call that was left in flight came to its end: `closed` is a connection that ended without an answer, `hang` is no end. */
export interface Outcome {
  kind: "answer" | "error" | "closed" | "http" | "hang";
  detail: string;
  ms: number;
}

export class HttpRefusal extends Error {
  readonly status: number;
  constructor(status: number, text: string) {
    super(`HTTP ${status}: ${text.slice(0, 300)}`);
    this.status = status;
  }
}

export class McpClient {
  readonly url: string;
  sessionId: string | undefined;
  readonly #token: string;
  readonly #more: Record<string, string>;
  readonly #agent: http.Agent;
  #nextId = 1;
  #protocolVersion: string | undefined;

  /** `more`: headers for every request. */
  constructor(url: string, token: string, socketsMax = 64, more: Record<string, string> = {}) {
    this.url = url;
    this.#more = more;
    this.#token = token;
    this.#agent = new Agent({ keepAlive: true, maxSockets: socketsMax });
  }

  #headers(): Record<string, string> {
    return {
      ...this.#more,
      authorization: `Bearer ${this.#token}`,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      ...(this.sessionId === undefined ? {} : { "mcp-session-id": this.sessionId }),
      ...(this.#protocolVersion === undefined ? {} : { "mcp-protocol-version": this.#protocolVersion }),
    };
  }

  /** Sends one message; the response's messages come through `each` until the one that has this id. */
  async #post(message: { id?: number; [key: string]: unknown }, boundMs: number): Promise<Answer | undefined> {
    const body = JSON.stringify({ jsonrpc: "2.0", ...message });
    const response = await open(this.url, {
      method: "POST",
      headers: this.#headers(),
      body,
      agent: this.#agent,
      boundMs,
    });
    const session = response.headers["mcp-session-id"];
    if (typeof session === "string") this.sessionId = session;
    if ((response.statusCode ?? 0) >= 400) {
      throw new HttpRefusal(response.statusCode ?? 0, await readText(response));
    }
    if (response.headers["content-type"]?.startsWith("text/event-stream") !== true) {
      const answered = await readText(response);
      return answered === "" ? undefined : (JSON.parse(answered) as Answer);
    }
    let answer: Answer | undefined;
    for await (const line of createInterface({ input: response })) {
      if (!line.startsWith("data:")) continue;
      const data = line.slice(5).trim();
      if (data === "") continue;
      const heard = JSON.parse(data) as Answer;
      if (heard.id === message.id && heard.method === undefined) answer = heard;
    }
    return answer;
  }

  /** The whole answer, errors included. Throws when the connection ends without one. */
  async request(method: string, params: unknown = {}, boundMs = 15_000): Promise<Answer> {
    const answer = await this.#post({ id: this.#nextId++, method, params }, boundMs);
    if (answer === undefined) throw new Error(`the response to ${method} ended without an answer`);
    return answer;
  }

  async notify(method: string, params: unknown = {}): Promise<void> {
    await this.#post({ method, params }, 15_000);
  }

  async initialize(protocolVersion = "2025-06-18"): Promise<Answer> {
    const clientInfo = { name: "holdfast-test", version: "1.0.0" };
    const answer = await this.request("initialize", { protocolVersion, capabilities: {}, clientInfo }, 30_000);
    if (answer.error !== undefined) throw new Error(`initialize: ${answer.error.message}`);
    this.#protocolVersion = String(answer.result?.["protocolVersion"]);
    await this.notify("notifications/initialized");
    return answer;
  }

  async call(name: string, given: Record<string, unknown> = {}, boundMs = 15_000): Promise<Answer> {
    return this.request("tools/call", { name, arguments: given }, boundMs);
  }

  /** A call that is expected not to be answered while all is well; the promise tells how it ended and never rejects. */
  async callAndHang(name: string, given: Record<string, unknown> = {}, boundMs = 30_000): Promise<Outcome> {
    const began = performance.now();
    const took = () => Math.round(performance.now() - began);
    try {
      const answer = await this.call(name, given, boundMs);
      if (answer.error !== undefined) return { kind: "error", detail: answer.error.message, ms: took() };
      return { kind: "answer", detail: JSON.stringify(answer.result), ms: took() };
    } catch (thrown) {
      const kind = took() >= boundMs ? "hang" : "closed";
      return { kind: thrown instanceof HttpRefusal ? "http" : kind, detail: String(thrown), ms: took() };
    }
  }

  /** DELETE of the session; returns the HTTP status. */
  async delete(): Promise<number> {
    const given = { method: "DELETE", headers: this.#headers(), agent: this.#agent, boundMs: 30_000 };
    const response = await open(this.url, given);
    response.resume();
    return response.statusCode ?? 0;
  }

  /** Opens the stream on which the server may speak; until it is disposed of, the client is present. */
  async listen(): Promise<Disposable> {
    const response = await open(this.url, { headers: this.#headers() });
    if (response.statusCode !== 200) throw new HttpRefusal(response.statusCode ?? 0, "no stream");
    response.on("error", () => {}).resume();
    return { [Symbol.dispose]: () => void response.destroy() };
  }

  /** The client is gone: its sockets close, and it never says so in words. */
  vanish(): void {
    this.#agent.destroy();
  }

  [Symbol.dispose](): void {
    this.vanish();
  }
}
