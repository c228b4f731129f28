/**
 * An MCP server for tests of many servers and many clients. What it offers is in its arguments; its tools bring about what a
 * test needs: asking the client, telling, hanging, ending. Usage: node actor-server.ts NAME [TOOL...]
 * Every tool of any name: {"ask": method} asks the caller and answers with what came back, {"say": message} says it first,
 * {"wait": name} answers once a call with {"go": name} came, {"exit": code} ends, {"list": [tool...]} changes the list of tools,
 * {"prompts": [name...]} and {"resources": [uri...]} those.
 * With a tool "!" it refuses to list them, with "~" there is always another page, "^" becomes
 * "grown" while it is still asked for its lists.
 */
import { createInterface } from "node:readline";

interface Given {
  ask?: string;
  say?: unknown;
  wait?: string;
  go?: string;
  exit?: number;
  list?: string[];
  prompts?: string[];
  resources?: string[];
}

interface Message {
  id?: number | string;
  method?: string;
  params?: { name?: string; uri?: string; arguments?: Given; protocolVersion?: string; requestId?: unknown };
  result?: unknown;
  error?: { message: string };
}

const [, , serverName = "actor", ...tools] = process.argv;
const asked = new Map<number, (message: Message) => void>();
const waiting = new Map<string, () => void>();
const heard: Message[] = [];
let nextId = 1;
let [prompts, resources] = [["greet"], [`memo://${serverName}`, "memo://both"]];
/** A subscription to memo://refused is answered once a call with {"go": "refuse"} came, and then at once. */
let refuses = false;

function say(message: unknown): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

function ask(method: string): Promise<Message> {
  const id = nextId++;
  say({ jsonrpc: "2.0", id, method, params: { from: serverName } });
  return new Promise((resolve) => asked.set(id, resolve));
}

function change({ prompts: otherPrompts, resources: otherResources }: Given): void {
  if (otherPrompts !== undefined) {
    prompts = otherPrompts;
    say({ jsonrpc: "2.0", method: "notifications/prompts/list_changed" });
  }
  if (otherResources === undefined) return;
  resources = otherResources;
  say({ jsonrpc: "2.0", method: "notifications/resources/list_changed" });
}

async function act(given: Given): Promise<string> {
  const { ask: question, say: words, wait, go, exit, list } = given;
  change(given);
  if (words !== undefined) say(words);
  if (exit !== undefined) process.exit(exit);
  if (go === "refuse") refuses = true;
  if (go !== undefined) waiting.get(go)?.();
  if (wait !== undefined) await new Promise<void>((resolve) => waiting.set(wait, resolve));
  if (list !== undefined) {
    tools.splice(0, tools.length, ...list);
    say({ jsonrpc: "2.0", method: "notifications/tools/list_changed" });
  }
  if (question === undefined) return `${serverName}:${process.pid}`;
  const { result, error } = await ask(question);
  return error === undefined ? JSON.stringify(result) : `refused: ${error.message}`;
}

function listed(method: string): unknown {
  switch (method) {
    case "tools/list":
      if (tools.includes("!")) throw new Error("not now");
      return {
        tools: tools.map((name) => ({ name, inputSchema: { type: "object" } })),
        ...(tools.includes("~") ? { nextCursor: "always the same" } : {}),
      };
    case "prompts/list":
      if (tools[0] === "^") {
        tools[0] = "grown";
        say({ jsonrpc: "2.0", method: "notifications/tools/list_changed" });
      }
      return { prompts: prompts.map((name) => ({ name })) };
    case "resources/list":
      return { resources: resources.map((uri) => ({ uri, name: uri })) };
    case "resources/templates/list":
      return { resourceTemplates: [{ uriTemplate: `note://${serverName}/{id}`, name: "note" }] };
    default:
      return undefined;
  }
}

async function resultOf({ method = "", params }: Message): Promise<unknown> {
  if (method === "initialize") {
    const capabilities = { tools: { listChanged: true }, prompts: {}, resources: { subscribe: true } };
    const serverInfo = { name: serverName, version: "1" };
    return { protocolVersion: params?.protocolVersion, capabilities, serverInfo, instructions: `I am ${serverName}.` };
  }
  if (method === "tools/call") {
    const text = params?.name === "heard" ? JSON.stringify(heard) : await act(params?.arguments ?? {});
    return { content: [{ type: "text", text }] };
  }
  if (method === "prompts/get") return { messages: [], description: `${serverName}/${params?.name}` };
  if (method === "resources/read") return { contents: [{ uri: params?.uri, text: serverName }] };
  if (method === "resources/subscribe" && params?.uri === "memo://refused") {
    if (!refuses) await new Promise<void>((resolve) => waiting.set("refuse", resolve));
    throw new Error("no such resource");
  }
  return listed(method) ?? {};
}

for await (const line of createInterface({ input: process.stdin })) {
  const message = JSON.parse(line) as Message;
  heard.push(message);
  if (message.method === undefined) asked.get(Number(message.id))?.(message);
  else if (message.id !== undefined)
    void resultOf(message).then(
      (result) => say({ jsonrpc: "2.0", id: message.id, result }),
      (error: Error) => say({ jsonrpc: "2.0", id: message.id, error: { code: -32602, message: error.message } }),
    );
}
