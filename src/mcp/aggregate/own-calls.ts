/** Calls of Holdfast's own tools on `/mcp`, which no server hears of: their names have no `__`, as every server's have. */
import type { TokenScope } from "../../protocol/keeper/messages.ts";
import type { OwnTools } from "../tools/own-tools.ts";
import type { OwnTool } from "../tools/tool.ts";
import { downFault } from "./answers.ts";
import type { Assembly } from "./assembly.ts";
import type { PatientCall } from "./client-side.ts";

const nobody: ReadonlySet<TokenScope> = new Set();
/** How the list of all servers' tools begins. */
const listHead = '{"tools":[';

export class OwnCalls {
  readonly #assembly: Assembly;
  readonly #tools: OwnTools;
  readonly #open = new Map<PatientCall, AbortController>();

  constructor(assembly: Assembly, tools: OwnTools) {
    this.#assembly = assembly;
    this.#tools = tools;
    assembly.client.onDone = (call) => this.#done(call);
  }

  /** Answers `tools/list`: ours for this caller, then those of the servers. */
  async list(call: PatientCall): Promise<void> {
    const own = this.#tools.for(call.params.scopes ?? nobody);
    const { tools } = (await this.#assembly.offer.merged()).lists;
    if (own.length === 0) return this.#assembly.answer(call, tools);
    const shown = own.map(({ name, description, inputSchema, annotations }) =>
      JSON.stringify({ name, description, inputSchema, annotations }),
    );
    const rest = tools.subarray(listHead.length);
    const comma = rest.length > "]}".length ? "," : "";
    this.#assembly.answer(call, Buffer.concat([Buffer.from(`${listHead}${shown.join(",")}${comma}`), rest]));
  }

  /** False: there is no such tool for this caller. */
  call(call: PatientCall, name: string, body: Buffer): boolean {
    const tool = this.#tools.find(name, call.params.scopes ?? nobody);
    if (tool === undefined) return false;
    this.#perform(call, tool, body).catch((thrown: unknown) => call.fail(downFault(thrown)));
    return true;
  }

  async #perform(call: PatientCall, tool: OwnTool, body: Buffer): Promise<void> {
    const message = JSON.parse(body.toString()) as { params?: { arguments?: unknown } };
    const given = new AbortController();
    this.#open.set(call, given);
    const { session } = this.#assembly;
    const result = await tool.call(message.params?.arguments, { session, signal: given.signal });
    this.#open.delete(call);
    this.#assembly.answer(call, JSON.stringify(result));
  }

  #done(call: PatientCall): void {
    this.#open.get(call)?.abort();
    this.#open.delete(call);
  }
}
