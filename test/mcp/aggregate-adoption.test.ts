/** The front may die under /mcp too: sessions over several servers go on with the same processes, their own and the shared. */
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { createInterface } from "node:readline";
import type { Duplex } from "node:stream";
import { describe, it } from "node:test";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { patiently, until } from "../helpers/until.ts";
import { actorFile, callText, namesOf, textOf } from "./helpers/assembled.ts";
import { loose, Stage, type RunRow } from "./helpers/stage.ts";
import { Events, Talk, type Message } from "./helpers/talk.ts";
import { open } from "../helpers/http.ts";
import { fixture } from "../helpers/servers.ts";
import { StatelessTalk } from "./helpers/stateless.ts";

const boundMs = 15_000;
const actor = (name: string, more: object = {}) => ({
  command: process.execPath,
  args: [actorFile, name, "do"],
  ...more,
});
const pooled = actor("pool", { share: "pool" });
const both = { own: actor("own"), pool: pooled };

async function begin(stage: Stage, path = "/mcp", capabilities: object = {}): Promise<Talk> {
  const talk = new Talk(`${stage.gateway.url}${path}`, stage.gateway.token);
  const params = { protocolVersion: "2025-11-25", capabilities, clientInfo: { name: "talk", version: "1" } };
  const answer = await talk.post({ jsonrpc: "2.0", id: 0, method: "initialize", params });
  assert.equal(answer.status, 200);
  talk.session = answer.headers["mcp-session-id"] as string | undefined;
  return talk;
}

const pidsOf = (talk: Talk, names: string[]) => Promise.all(names.map((name) => callText(talk, `${name}__do`)));

async function heardBy(talk: Talk, server: string): Promise<Message[]> {
  return JSON.parse(await callText(talk, `${server}__heard`)) as Message[];
}

/** Waits until the call is with its server; what becomes of it is the promise inside. */
async function inFlight(talk: Talk, server: string, given: object): Promise<{ end: Promise<string> }> {
  const end = loose(talk.request("tools/call", { name: `${server}__do`, arguments: given }));
  const isThere = async () => JSON.stringify(await heardBy(talk, server)).includes(JSON.stringify(given));
  await until("the call is with the server", isThere, { boundMs });
  return { end };
}

const shape = (runs: RunRow[]) =>
  runs.map(({ id, pid, server, state }) => `${server} ${id} ${pid} ${state}`).toSorted();

