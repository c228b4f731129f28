/** An MCP server of the model that does what servers may: asks, reports progress, logs, changes its lists, and dies. */
import type { Process, Program } from "../../src/platform/simulated/process.ts";
import { odd, oddNames, oddParts, schema, schemas, sound } from "./rich-lists.ts";

interface Message {
  id?: number | string;
  method?: string;
  params?: {
    name?: string;
    uri?: string;
    level?: string;
    requestId?: number | string;
    ref?: { type?: string; name?: string; uri?: string };
    argument?: { name?: string; value?: string };
    arguments?: Record<string, unknown>;
    _meta?: { progressToken?: number | string };
  };
  result?: unknown;
  error?: unknown;
}

/** Of a server called `old`. */
export const oldRevision = "2023-01-01";

const capabilities = {
  tools: { listChanged: true },
  prompts: { listChanged: true },
  resources: { subscribe: true, listChanged: true },
  logging: {},
  completions: {},
};

/** How often it looks at its input while something is to be said later. */
const pollMs = 20;

export function richServer(name: string): Program {
  return function* serve(self: Process) {
    const server = new RichServer(self, name);
    for (;;) {
      const line = self.input?.takeLine();
      if (line !== undefined) {
        if (server.take(JSON.parse(line) as Message) === "die") return 3;
        yield undefined;
        continue;
      }
      if (self.input?.isEnded === true) return 0;
      const dueMs = server.dueMs();
      const isWoken = () => self.input?.hasLine === true || self.input?.isEnded === true;
      yield dueMs === Infinity ? { until: isWoken } : { untilMs: Math.min(dueMs, self.kernel.nowMs() + pollMs) };
      server.work();
    }
  };
}

class RichServer {
  readonly #self: Process;
  readonly #name: string;
  readonly #tools: object[];
  readonly #later: { atMs: number; message: object }[] = [];
  /** Calls that wait for the answer to a question, by its id. */
  readonly #asked = new Map<number | string, number | string>();
  readonly #heard: string[] = [];
  /** Questions that were answered, as often as they were. */
  readonly #settled: string[] = [];
  readonly #subscribed = new Set<string>();
  #level = "none";
  #questions = 0;

