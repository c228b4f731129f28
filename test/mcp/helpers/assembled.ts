/** A front with several actors behind `/mcp`, for what concerns messages; ownership is tested on a real gateway. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import type { FrontServer } from "../../../src/protocol/keeper/front-config.ts";
import { FakeKeeper, type FakeOptions, type FakeServer } from "../../gateway/helpers/fake-keeper.ts";
import { open } from "../../helpers/http.ts";
import { Events, Talk, type Message } from "./talk.ts";

export const actorFile = fileURLToPath(new URL("actor-server.ts", import.meta.url));

export const actor = (name: string, ...tools: string[]): FakeServer => ({
  command: process.execPath,
  args: [actorFile, name, ...tools],
});

/** A second token of the same scopes, as another user has one. */
export const otherToken = "another-token-0123456789-0123456789";
const another = {
  id: "other",
  name: "other",
  digest: createHash("sha256").update(otherToken).digest("hex"),
  scopes: ["admin" as const],
  expiresAt: null,
};

export async function startFront(
  servers: Record<string, FakeServer>,
  settings: Record<string, Partial<FrontServer>> = {},
  config: FakeOptions["config"] = {},
): Promise<FakeKeeper> {
  return FakeKeeper.start({ servers, settings, config, tokens: [another] });
}

/** In front of three servers of sessions, one of them pooled. */
export function startActors(): Promise<FakeKeeper> {
  const servers = { a: actor("a", "do", "heard"), b: actor("b", "do"), p: actor("p", "do", "heard") };
  return startFront(servers, { p: { share: "pool" } });
}

/** A session on `/mcp`, or on a path below it. */
export async function join(keeper: FakeKeeper, path = "/mcp", capabilities: object = {}): Promise<Talk> {
  const talk = new Talk(`${keeper.url}${path}`);
  const params = { protocolVersion: "2025-11-25", capabilities, clientInfo: { name: "talk", version: "1" } };
  const answer = await talk.post({ jsonrpc: "2.0", id: 0, method: "initialize", params });
  talk.session = answer.headers["mcp-session-id"] as string | undefined;
  return talk;
}

/** A call with its response in hand while it comes. */
export async function callEvents(talk: Talk, name: string, given: object, id: unknown = "open"): Promise<Events> {
  const body = JSON.stringify({ jsonrpc: "2.0", id, method: "tools/call", params: { name, arguments: given } });
  return new Events(await open(talk.url, { method: "POST", headers: talk.headers(), body, boundMs: 15_000 }));
}

export const startsOf = (keeper: FakeKeeper, server: string) =>
  keeper.heard.filter((message) => message.type === "run.start" && message.params.server === server).length;

/** The one text of a tool's answer, or the words of the error. */
export function textOf(messages: Message[]): string {
  const answer = messages.find((message) => message.method === undefined);
  if (answer?.error !== undefined) return `error: ${answer.error.message}`;
  return (answer?.result?.["content"] as { text: string }[] | undefined)?.[0]?.text ?? "nothing";
}

export async function callText(talk: Talk, name: string, given: object = {}): Promise<string> {
  return textOf((await talk.request("tools/call", { name, arguments: given })).messages);
}

export async function namesOf(talk: Talk): Promise<string[]> {
  const { messages } = await talk.request("tools/list");
  // What the session says meanwhile, such as that a list has changed, comes before the answer.
  const answer = messages.find(({ method }) => method === undefined);
  assert.ok(answer?.result !== undefined, `no list: ${JSON.stringify(messages)}`);
  return (answer.result["tools"] as { name: string }[]).map(({ name }) => name);
}

/** Resolves when the stream says that. */
export async function heardOf(events: Events, what: string): Promise<void> {
  for (;;) {
    const message = await events.next();
    assert.ok(message !== undefined, `the stream ended before ${what}`);
    if (message.method === what) return;
  }
}

/** What the call was answered; other things may be said on its stream before. */
export async function answerOf(events: Events): Promise<string> {
  for (;;) {
    const message = await events.next();
    if (message === undefined || message.method === undefined) return textOf(message === undefined ? [] : [message]);
  }
}