describe("sessions of /mcp whose front died", { timeout: patiently(120_000), concurrency: 3 }, () => {
  leavesNothing();

  it("leave their servers to the next one, for clients without sessions and servers without sessions too", async () => {
    const stateless = { command: process.execPath, args: [fixture("stateless-server.ts")] };
    await using stage = await Stage.set({ own: actor("own"), new: stateless });
    const at = (saying: object) =>
      new StatelessTalk(`${stage.gateway.url}/mcp`, { ...saying, bearer: stage.gateway.token });
    const talks = [at({ scope: "mine" }), at({ name: "crowd" })];
    const session = await begin(stage);
    const pids = async () => [
      ...(await Promise.all(talks.flatMap((talk) => [talk.text("own__do"), talk.text("new__pid")]))),
      await callText(session, "new__pid"),
    ];
    const before = await pids();
    assert.equal(new Set(before).size, 5, before.join(" "));
    await stage.killFront();
    assert.deepEqual(await pids(), before);
  });

  it("go on with the same processes and lists; calls in flight break and are cancelled at their servers", async () => {
    await using stage = await Stage.set(both);
    const [one, two] = [await begin(stage), await begin(stage)];
    // A scope stands for a session as well.
    const three = new Talk(`${stage.gateway.url}/mcp?scope=mine`, stage.gateway.token);
    const talks = [one, two, three];
    const pids = await Promise.all(talks.map((talk) => pidsOf(talk, ["own", "pool"])));
    assert.equal(new Set(pids.map(([own]) => own)).size, 3, "each has its own");
    assert.equal(new Set(pids.map(([, shared]) => shared)).size, 1, "all share one");
    await callText(three, "own__do", { list: ["do", "late"] });
    await until("its own list", async () => (await namesOf(three)).includes("own__late"), { boundMs });
    const lists = await Promise.all(talks.map(namesOf));
    const before = shape(await stage.runs());
    assert.equal(before.length, 4);
    const calls = [await inFlight(one, "own", { wait: "a" }), await inFlight(two, "pool", { wait: "b" })];

    for (const round of [1, 2]) {
      await stage.killFront();
      assert.deepEqual(shape(await stage.runs()), before, `round ${round}`);
      assert.deepEqual(await Promise.all(talks.map((talk) => pidsOf(talk, ["own", "pool"]))), pids);
      assert.deepEqual(await Promise.all(talks.map(namesOf)), lists);
    }
    assert.deepEqual(await Promise.all(calls.map(({ end }) => end)), ["broken", "broken"]);
    for (const [talk, server, name] of [
      [one, "own", "a"],
      [two, "pool", "b"],
    ] as const) {
      const heard = await heardBy(talk, server);
      const asked = heard.find(({ params }) => (params?.["arguments"] as { wait?: string })?.wait === name);
      const ids = heard.filter(({ method }) => method === "notifications/cancelled").map(({ params }) => params);
      assert.ok(
        ids.some((params) => params?.["requestId"] === asked?.id),
        server,
      );
      // Its late answer goes to nobody, and the next call gets its own.
      assert.match(await callText(talk, `${server}__do`, { go: name }), new RegExp(`^${server}:\\d+$`));
    }

    assert.equal((await one.delete()).status, 204);
    assert.equal((await two.delete()).status, 204);
    assert.deepEqual(await pidsOf(three, ["own", "pool"]), pids[2], "one still holds the shared server");
    assert.equal((await three.delete()).status, 204);
    assert.deepEqual(await stage.runs(), []);
    assert.deepEqual(await stage.gateway.rpc("session.list"), []);
  });

  it("a question that a server had asked gets an error, once; subscriptions hold, and nobody hears what is another's", async () => {
    await using stage = await Stage.set(both);
    const [one, two] = [await begin(stage, "/mcp", { sampling: {} }), await begin(stage)];
    const body = { name: "own__do", arguments: { ask: "sampling/createMessage" } };
    const text = JSON.stringify({ jsonrpc: "2.0", id: "q", method: "tools/call", params: body });
    using events = new Events(await open(one.url, { method: "POST", headers: one.headers(), body: text, boundMs }));
    const question = await events.next();
    assert.equal(question?.method, "sampling/createMessage");
    const third = await begin(stage);
    await two.request("resources/subscribe", { uri: "memo://pool" });
    await pidsOf(third, ["pool"]);
    await stage.killFront();
    const replies = async () => (await heardBy(one, "own")).filter(({ method }) => method === undefined);
    const [reply] = await until("the error", async () => ((await replies()).length > 0 ? replies() : undefined), {
      boundMs,
    });
    assert.match(reply?.error?.message ?? "", /connection to the caller was lost/);
    await one.post({ jsonrpc: "2.0", id: question?.id, result: "late" });
    await stage.killFront();
    assert.equal((await replies()).length, 1, "the late answer is dropped, and nothing is left to settle");

    using streamTwo = await two.listen();
    using streamThree = await third.listen();
    const updated = { jsonrpc: "2.0", method: "notifications/resources/updated", params: { uri: "memo://pool" } };
    await callText(third, "pool__do", { say: updated });
    assert.equal((await streamTwo.next())?.method, "notifications/resources/updated");
    await Promise.all([one, two, third].map((talk) => talk.delete()));
    assert.equal(await streamThree.next(), undefined, "who did not subscribe heard nothing");
    assert.deepEqual(await stage.runs(), []);
  });

  it("a restart of the front does the same; a pooled server whose callers could be asked makes way for a clean one", async () => {
    await using stage = await Stage.set({ ...both, quick: actor("quick", { share: "pool", idleTimeoutMs: 1500 }) });
    const [plain, asking] = [await begin(stage), await begin(stage, "/mcp", { sampling: {} })];
    const pids = await pidsOf(plain, ["own", "pool", "quick"]);
    const [own, shared] = await pidsOf(asking, ["own", "pool"]);
    const { end } = await inFlight(asking, "pool", { wait: "x" });
    const { front } = stage.gateway.pids;
    await stage.gateway.rpc("gateway.restart", { all: false });
    await stage.gateway.renewed({ front });
    assert.equal(await end, "answered", "with the error that it lost its front");
    assert.deepEqual(await pidsOf(plain, ["own", "pool", "quick"]), pids);
    assert.equal(await callText(asking, "own__do"), own);
    const second = await callText(asking, "pool__do");
    assert.notEqual(second, shared);
    const broken = await inFlight(asking, "pool", { wait: "y" });
    await stage.killFront();
    assert.equal(await broken.end, "broken");
    assert.notEqual(await callText(asking, "pool__do"), second);
    assert.equal(await callText(asking, "own__do"), own);
    const isIdle = async () => (await stage.runs()).every(({ server }) => server !== "quick");
    await until("the idle time counts again", isIdle, { boundMs });
    await Promise.all([plain, asking].map((talk) => talk.delete()));
    await until("nothing is left", async () => (await stage.runs()).length === 0, { boundMs });
  });

  it("but a stdio client's session ends with its connection: its own servers are ended, the shared one stays with the others", async () => {
    await using stage = await Stage.set(both);
    const talk = await begin(stage);
    const pids = await pidsOf(talk, ["pool", "own"]);
    const before = shape(await stage.runs());
    using guest = await Guest.enter(stage);
    assert.equal(await guest.call("pool__do"), pids[0]);
    await guest.call("own__do");
    assert.equal((await stage.runs()).length, before.length + 1);
    await stage.killFront();
    await until("its own server is gone", async () => (await stage.runs()).length === before.length, { boundMs });
    assert.deepEqual(shape(await stage.runs()), before);
    const sessions = (await stage.gateway.rpc("session.list")) as { kind: string }[];
    assert.deepEqual(
      sessions.map(({ kind }) => kind),
      ["mcp"],
    );
    assert.deepEqual(await pidsOf(talk, ["pool", "own"]), pids);
    assert.equal((await talk.delete()).status, 204);
    assert.deepEqual(await stage.runs(), []);
  });
});

