/** What a remote server of the stateless revision wants said in the headers of its tools' calls, learnt from the lists that it sends. */
import type { OutgoingHttpHeaders } from "node:http";
import type { Envelope } from "../wire/envelope.ts";
import { mirroredParams, mirrorHeaders, type MirroredParam } from "../wire/mirrored-params.ts";
import type { Item } from "./handshake.ts";
import { isObject } from "../wire/json-rpc.ts";

/** Tools that are known to want headers, and those that were left out: further ones put out the oldest. */
const toolsMax = 10_000;

const marker = Buffer.from('"x-mcp-header"');

export class ToolHeaders {
  readonly #byTool = new Map<string, MirroredParam[]>();
  readonly #refused = new Set<string>();
  readonly #onRefused: (tool: string, why: string) => void;

  /** `known`: tools that were listed by it before. */
  constructor(known: Item[], onRefused: (tool: string, why: string) => void) {
    this.#onRefused = onRefused;
    for (const tool of known) this.#learn(tool);
  }

  /** The headers of a request; none, if it is no call of a tool that wants any. */
  of({ method, nameStart, nameEnd }: Envelope, line: Buffer): OutgoingHttpHeaders {
    if (this.#byTool.size === 0 || method !== "tools/call" || nameStart === 0) return {};
    const params = this.#byTool.get(JSON.parse(line.toString("utf8", nameStart, nameEnd)) as string);
    if (params === undefined) return {};
    const message = JSON.parse(line.toString("utf8")) as { params?: { arguments?: unknown } };
    return mirrorHeaders(params, message.params?.arguments);
  }

  /** Takes what was answered to `tools/list`; returns it without the tools that no client may list. */
  hear(line: Buffer): Buffer {
    if (this.#byTool.size === 0 && !line.includes(marker)) return line;
    const message = parsed(line);
    const tools = message?.result?.["tools"];
    if (message?.result === undefined || !Array.isArray(tools)) return line;
    const kept = (tools as unknown[]).filter((tool) => !isObject(tool) || this.#learn(tool));
    if (kept.length === tools.length) return line;
    return Buffer.from(JSON.stringify({ ...message, result: { ...message.result, tools: kept } }));
  }

  /** False: the tool's definition breaks the rules. */
  #learn({ name, inputSchema }: Item): boolean {
    const tool = String(name);
    const params = mirroredParams(inputSchema);
    this.#byTool.delete(tool);
    if (typeof params === "string") {
      if (!this.#refused.has(tool)) this.#onRefused(tool, params);
      this.#refused.add(tool);
      dropOldest(this.#refused);
      return false;
    }
    if (params.length > 0) this.#byTool.set(tool, params);
    dropOldest(this.#byTool);
    return true;
  }
}

function dropOldest(tools: Map<string, unknown> | Set<string>): void {
  const [oldest] = tools.keys();
  if (tools.size > toolsMax && oldest !== undefined) tools.delete(oldest);
}

/** Where the list that was answered goes on; undefined: it is whole. */
export function nextCursor(line: Buffer): string | undefined {
  const cursor = parsed(line)?.result?.["nextCursor"];
  return typeof cursor === "string" ? cursor : undefined;
}

function parsed(line: Buffer): { result?: Record<string, unknown> } | undefined {
  try {
    return JSON.parse(line.toString("utf8")) as { result?: Record<string, unknown> };
  } catch {
    return undefined; // no message: whoever hears it says so in the log
  }
}
