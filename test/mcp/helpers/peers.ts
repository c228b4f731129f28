/** The SDK's own clients of both generations, with everything that a client can be asked, in one form for tests. */
import {
  Client as ClientV2,
  StreamableHTTPClientTransport as TransportV2,
  type Transport,
} from "@modelcontextprotocol/client";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";

export type Generation = "session client (SDK 1)" | "stateless client (SDK 2)";
export const generations: Generation[] = ["session client (SDK 1)", "stateless client (SDK 2)"];

export interface Peer {
  name: string | undefined;
  capabilities: object;
  /** `toolsChanged`, or the address of a resource. */
  readonly heard: string[];
  tools(): Promise<string[]>;
  /** The text of the answer; rejects with the error's words. */
  call(name: string, given?: object, signal?: AbortSignal, onprogress?: (step: unknown) => void): Promise<string>;
  read(uri: string): Promise<string>;
  prompt(name: string, given: Record<string, string>): Promise<string>;
  /** Wants to hear of changed tools and of this resource. */
  listen(uri: string): Promise<void>;
  close(): Promise<void>;
}

export interface PeerOptions {
  url?: string;
  headers?: Record<string, string>;
  /** In their place, for the stateless client. */
  transport?: Transport;
  /** What it answers to an elicitation; undefined: it fails. */
  content?: Record<string, string | boolean> | undefined;
  info?: string;
}

const capabilities = { sampling: {}, elicitation: {}, roots: {} };
const sampled = { model: "m", role: "assistant" as const, content: { type: "text" as const, text: "4" } };
const rooted = { roots: [{ uri: "file:///somewhere", name: "somewhere" }] };

function textOf(result: unknown): string {
  return (result as { content: { text: string }[] }).content.map(({ text }) => text).join("\n");
}

function elicited({ content }: PeerOptions): { action: "accept"; content: Record<string, string | boolean> } {
  if (content === undefined) throw new Error("nobody is at home");
  return { action: "accept", content };
}

export function connect(generation: Generation, options: PeerOptions): Promise<Peer> {
  return generation === "session client (SDK 1)" ? connectV1(options) : connectV2(options);
}

async function connectV1(options: PeerOptions): Promise<Peer> {
  const client = new Client({ name: options.info ?? "old", version: "1" }, { capabilities });
  const heard: string[] = [];
  client.setRequestHandler(CreateMessageRequestSchema, () => sampled);
  client.setRequestHandler(ElicitRequestSchema, () => elicited(options));
  client.setRequestHandler(ListRootsRequestSchema, () => rooted);
  client.setNotificationHandler(ToolListChangedNotificationSchema, () => void heard.push("toolsChanged"));
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => void heard.push(params.uri));
  const { url = "", headers = {} } = options;
  const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } });
  await client.connect(transport);
  return {
    name: client.getServerVersion()?.name,
    capabilities: client.getServerCapabilities() ?? {},
    heard,
    tools: async () => (await client.listTools()).tools.map(({ name }) => name),
    async call(name, given = {}, signal, onprogress) {
      const more = { ...(signal === undefined ? {} : { signal }), ...(onprogress === undefined ? {} : { onprogress }) };
      return textOf(await client.callTool({ name, arguments: { ...given } }, undefined, more));
    },
    read: async (uri) => JSON.stringify((await client.readResource({ uri })).contents),
    prompt: async (name, given) => JSON.stringify((await client.getPrompt({ name, arguments: given })).messages),
    listen: async (uri) => void (await client.subscribeResource({ uri })),
    async close() {
      await transport.terminateSession();
      await client.close();
    },
  };
}

async function connectV2(options: PeerOptions): Promise<Peer> {
  const heard: string[] = [];
  const client = new ClientV2(
    { name: options.info ?? "new", version: "1" },
    { capabilities, versionNegotiation: { mode: "auto" } },
  );
  client.setRequestHandler("sampling/createMessage", () => sampled);
  client.setRequestHandler("elicitation/create", () => elicited(options));
  client.setRequestHandler("roots/list", () => rooted);
  client.setNotificationHandler("notifications/tools/list_changed", () => void heard.push("toolsChanged"));
  client.setNotificationHandler("notifications/resources/updated", ({ params }) => void heard.push(params.uri));
  const { url = "", headers = {} } = options;
  await client.connect(options.transport ?? new TransportV2(new URL(url), { requestInit: { headers } }));
  if (client.getNegotiatedProtocolVersion() !== "2026-07-28")
    throw new Error(`it speaks ${client.getNegotiatedProtocolVersion()}`);
  return {
    name: client.getServerVersion()?.name,
    capabilities: client.getServerCapabilities() ?? {},
    heard,
    tools: async () => (await client.listTools({}, { cacheMode: "refresh" })).tools.map(({ name }) => name),
    async call(name, given = {}, signal, onprogress) {
      const more = { ...(signal === undefined ? {} : { signal }), ...(onprogress === undefined ? {} : { onprogress }) };
      return textOf(await client.callTool({ name, arguments: { ...given } }, more));
    },
    read: async (uri) => JSON.stringify((await client.readResource({ uri })).contents),
    prompt: async (name, given) => JSON.stringify((await client.getPrompt({ name, arguments: given })).messages),
    listen: async (uri) => void (await client.listen({ toolsListChanged: true, resourceSubscriptions: [uri] })),
    close: () => client.close(),
  };
}
