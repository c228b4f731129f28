/** MCP clients over streamable HTTP, over stdio by `holdfast mcp`, and of the stateless revision. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { mainFile } from "../../test/helpers/gateway.ts";
import type { Home } from "../../test/helpers/home.ts";
import type { McpClient } from "../../test/helpers/mcp-client.ts";
import { StatelessTalk } from "../../test/mcp/helpers/stateless.ts";
import type { Part, Place } from "./part.ts";

const httpMax = 8;
const stdioMax = 3;
/** Percent. */
const chances = { leave: 45, politely: 50 };

export class HttpClients implements Part {
  readonly done = { connections: 0, sessions: 0, calls: 0, cut: 0 };
  readonly #place: Place;
  readonly #open = new Set<McpClient>();

  constructor(place: Place) {
    this.#place = place;
  }

  async step(): Promise<void> {
    const { random, gateway } = this.#place;
    const [oldest] = this.#open;
    if (oldest !== undefined && (this.#open.size >= httpMax || random.chance(chances.leave))) return this.#end(oldest);
    const client = gateway.mcp(random.pick(["light", "pooled"]));
    this.done.connections++;
    await client.initialize();
    this.done.sessions++;
    this.#open.add(client);
    const { error } = await client.call("echo");
    if (error !== undefined) throw new Error(`echo: ${error.message}`);
    this.done.calls++;
  }

  async #end(client: McpClient): Promise<void> {
    this.#open.delete(client);
    // A session that nobody used for its lease is over: DELETE is answered with 404. An idle connection may be closed by the
    // gateway in the moment of its use; then the session ends by its lease.
    if (this.#place.random.chance(chances.politely))
      await client.delete().catch((thrown: unknown) => {
        if (!/EPIPE|ECONNRESET|socket hang up/.test(String(thrown))) throw thrown;
        this.done.cut++;
      });
    client.vanish();
  }

  async rest(): Promise<void> {
    for (const client of this.#open) await this.#end(client);
  }
}

/** A stdio client with `holdfast mcp` as its server. */
class StdioClient {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #exited: Promise<unknown>;
  #id = 0;

  constructor(home: Home) {
    const words = [mainFile, "mcp", "--state", home.stateDir, "--server", "light"];
    const env = { PATH: process.env["PATH"] ?? "", HOME: home.directory };
    this.#child = spawn(process.execPath, words, { stdio: ["pipe", "pipe", "ignore"], env });
    this.#child.stdin?.on("error", () => {}); // its front was replaced
    this.#exited = once(this.#child, "close");
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  async ask(method: string, params: object): Promise<void> {
    const id = ++this.#id;
    this.#child.stdin!.write(`${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`);
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done === true) throw new Error(`holdfast mcp ended before it answered ${method}`);
      const line = JSON.parse(value) as { id?: number; error?: { message: string } };
      if (line.id !== id) continue;
      if (line.error !== undefined) throw new Error(`${method}: ${line.error.message}`);
      return;
    }
  }

  async end(how: "end of input" | "kill"): Promise<void> {
    if (how === "kill") this.#child.kill("SIGKILL");
    this.#child.stdin?.end();
    await this.#exited;
  }
}

export class StdioClients implements Part {
  readonly done = { connections: 0, sessions: 0 };
  readonly #place: Place;
  readonly #open = new Set<StdioClient>();

  constructor(place: Place) {
    this.#place = place;
  }

  async step(): Promise<void> {
    const { random, home } = this.#place;
    const [oldest] = this.#open;
    if (oldest !== undefined && (this.#open.size >= stdioMax || random.chance(chances.leave))) return this.#end(oldest);
    const client = new StdioClient(home);
    this.#open.add(client);
    this.done.connections++;
    const clientInfo = { name: "soak", version: "1" };
    await client.ask("initialize", { protocolVersion: "2025-11-25", capabilities: {}, clientInfo });
    await client.ask("tools/call", { name: "echo" });
    this.done.sessions++;
  }

  async #end(client: StdioClient): Promise<void> {
    this.#open.delete(client);
    await client.end(this.#place.random.chance(chances.politely) ? "end of input" : "kill");
  }

  async rest(): Promise<void> {
    for (const client of this.#open) await this.#end(client);
  }
}

export class StatelessClients implements Part {
  readonly done = { connections: 0, calls: 0 };
  readonly #place: Place;

  constructor(place: Place) {
    this.#place = place;
  }

  async step(): Promise<void> {
    const { random, gateway } = this.#place;
    const saying = { bearer: gateway.token, ...(random.chance(50) ? { scope: `scope-${random.int(3)}` } : {}) };
    const talk = new StatelessTalk(`${gateway.url}/mcp/light`, saying);
    this.done.connections++;
    const { error } = await talk.call("echo");
    if (error !== undefined) throw new Error(`stateless echo: ${error.message}`);
    this.done.calls++;
  }

  async rest(): Promise<void> {}
}
