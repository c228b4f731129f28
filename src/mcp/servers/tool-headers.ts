/** Header parameters of a stateless remote server's tools, learned from the lists that it sends. */
import type { OutgoingHttpHeaders } from "node:http";
import type { Envelope } from "../wire/envelope.ts";
import { mirroredParams, mirrorHeaders, type MirroredParam } from "../wire/mirrored-params.ts";
import type { Item } from "./handshake.ts";
import { isObject } from "../wire/json-rpc.ts";

/** Tools with header parameters, and rejected ones: the oldest make room. */
const toolsMax = 10_000;

const marker = Buffer.from('"x-mcp-header"');

export class ToolHeaders {
  readonly #byTool = new Map<string, MirroredParam[]>();
  readonly #refused = new Set<string>();
  readonly #onRefused: (tool: string, why: string) => void;

  /** `known`: tools from an earlier list. */
  constructor(known: Item[], onRefused: (tool: string, why: string) => void) {
    this.#onRefused = onRefused;
    for (const tool of known) this.#learn(tool);
  }

  /** The headers of a request; none for anything but a call of a tool with header parameters. */
  of({ method, nameStart, nameEnd }: Envelope, line: Buffer): OutgoingHttpHeaders {
    if (this.#byTool.size === 0 || method !== "tools/call" || nameStart === 0) return {};
    const params = this.#byTool.get(JSON.parse(line.toString("utf8", nameStart, nameEnd)) as string);
    if (params === undefined) return {};
    const message = JSON.parse(line.toString("utf8")) as { params?: { arguments?: unknown } };
    return mirrorHeaders(params, message.params?.arguments);
  }

  /** Takes an answer to `tools/list`; returns it without invalid tools. */
  hear(line: Buffer): Buffer {
    if (this.#byTool.size === 0 && !line.includes(marker)) return line;
    const message = parsed(line);
    const tools = message?.result?.["tools"];
    if (message?.result === undefined || !Array.isArray(tools)) return line;
    const kept = (tools as unknown[]).filter((tool) => !isObject(tool) || this.#learn(tool));
    if (kept.length === tools.length) return line;
    return Buffer.from(JSON.stringify({ ...message, result: { ...message.result, tools: kept } }));
  }

  /** False: the tool's definition is invalid. */
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

/** The cursor of the next page; undefined: this was the last. */
export function nextCursor(line: Buffer): string | undefined {
  const cursor = parsed(line)?.result?.["nextCursor"];
  return typeof cursor === "string" ? cursor : undefined;
}

function parsed(line: Buffer): { result?: Record<string, unknown> } | undefined {
  try {
    return JSON.parse(line.toString("utf8")) as { result?: Record<string, unknown> };
  } catch {
    return undefined; // not a message: the receiver logs it
  }
}