/** A stdio client as the gateway sees it: lines over one upgraded connection. */
class Guest implements Disposable {
  readonly #socket: Duplex;
  readonly #lines: AsyncIterator<string>;

  static async enter(stage: Stage): Promise<Guest> {
    const headers = {
      authorization: `Bearer ${stage.gateway.token}`,
      connection: "Upgrade",
      upgrade: "holdfast-stdio",
    };
    const request = http.request(`${stage.gateway.url}/mcp`, { headers }).end();
    const [, socket] = (await once(request, "upgrade")) as [http.IncomingMessage, Duplex];
    const guest = new Guest(socket);
    const clientInfo = { name: "guest", version: "1" };
    await guest.#ask("initialize", { protocolVersion: "2025-11-25", capabilities: {}, clientInfo });
    return guest;
  }

  private constructor(socket: Duplex) {
    this.#socket = socket;
    socket.on("error", () => {}); // the front is killed under it
    this.#lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  }

  async call(name: string): Promise<string> {
    return textOf([await this.#ask("tools/call", { name, arguments: {} })]);
  }

  async #ask(method: string, params: object): Promise<Message> {
    this.#socket.write(`${JSON.stringify({ jsonrpc: "2.0", id: method, method, params })}\n`);
    for (;;) {
      const { value, done } = await this.#lines.next();
      assert.ok(done !== true, "the connection ended");
      const message = JSON.parse(value) as Message;
      if (message.id === method) return message;
    }
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}
