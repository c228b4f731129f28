/** A gateway that runs as a program of Windows, and is used from outside over the loopback address. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { McpClient } from "../helpers/mcp-client.ts";
import type { NodeMajor } from "./cache.ts";
import type { LinuxView, Outcome, Program, WindowsMachine } from "./machine.ts";

/** As in test/helpers/program.ts: the packed program where `npm test` has just made it. */
const program = process.env["HOLDFAST_TEST_PROGRAM"] || "dist";
/** As Windows names it. */
export const main = ["C:", "holdfast", program, "main.js"].join("\\");
export const state = String.raw`C:\state`;

/** Servers of server.cjs by name, with their role. */
export type Servers = Readonly<Record<string, "plain" | "stubborn">>;

export class WindowsGateway {
  readonly machine: WindowsMachine;
  readonly program: Program;
  readonly #node: NodeMajor;

  private constructor(machine: WindowsMachine, started: Program, node: NodeMajor) {
    this.machine = machine;
    this.program = started;
    this.#node = node;
  }

  static async start(
    machine: WindowsMachine,
    servers: Servers,
    more: Readonly<Record<string, unknown>> = {},
    node: NodeMajor = "26",
  ): Promise<WindowsGateway> {
    const command = `C:\\node\\node${node}.exe`;
    const mcpServers = Object.fromEntries(
      Object.entries(servers).map(([name, role]) => [
        name,
        { command, args: [String.raw`C:\holdfast\test\windows\server.cjs`, name, role] },
      ]),
    );
    const config = { port: 0, stop: { stdinGraceMs: 300, termGraceMs: 300 }, mcpServers, ...more };
    writeFileSync(join(machine.drive, "holdfast.json"), JSON.stringify(config));
    const words = ["--state", state, "gateway", "--config", String.raw`C:\holdfast.json`];
    const started = machine.node([main, ...words], { node });
    await started.prints("containment:");
    return new WindowsGateway(machine, started, node);
  }

  /** Of its newest life. */
  get url(): string {
    return [...this.program.output.matchAll(/listens on (http:\/\/127\.0\.0\.1:\d+)/g)].at(-1)?.[1] ?? "";
  }

  get token(): string {
    return readFileSync(join(this.machine.drive, "state", "token"), "utf8").trim();
  }

  async open(server: string): Promise<McpClient> {
    const client = new McpClient(`${this.url}/mcp/${server}`, this.token);
    await client.initialize();
    return client;
  }

  /** A command of ours beside it. */
  command(words: readonly string[]): Promise<Outcome> {
    return this.machine.node([main, "--state", state, ...words], { node: this.#node }).ended(30_000);
  }

  get keeper(): LinuxView[] {
    return this.#gateways.filter(({ command }) => command.includes("--disable-sigusr1"));
  }

  /** The process in the person's terminal, in front of the keeper. */
  get launcher(): LinuxView[] {
    return this.#gateways.filter(({ command }) => !command.includes("--disable-sigusr1"));
  }

  get #gateways(): LinuxView[] {
    return this.machine.live("gateway --config");
  }

  get front(): LinuxView[] {
    return this.machine.live(String.raw`\gateway\main.js`);
  }

  /** Processes of one server. */
  of(server: string): LinuxView[] {
    return this.machine.live(`server.cjs ${server} `);
  }
}
