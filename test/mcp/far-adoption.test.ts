/** The front may die under servers of other machines too: the ones behind ssh stay, remote ones are connected to anew. */
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { describe, it } from "node:test";
import { needsSshd } from "../helpers/needs.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { boundMs, Place } from "../ssh/place.ts";
import { patiently, until } from "../helpers/until.ts";
import { actorFile, callText, namesOf } from "./helpers/assembled.ts";
import { Talk, type Message } from "./helpers/talk.ts";

/** A remote server whose one tool tells which of its sessions was asked. */
class Remote implements AsyncDisposable {
  sessions = 0;
  readonly heard: (string | undefined)[] = [];
  readonly #server = http.createServer((request, response) => void this.#take(request, response));

  async listen(): Promise<string> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  async #take(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    if (request.method !== "POST") return void response.writeHead(405).end();
    const { id, method, params } = (await json(request)) as Message;
    this.heard.push(method);
    if (id === undefined) return void response.writeHead(202).end();
    const session = method === "initialize" ? `s${++this.sessions}` : String(request.headers["mcp-session-id"]);
    const results: Record<string, object> = {
      initialize: {
        protocolVersion: params?.["protocolVersion"],
        capabilities: { tools: {}, logging: {} },
        serverInfo: { name: "remote", version: "1" },
      },
      "tools/list": { tools: [{ name: "do", inputSchema: { type: "object" } }] },
      "tools/call": { content: [{ type: "text", text: `remote:${session}` }] },
    };
    const body = JSON.stringify({ jsonrpc: "2.0", id, result: results[String(method)] ?? {} });
    response.writeHead(200, { "content-type": "application/json", "mcp-session-id": session }).end(body);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}

describe("servers of other machines when the front died", { timeout: patiently(120_000), skip: needsSshd() }, () => {
  leavesNothing();

  it("behind ssh they go on, own and pooled; a remote one gets a new session with the next call, and hears the log level", async () => {
    await using remote = new Remote();
    await using place = await Place.make();
    const far = (name: string, more: object = {}) => ({
      command: process.execPath,
      args: [actorFile, name, "do"],
      host: "ssh:far",
      ...more,
    });
    const servers = { own: far("own"), pool: far("pool", { share: "pool" }), remote: { url: await remote.listen() } };
    const gateway = await place.serve(servers);
    const talk = new Talk(`${gateway.url}/mcp`, gateway.token);
    assert.equal((await talk.initialize()).status, 200);
    const pids = () => Promise.all(["own", "pool"].map((name) => callText(talk, `${name}__do`)));
    const before = await pids();
    assert.match(before.join(" "), /^own:\d+ pool:\d+$/);
    assert.equal(await callText(talk, "remote__do"), "remote:s1");
    await talk.request("logging/setLevel", { level: "debug" });
    const names = await namesOf(talk);

    const { front } = gateway.pids;
    process.kill(front, "SIGKILL");
    await gateway.renewed({ front });
    assert.deepEqual(await pids(), before);
    assert.deepEqual(await namesOf(talk), names);
    assert.equal(remote.sessions, 1, "nobody needed it yet");
    assert.equal(await callText(talk, "remote__do"), "remote:s2");
    const levels = () => remote.heard.filter((method) => method === "logging/setLevel").length;
    await until("it hears the log level as the one before did", () => levels() === 2, { boundMs });

    await talk.delete();
    const isEmpty = async () => ((await gateway.rpc("run.list", { all: false })) as unknown[]).length === 0;
    await until("nothing is left", isEmpty, { boundMs });
  });
});