  constructor(self: Process, name: string) {
    this.#self = self;
    this.#name = name;
    const names = "ask progress log later burst askLater change slow mute heard touch die withdraw".split(" ");
    this.#tools = [
      ...names.map((tool) => ({ name: tool, inputSchema: schema })),
      { name: "odd", inputSchema: schemas["odd"], annotations: { readOnlyHint: "yes" }, icons: [{ src: 1 }] },
      { name: "fine", inputSchema: sound, annotations: { readOnlyHint: true, title: "T" }, icons: [{ src: "s" }] },
      ...oddNames.map((tool) => ({ name: tool, inputSchema: schema })),
      ...oddParts.map((part, index) => ({ name: `odd-${index}`, inputSchema: { type: "object", ...part } })),
      ...odd,
    ];
  }

  dueMs(): number {
    return Math.min(Infinity, ...this.#later.map(({ atMs }) => atMs));
  }

  work(): void {
    const now = this.#self.kernel.nowMs();
    for (const { message } of this.#later.filter(({ atMs }) => atMs <= now)) this.#say(message);
    this.#later.splice(0, this.#later.length, ...this.#later.filter(({ atMs }) => atMs > now));
  }

  take(message: Message): "die" | undefined {
    const { id, method, params = {} } = message;
    if (method === undefined) this.#answered(message);
    else if (method === "tools/call") return this.#call(message);
    else if (id === undefined) this.#heard.push(`${method} ${JSON.stringify(params)}`);
    else this.#say({ jsonrpc: "2.0", id, ...this.#answer(method, params) });
    return undefined;
  }

  #answer(method: string, params: NonNullable<Message["params"]>): { result: object } | { error: object } {
    const uri = `mem://${this.#name}/a`;
    const template = `mem://${this.#name}/{path}`;
    switch (method) {
      case "initialize":
        return {
          result: {
            protocolVersion: this.#name === "old" ? oldRevision : "2025-06-18",
            capabilities,
            serverInfo: { name: this.#name, version: "1" },
          },
        };
      case "tools/list":
        return { result: { tools: this.#tools } };
      case "prompts/list":
        return { result: { prompts: [{ name: "greet", arguments: [{ name: "who" }] }, { name: 1 }] } };
      case "prompts/get":
        return {
          result: { messages: [{ role: "user", content: { type: "text", text: `${this.#name} ${params.name}` } }] },
        };
      case "resources/list":
        return {
          result: {
            resources: [
              { name: "a", uri, size: "large" },
              { name: "a", uri },
            ],
          },
        };
      case "resources/templates/list":
        return { result: { resourceTemplates: [{ name: "t", uriTemplate: template }] } };
      case "resources/read":
        if (params.uri?.includes("missing") === true || params.uri?.startsWith(`mem://${this.#name}/`) !== true)
          return { error: { code: -32_002, message: `no ${params.uri}` } };
        return { result: { contents: [{ uri: params.uri, text: `of ${this.#name}` }] } };
      case "resources/subscribe":
        if (params.uri?.includes("refused") === true) return { error: { code: -32_002, message: "refused" } };
        this.#subscribed.add(params.uri ?? "");
        return { result: {} };
      case "resources/unsubscribe":
        this.#subscribed.delete(params.uri ?? "");
        return { result: {} };
      case "logging/setLevel":
        this.#level = params.level ?? "";
        return { result: {} };
      case "completion/complete":
        return { result: { completion: { values: [`${this.#name} ${params.ref?.name ?? params.ref?.uri}`] } } };
      default:
        return { result: {} };
    }
  }

  #call({ id, params = {} }: Message): "die" | undefined {
    const { name, arguments: given = {}, _meta: meta } = params;
    const answer = (text: string) => ({ jsonrpc: "2.0", id, result: { content: [{ type: "text", text }] } });
    switch (name) {
      case "ask":
      case "withdraw": {
        const question = `q${++this.#questions}`;
        this.#asked.set(question, id ?? "");
        this.#say({ jsonrpc: "2.0", id: question, method: "elicitation/create", params: { message: given["text"] } });
        if (name === "ask") return undefined;
        const about = { requestId: question };
        this.#say({ jsonrpc: "2.0", method: "notifications/cancelled", params: about }, 500);
        this.#say(answer("withdrawn"), 1000);
        return undefined;
      }
      case "progress":
        for (const progress of [1, 2, 3])
          this.#say({
            jsonrpc: "2.0",
            method: "notifications/progress",
            params: { progressToken: meta?.progressToken, progress, total: 3 },
          });
        this.#say(answer("progressed"));
        return undefined;
      case "log":
        this.#say({ jsonrpc: "2.0", method: "notifications/message", params: { level: "info", data: given["text"] } });
        this.#say(answer("logged"));
        return undefined;
      case "later":
        this.#say(
          { jsonrpc: "2.0", method: "notifications/message", params: { level: "info", data: given["text"] } },
          300,
        );
        this.#say(answer("later"));
        return undefined;
      case "askLater": {
        const question = `q${++this.#questions}`;
        this.#say({ jsonrpc: "2.0", id: question, method: "elicitation/create", params: { message: "later" } }, 300);
        const about = { requestId: question };
        if (given["isWithdrawn"] === true)
          this.#say({ jsonrpc: "2.0", method: "notifications/cancelled", params: about }, 600);
        this.#say(answer("asked"));
        return undefined;
      }
      case "burst":
        for (let count = 0; count < Number(given["count"]); count += 1)
          this.#say(
            { jsonrpc: "2.0", method: "notifications/message", params: { level: "info", data: `m${count}` } },
            300,
          );
        this.#say(answer("burst"));
        return undefined;
      case "change":
        this.#tools.push({ name: String(given["text"]), inputSchema: schema });
        this.#say({ jsonrpc: "2.0", method: "notifications/tools/list_changed" });
        this.#say(answer("changed"));
        return undefined;
      case "slow":
        this.#say(answer(String(given["text"])), Number(given["ms"]));
        return undefined;
      case "mute":
        return undefined;
      case "heard":
        this.#say(
          answer(
            JSON.stringify({
              heard: this.#heard,
              settled: this.#settled,
              level: this.#level,
              subscribed: [...this.#subscribed],
            }),
          ),
        );
        return undefined;
      case "touch":
        this.#say({ jsonrpc: "2.0", method: "notifications/resources/updated", params: { uri: given["text"] } });
        this.#say(answer("touched"));
        return undefined;
      case "die":
        return "die";
      default:
        this.#say(answer(`${this.#name} ${name} ${JSON.stringify(given)}`));
        return undefined;
    }
  }

  /** The answer to a question goes back with the call that asked. */
  #answered({ id, result, error }: Message): void {
    this.#settled.push(`${id} ${error === undefined ? "result" : "error"}`);
    const call = this.#asked.get(id ?? "");
    this.#asked.delete(id ?? "");
    if (call === undefined) return void this.#heard.push(`answer ${JSON.stringify({ id, result, error })}`);
    const text = JSON.stringify(error === undefined ? { result } : { error });
    this.#say({ jsonrpc: "2.0", id: call, result: { content: [{ type: "text", text }] } });
  }

  #say(message: object, delayMs = 0): void {
    if (delayMs === 0) this.#self.print(`${JSON.stringify(message)}\n`);
    else this.#later.push({ atMs: this.#self.kernel.nowMs() + delayMs, message });
  }
}
