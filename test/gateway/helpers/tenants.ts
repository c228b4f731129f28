/** A gateway with tokens of several kinds, and every way in which one of them may name a session or a run. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { Gateway, runCommand } from "../../helpers/gateway.ts";
import { Home } from "../../helpers/home.ts";
import { exchange, open } from "../../helpers/http.ts";
import { fixture } from "../../helpers/servers.ts";
import { bestTier } from "../../helpers/tiers.ts";
import { until } from "../../helpers/until.ts";
import { Talk } from "../../mcp/helpers/talk.ts";
import { Socket, type Answer } from "./socket.ts";

export const everybody = ["owner", "other", "reader", "admin"] as const;
export type Who = (typeof everybody)[number];
/** A status and the words of an answer, with the id that was asked for left out of them. */
export interface Outcome {
  status: number | string;
  text: string;
}

const light = { command: "sh", args: [fixture("light-server.sh")] };
const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "child", version: "1" } };
const beginning = { jsonrpc: "2.0", id: 1, method: "initialize", params };

export function outcomeOf({ result, error }: Answer, id: string): Outcome {
  if (error === undefined) return { status: "done", text: JSON.stringify(result) };
  return { status: error.data.code, text: error.message.replaceAll(id, "ID") };
}

export class Tenants implements AsyncDisposable {
  readonly home: Home;
  readonly gateway: Gateway;
  readonly tokens = {} as Record<Who, string>;

  private constructor(home: Home, gateway: Gateway) {
    this.home = home;
    this.gateway = gateway;
  }

  static async start(): Promise<Tenants> {
    const config = { mcpServers: { light }, exec: { enabled: true }, tools: { sessions: "run" } };
    const home = new Home(bestTier(), { ...config, stop: { stdinGraceMs: 100, termGraceMs: 100 } });
    const all = new Tenants(home, await Gateway.start(home));
    all.tokens.admin = all.gateway.token;
    all.tokens.owner = await all.addToken("one", "read,run");
    all.tokens.other = await all.addToken("two", "read,run");
    all.tokens.reader = await all.addToken("looker", "read");
    return all;
  }

  /** Resolves when the gateway knows it. */
  async addToken(name: string, scopes: string): Promise<string> {
    const { stdout, stderr } = await runCommand(this.home, ["tokens", "add", name, "--scopes", scopes]);
    assert.match(stdout, /^hft_/, stderr);
    const token = stdout.trim();
    const isGood = async () => (await this.rpc(token, "gateway.ping")).error === undefined;
    await until(`${name} is known`, isGood, { boundMs: 5000 });
    return token;
  }

  async rpc(token: string, method: string, given: object = {}): Promise<Answer> {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params: given });
    return JSON.parse((await exchange(`${this.gateway.url}/rpc`, { method: "POST", headers, body })).text) as Answer;
  }

  async session(path = "/mcp"): Promise<string> {
    const talk = new Talk(this.gateway.url + path, this.tokens.owner);
    const { status, text } = await talk.initialize();
    assert.equal(status, 200, text);
    return talk.session ?? "";
  }

  async run(token: string, given: object = {}): Promise<string> {
    const { result, error } = await this.rpc(token, "run.start", { argv: ["/bin/cat"], kind: "pty", ...given });
    assert.equal(error, undefined);
    return (result as { id: string }).id;
  }

  async socketCall(token: string, method: string, given: object, id: string): Promise<Outcome> {
    await using socket = await Socket.open(this.gateway.url, { token });
    return outcomeOf(await socket.call(method, given), id);
  }

  async http(token: string, method: string, path: string, id: string, more: object = {}): Promise<Outcome> {
    const talk = new Talk(this.gateway.url + path, token);
    talk.session = id;
    const body = method === "POST" ? { body: '{"jsonrpc":"2.0","id":1,"method":"tools/list"}' } : {};
    const given = { method, headers: { ...talk.headers(), ...more }, ...body, boundMs: 10_000 };
    const response = await open(talk.url, given);
    // Of a stream its head is all that there is.
    if (method === "GET" && response.statusCode === 200) {
      response.destroy();
      return { status: 200, text: "" };
    }
    let text = "";
    for await (const chunk of response) text += String(chunk);
    return { status: response.statusCode ?? 0, text: text.replaceAll(id, "ID") };
  }

  async child(token: string, path: string, id: string): Promise<Outcome> {
    const talk = new Talk(this.gateway.url + path, token);
    const { status, text } = await talk.post(beginning, { "x-holdfast-parent": id });
    return { status, text: text.replaceAll(id, "ID") };
  }

  /** The first line that a stdio client is sent, whose session is to be a child of that one. */
  async lineChild(token: string, id: string): Promise<Outcome> {
    const { hostname, port, host } = new URL(this.gateway.url);
    const socket = connect(Number(port), hostname);
    const head = `GET /mcp HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${token}\r\nConnection: Upgrade\r\n`;
    socket.write(`${head}Upgrade: holdfast-stdio\r\nX-Holdfast-Parent: ${id}\r\n\r\n`);
    socket.write(`${JSON.stringify(beginning)}\n`);
    let text = "";
    for await (const chunk of socket) {
      text += String(chunk);
      if (text.includes('"jsonrpc"') && text.endsWith("}\n")) break;
      if (text.startsWith("HTTP/1.1 403")) return { status: 403, text: "" };
    }
    const line = text.slice(text.indexOf("\r\n\r\n") + 4);
    return outcomeOf(JSON.parse(line.split("\n")[0] ?? "") as Answer, id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.gateway[Symbol.asyncDispose]();
    await this.home[Symbol.asyncDispose]();
  }
}
