/** Codex without a person or a model: its app-server, which editors drive by JSON-RPC over stdio. */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { boundMs, type Place, type Words } from "./place.ts";

interface ServerStatus {
  name: string;
  serverInfo: { name: string } | null;
  tools: Record<string, unknown>;
}

interface Message {
  id?: number;
  method?: string;
  result?: Record<string, unknown>;
  error?: { message: string };
}

/** A server as config.toml has it: a command, or an address with the name of the variable that holds the token. */
export type CodexServer = Words | { url: string };

const tokenVariable = "HOLDFAST_TEST_TOKEN";

/** JSON's strings and lists of strings are TOML's as well. */
function tableOf([name, server]: [string, CodexServer]): string {
  const lines =
    "url" in server
      ? [`url = ${JSON.stringify(server.url)}`, `bearer_token_env_var = "${tokenVariable}"`]
      : [`command = ${JSON.stringify(server.command)}`, `args = ${JSON.stringify(server.args)}`];
  return [`[mcp_servers.${name}]`, ...lines, ""].join("\n");
}

/** A model that nobody can reach, and nothing that would be fetched. */
const settings = `check_for_update_on_startup = false
model_provider = "nobody"
[analytics]
enabled = false
[features]
plugins = false
remote_plugin = false
apps = false
[model_providers.nobody]
name = "nobody"
base_url = "http://127.0.0.1:9/v1"
wire_api = "responses"
request_max_retries = 0
`;

export function configOf(place: Place): string {
  return join(place.directory, "config.toml");
}

/** A config without servers, for `codex mcp add` to fill. */
export function writeSettings(place: Place): void {
  writeFileSync(configOf(place), settings);
}

export class Codex {
  readonly child: ChildProcess;
  readonly #waiting = new Map<number, (message: Message) => void>();
  #id = 0;

  private constructor(child: ChildProcess) {
    this.child = child;
    child.stderr?.resume();
    createInterface({ input: child.stdout! }).on("line", (line) => {
      const message = JSON.parse(line) as Message;
      if (message.id !== undefined && message.method === undefined) this.#waiting.get(message.id)?.(message);
    });
  }

  static async start(place: Place, program: string, servers: Record<string, CodexServer>, token = ""): Promise<Codex> {
    const tables = Object.entries(servers).map(tableOf);
    writeFileSync(configOf(place), [settings, ...tables].join("\n"));
    return Codex.open(place, program, token);
  }

  /** With the servers that its config has already. */
  static async open(place: Place, program: string, token = ""): Promise<Codex> {
    const codex = new Codex(place.start(program, ["app-server"], { [tokenVariable]: token }));
    await codex.ask("initialize", { clientInfo: { name: "holdfast-test", title: "Holdfast", version: "1.0.0" } });
    codex.child.stdin?.write('{"method":"initialized"}\n');
    return codex;
  }

  async ask(method: string, params: unknown): Promise<Record<string, unknown>> {
    const id = this.#id++;
    const { promise, resolve, reject } = Promise.withResolvers<Message>();
    const timer = setTimeout(() => reject(new Error(`Codex did not answer ${method} within ${boundMs} ms`)), boundMs);
    this.#waiting.set(id, resolve);
    this.child.stdin?.write(`${JSON.stringify({ method, id, params })}\n`);
    try {
      const { result, error } = await promise;
      if (result === undefined) throw new Error(`Codex, ${method}: ${error?.message}`);
      return result;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(id);
    }
  }

  /** Starts every server for a moment and says what it is; a server that cannot be reached has no information. */
  async servers(): Promise<ServerStatus[]> {
    const { data } = await this.ask("mcpServerStatus/list", { detail: "toolsAndAuthOnly" });
    return data as ServerStatus[];
  }

  /** A thread, which keeps its servers for as long as it is loaded. */
  async startThread(cwd: string): Promise<CodexThread> {
    const { thread } = await this.ask("thread/start", { cwd, approvalPolicy: "never" });
    return new CodexThread(this, (thread as { id: string }).id);
  }

  /** The end in order: its stdin ends. Resolves with the exit code. */
  async end(): Promise<number | null> {
    const exited = once(this.child, "exit", { signal: AbortSignal.timeout(boundMs) });
    this.child.stdin?.end();
    await exited;
    return this.child.exitCode;
  }
}

class CodexThread {
  readonly #codex: Codex;
  readonly #id: string;

  constructor(codex: Codex, id: string) {
    this.#codex = codex;
    this.#id = id;
  }

  async call(server: string, tool: string, given: Record<string, unknown>): Promise<string> {
    const params = { threadId: this.#id, server, tool, arguments: given };
    return JSON.stringify(await this.#codex.ask("mcpServer/tool/call", params));
  }
}
