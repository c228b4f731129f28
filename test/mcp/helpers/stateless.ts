/** Speaks revision 2026-07-28 by hand: one POST per request, with everything that it must say of itself. */

import { open } from "../../helpers/http.ts";
import { token } from "../../gateway/helpers/fake-keeper.ts";
import { Events, Talk, type Answer, type Message } from "./talk.ts";

const boundMs = 15_000;
const prefix = "io.modelcontextprotocol/";

export interface Saying {
  name?: string;
  capabilities?: object;
  scope?: string;
  bearer?: string;
}

/** What a result of a question carries. */
export interface InputRequired {
  resultType: string;
  inputRequests: Record<string, { method: string; params?: Record<string, unknown> }>;
  requestState: string;
}

export class StatelessTalk {
  readonly #talk: Talk;
  readonly #saying: Saying;
  #nextId = 1;

  constructor(url: string, saying: Saying = {}) {
    this.#talk = new Talk(url, saying.bearer ?? token);
    this.#saying = saying;
  }

  message(method: string, params: object = {}, meta: object = {}): { id: number; method: string; params: object } {
    const { name = "hand", capabilities = {} } = this.#saying;
    const _meta = {
      [`${prefix}protocolVersion`]: "2026-07-28",
      [`${prefix}clientInfo`]: { name, version: "1" },
      [`${prefix}clientCapabilities`]: capabilities,
      ...meta,
    };
    return { id: this.#nextId++, method, params: { ...params, _meta } };
  }

  headers(method: string, params: { name?: string; uri?: string } = {}): Record<string, string> {
    const name = params.name ?? params.uri;
    const { scope } = this.#saying;
    return {
      "mcp-protocol-version": "2026-07-28",
      "mcp-method": method,
      ...(name === undefined ? {} : { "mcp-name": name }),
      ...(scope === undefined ? {} : { "x-holdfast-scope": scope }),
    };
  }

  async request(method: string, params: object = {}, meta: object = {}): Promise<Answer & { message: Message }> {
    const body = { jsonrpc: "2.0", ...this.message(method, params, meta) };
    const answer = await this.#talk.post(body, this.headers(method, params));
    return { ...answer, message: answer.messages.find((each) => each.method === undefined) ?? { jsonrpc: "2.0" } };
  }

  /** Anything at all, with headers of the caller's choice. */
  post(message: unknown, headers: Record<string, string>): Promise<Answer> {
    return this.#talk.post(message, headers);
  }

  /** The same with the response in hand while it comes. */
  async stream(method: string, params: object = {}, meta: object = {}): Promise<Events> {
    const body = JSON.stringify({ jsonrpc: "2.0", ...this.message(method, params, meta) });
    const headers = this.#talk.headers(this.headers(method, params));
    return new Events(await open(this.#talk.url, { method: "POST", headers, body, boundMs }));
  }

  /** A call that may never be answered: what came, if anything, when its response is over. */
  async begin(name: string, given: object): Promise<{ answer: Promise<Message>; leave: () => void }> {
    const params = { name, arguments: given };
    const body = JSON.stringify({ jsonrpc: "2.0", ...this.message("tools/call", params) });
    const headers = this.#talk.headers(this.headers("tools/call", params));
    const gone = new AbortController();
    const response = fetch(this.#talk.url, { method: "POST", headers, body, signal: gone.signal });
    const answer = response.then(async (given_) => JSON.parse(await given_.text()) as Message);
    answer.catch(() => {}); // whoever left does not wait
    return { answer, leave: () => gone.abort() };
  }

  async call(name: string, given: object = {}, more: object = {}): Promise<Message> {
    return (await this.request("tools/call", { name, arguments: given, ...more })).message;
  }

  async text(name: string, given: object = {}): Promise<string> {
    return textIn(await this.call(name, given));
  }
}

/** The one text of a tool's answer, or the words of the error. */
export function textIn({ result, error }: Message): string {
  if (error !== undefined) return `error: ${error.message}`;
  return (result?.["content"] as { text: string }[] | undefined)?.[0]?.text ?? JSON.stringify(result);
}

export function asked({ result }: Message): InputRequired {
  return result as unknown as InputRequired;
}
