/** Speaks streamable HTTP by hand, one header and one byte at a time, for what no SDK would send. */
import type { IncomingMessage } from "node:http";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { exchange, open, type Reply } from "../../helpers/http.ts";
import { until } from "../../helpers/until.ts";
import { FakeKeeper, token, type FakeOptions } from "../../gateway/helpers/fake-keeper.ts";
import type { Step } from "./scripted-server.ts";

export interface Message {
  jsonrpc: "2.0";
  id?: string | number | null;
  method?: string;
  params?: Record<string, unknown>;
  result?: Record<string, unknown>;
  error?: { code: number; message: string; data?: { code: string } };
}

export interface Answer extends Reply {
  messages: Message[];
}

const boundMs = 15_000;

/** Messages of a response, in whichever of its two forms. */
function messagesOf(text: string, type: string | undefined): Message[] {
  if (text === "") return [];
  if (type?.startsWith("text/event-stream") !== true) return [JSON.parse(text) as Message];
  return text
    .split("\n")
    .filter((line) => line.startsWith("data: "))
    .map((line) => JSON.parse(line.slice(6)) as Message);
}

/** An open stream of events, read one by one. */
export class Events implements Disposable {
  readonly response: IncomingMessage;
  readonly #lines: AsyncIterator<string>;

  constructor(response: IncomingMessage) {
    this.response = response;
    this.#lines = createInterface({ input: response })[Symbol.asyncIterator]();
  }

  /** The next message; undefined when the stream ended. */
  async next(): Promise<Message | undefined> {
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done === true) return undefined;
      if (value.startsWith("data: ")) return JSON.parse(value.slice(6)) as Message;
    }
  }

  [Symbol.dispose](): void {
    this.response.destroy();
  }
}

export class Talk {
  readonly url: string;
  readonly #token: string;
  session: string | undefined;
  #nextId = 1;

  constructor(url: string, bearer = token) {
    this.url = url;
    this.#token = bearer;
  }

  headers(more: Record<string, string> = {}): Record<string, string> {
    return {
      authorization: `Bearer ${this.#token}`,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      ...(this.session === undefined ? {} : { "mcp-session-id": this.session }),
      ...more,
    };
  }

  async post(message: unknown, more: Record<string, string> = {}): Promise<Answer> {
    const body = typeof message === "string" ? message : JSON.stringify(message);
    const reply = await exchange(this.url, { method: "POST", headers: this.headers(more), body, boundMs });
    return { ...reply, messages: messagesOf(reply.text, reply.headers["content-type"]) };
  }

  /** Begins a session and keeps its id. */
  async initialize(protocolVersion = "2025-11-25", client = { name: "talk", version: "1" }): Promise<Answer> {
    const params = { protocolVersion, capabilities: {}, clientInfo: client };
    const answer = await this.post({ jsonrpc: "2.0", id: "first", method: "initialize", params });
    this.session = answer.headers["mcp-session-id"] as string | undefined;
    return answer;
  }

  request(method: string, params: object = {}, id: unknown = this.#nextId++): Promise<Answer> {
    return this.post({ jsonrpc: "2.0", id, method, params });
  }

  notify(method: string, params: object = {}): Promise<Answer> {
    return this.post({ jsonrpc: "2.0", method, params });
  }

  /** Has the scripted server do these steps for one request. */
  steps(steps: Step[], meta: object = {}, id: unknown = this.#nextId++): Promise<Answer> {
    return this.request("do", { steps, _meta: meta }, id);
  }

  /** The same with the response in hand while it comes. */
  async stepsOpen(steps: Step[], meta: object = {}, id: unknown = this.#nextId++): Promise<Events> {
    const body = JSON.stringify({ jsonrpc: "2.0", id, method: "do", params: { steps, _meta: meta } });
    return new Events(await open(this.url, { method: "POST", headers: this.headers(), body, boundMs }));
  }

  /** Every line that the scripted server received, parsed, the last request for this list left out. */
  async heard(): Promise<Message[]> {
    const [answer] = (await this.request("heard")).messages;
    const lines = answer?.result?.["lines"] as string[];
    return lines.slice(0, -1).map((line) => JSON.parse(line) as Message);
  }

  async listen(): Promise<Events> {
    return new Events(await open(this.url, { headers: this.headers(), boundMs }));
  }

  delete(): Promise<Reply> {
    return exchange(this.url, { method: "DELETE", headers: this.headers(), boundMs });
  }
}

export const scripted = fileURLToPath(new URL("scripted-server.ts", import.meta.url));

/** A front with a scripted server named `s`, and a session on it. */
export async function startTalk(
  options: FakeOptions & { version?: string; begin?: boolean } = {},
): Promise<{ keeper: FakeKeeper; talk: Talk }> {
  const { version, begin = true, ...rest } = options;
  const args = version === undefined ? [scripted] : [scripted, version];
  const keeper = await FakeKeeper.start({ servers: { s: { command: process.execPath, args } }, ...rest });
  const talk = new Talk(`${keeper.url}/mcp/s`);
  try {
    if (begin) await talk.initialize();
    return { keeper, talk };
  } catch (error) {
    await keeper[Symbol.asyncDispose]();
    throw error;
  }
}

/** Two calls stay in flight while `action` runs, so that nothing the server says besides may ride on one of them. */
export async function withTwoInFlight(talk: Talk, action: () => Promise<void>): Promise<void> {
  const held = [1, 2].map(() => talk.steps([{ hear: ["method", "go"] }, { answer: "held" }]));
  await until(
    "two calls in flight",
    async () => (await talk.heard()).filter((one) => one.method === "do").length === 2,
    { boundMs: 5000 },
  );
  await action();
  await talk.notify("go");
  await Promise.all(held);
}
