/** A client of one session, as scenes use it, and servers for it that do what servers may. */
import { must, open } from "./acts.ts";
import { Streamed, type Message } from "./event-stream.ts";
import type { World } from "./world.ts";

export const richConfig = {
  mcpServers: {
    a: { command: "rich-mcp", args: ["a"] },
    b: { command: "rich-mcp", args: ["b"] },
    shared: { command: "rich-mcp", args: ["s"], share: "pool" },
  },
};

/** A client of one session. */
export class Talk {
  readonly #world: World;
  readonly path: string;
  readonly id: string;
  #last = 100;

  constructor(world: World, path: string, id: string) {
    this.#world = world;
    this.path = path;
    this.id = id;
  }

  static async begin(world: World, path: string): Promise<Talk> {
    const id = await open(world, path);
    must(id !== "", `no session on ${path}`);
    const talk = new Talk(world, path, id);
    await talk.tell({ method: "notifications/initialized" });
    return talk;
  }

  get #headers() {
    return { "mcp-session-id": this.id };
  }

  listen(): Streamed {
    return new Streamed(this.#world, "GET", this.path, this.#headers);
  }

  request(method: string, params: object = {}): Streamed & { readonly id: number } {
    const id = ++this.#last;
    const body = { jsonrpc: "2.0", id, method, params };
    return Object.assign(new Streamed(this.#world, "POST", this.path, this.#headers, body), { id });
  }

  call(name: string, given: object = {}, more: object = {}): Streamed & { readonly id: number } {
    return this.request("tools/call", { name, arguments: given, ...more });
  }

  /** Sends what is no request; resolves with the status. */
  async tell(message: object): Promise<number> {
    const body = { jsonrpc: "2.0", ...message };
    const { answer } = this.#world.client().send("POST", this.path, body, this.#headers);
    return (await answer).status;
  }

  /** The one answer; everything else that came before it is in `before`. */
  async answered(asked: Streamed & { readonly id: number }, boundMs = 5000) {
    await this.#world.until("an answer has come", () => asked.isOver, boundMs);
    const answers = asked.messages.filter(({ id, method }) => id === asked.id && method === undefined);
    must(answers.length === 1, `${answers.length} answers: ${JSON.stringify(asked.messages)}`);
    must(asked.messages.at(-1) === answers[0], "something follows the answer");
    return { answer: answers[0]!, before: asked.messages.slice(0, -1) };
  }

  async ask(method: string, params: object = {}): Promise<Message> {
    return (await this.answered(this.request(method, params))).answer;
  }

  async text(name: string, given: object = {}): Promise<string> {
    return textOf((await this.answered(this.call(name, given))).answer);
  }
}

export function textOf({ result, error }: Message): string {
  const [first] = (result?.["content"] ?? []) as { text?: string }[];
  return first?.text ?? JSON.stringify(error ?? result);
}

export const methodsOf = (messages: readonly Message[]) => messages.map(({ method }) => method).join(", ");

interface Heard {
  heard: string[];
  /** Questions that were answered, and how. */
  settled: string[];
  level: string;
  subscribed: string[];
}

export async function heardBy(talk: Talk, prefix = ""): Promise<Heard> {
  return JSON.parse(await talk.text(`${prefix}heard`)) as Heard;
}

type Entry = Record<string, unknown>;

export async function listOf(talk: Talk, method: string, member: string): Promise<Entry[]> {
  return ((await talk.ask(method)).result?.[member] ?? []) as Entry[];
}
