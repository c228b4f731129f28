/**
 * An MCP server over stdio that does exactly what its client says, so that a test can bring about every order of events.
 * A request `do` carries steps; a request `heard` is answered with every line that came in. `$id` and `$token` in a step
 * stand for the id and the progress token of the `do` request as this server saw them.
 */
import { closeSync, existsSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";

export type Step =
  | { say: unknown }
  /** Text as it stands; no newline is added. */
  | { write: string }
  /** The same in base64, for bytes that are no text; nothing is put in. */
  | { bytes: string }
  /** So many characters, without a newline. */
  | { fill: number }
  | { answer: unknown }
  /** An answer of so many characters. */
  | { big: number }
  /** Waits until a message with this member and value was received. */
  | { hear: [key: "method" | "id", value: unknown] }
  /** Waits until the file exists. */
  | { await: string }
  /** Makes an empty file. */
  | { touch: string }
  | { exit: number }
  | { closeOutput: true };

interface Message {
  id?: number | string;
  method?: string;
  params?: { steps?: Step[]; protocolVersion?: string; _meta?: { progressToken?: number | string } };
}

const lines: string[] = [];
const received: Message[] = [];
const waiting: { key: "method" | "id"; value: unknown; go: () => void }[] = [];
/** Version to answer with, whatever was asked for; "error" refuses, "silence" says nothing. */
const [, , version] = process.argv;

function say(message: unknown): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

function fill(value: unknown, { id, params }: Message): unknown {
  const known = new Map<unknown, unknown>([
    ["$id", id],
    ["$token", params?._meta?.progressToken],
  ]);
  return JSON.parse(JSON.stringify(value), (_key, each: unknown) =>
    known.has(each) ? known.get(each) : each,
  ) as unknown;
}

function hear(key: "method" | "id", value: unknown): Promise<void> {
  if (received.some((message) => message[key] === value)) return Promise.resolve();
  return new Promise((go) => waiting.push({ key, value, go }));
}

async function perform(step: Step, request: Message): Promise<void> {
  if ("say" in step) say(fill(step.say, request));
  else if ("write" in step) process.stdout.write(step.write.replaceAll("$id", String(request.id)));
  else if ("bytes" in step) process.stdout.write(Buffer.from(step.bytes, "base64"));
  else if ("fill" in step) process.stdout.write("x".repeat(step.fill));
  else if ("answer" in step) say({ jsonrpc: "2.0", id: request.id, result: step.answer });
  else if ("big" in step) say({ jsonrpc: "2.0", id: request.id, result: { text: "x".repeat(step.big) } });
  else if ("hear" in step) await hear(...step.hear);
  else if ("await" in step) while (!existsSync(step.await)) await delay(2);
  else if ("touch" in step) writeFileSync(step.touch, "");
  else if ("exit" in step) process.stdout.write("", () => process.exit(step.exit));
  else closeSync(process.stdout.fd);
}

function initialize({ id, params }: Message): void {
  if (version === "silence") return;
  if (version === "error") return say({ jsonrpc: "2.0", id, error: { code: -32602, message: "not with you" } });
  const result = {
    protocolVersion: version ?? params?.protocolVersion,
    capabilities: {},
    serverInfo: { name: "scripted", version: "1" },
  };
  say({ jsonrpc: "2.0", id, result });
}

async function answer(message: Message): Promise<void> {
  if (message.method === "initialize") return initialize(message);
  if (message.method === "heard") return say({ jsonrpc: "2.0", id: message.id, result: { lines } });
  if (message.method === "do") for (const step of message.params?.steps ?? []) await perform(step, message);
}

for await (const line of createInterface({ input: process.stdin })) {
  const message = JSON.parse(line) as Message;
  lines.push(line);
  received.push(message);
  for (const wait of waiting.filter(({ key, value }) => message[key] === value)) wait.go();
  void answer(message);
}
