/** A session and its runs are for the token that they belong to, and for `admin`: for everybody else they are not there. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { shortId } from "../../src/sessions/owner.ts";
import { runCommand } from "../helpers/gateway.ts";
import { exchange } from "../helpers/http.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { patiently } from "../helpers/until.ts";
import { Talk } from "../mcp/helpers/talk.ts";
import { Socket, type Answer } from "./helpers/socket.ts";
import { everybody, outcomeOf, Tenants, type Outcome, type Who } from "./helpers/tenants.ts";

leavesNothing();

const never = "neverwas".repeat(4);

describe("what belongs to a token", { timeout: patiently(240_000) }, () => {
  let all: Tenants;
  let tokens: Tenants["tokens"];
  before(async () => {
    all = await Tenants.start();
    ({ tokens } = all);
  });
  after(() => all[Symbol.asyncDispose]());
  const session = (path?: string) => all.session(path);
  const run = (token: string, params?: object) => all.run(token, params);
  const rpc = (token: string, method: string, params?: object) => all.rpc(token, method, params);

  interface Entry {
    /** A new one of what the entry is about, which belongs to the owner. */
    make: () => Promise<string>;
    ask: (token: string, id: string) => Promise<Outcome>;
  }

  const inSession = async () => run(tokens.owner, { sessionId: await session() });
  const outside = () => run(tokens.owner);
  const stay = async () => {
    await using socket = await Socket.open(all.gateway.url, { token: tokens.owner });
    return ((await socket.call("session.open")).result as { id: string }).id;
  };
  const onRun = (method: string, more: object = {}) => ({
    ask: async (token: string, id: string) => outcomeOf(await rpc(token, method, { id, ...more }), id),
  });
  const onSession = (method: string, key: string, more: object = {}) => ({
    make: session,
    ask: async (token: string, id: string) => outcomeOf(await rpc(token, method, { [key]: id, ...more }), id),
  });

  const runMethods: [string, object?][] = [
    ["run.log"],
    ["run.poll", { screen: true }],
    ["run.write", { data: "x" }],
    ["run.sendKeys", { keys: ["x"] }],
    ["run.submit", { text: "x" }],
    ["run.paste", { text: "x" }],
    ["run.resize", { columns: 90, rows: 20 }],
    ["run.signal", { signal: "SIGWINCH" }],
    ["run.wait", { waitMs: 0 }],
    ["run.kill", { now: true }],
    ["run.remove"],
  ];

  const entries: Record<string, Entry> = {
    ...Object.fromEntries(
      ["/mcp", "/mcp/light"].flatMap((path) =>
        ["POST", "GET", "DELETE"].map((method): [string, Entry] => [
          `${method} ${path}`,
          { make: () => session(path), ask: (token, id) => all.http(token, method, path, id) },
        ]),
      ),
    ),
    "a child of it at /mcp": { make: session, ask: (token, id) => all.child(token, "/mcp", id) },
    "a child of it at /mcp/light": { make: session, ask: (token, id) => all.child(token, "/mcp/light", id) },
    "a child of it over stdio": { make: session, ask: (token, id) => all.lineChild(token, id) },
    "session.open {parentId}": {
      make: session,
      ask: (token, id) => all.socketCall(token, "session.open", { parentId: id }, id),
    },
    "session.resume": { make: stay, ask: (token, id) => all.socketCall(token, "session.resume", { id }, id) },
    "session.end": onSession("session.end", "id"),
    "run.start {sessionId}": onSession("run.start", "sessionId", { argv: ["/bin/true"] }),
    ...Object.fromEntries(
      runMethods.flatMap(([method, more]): [string, Entry][] => [
        [`${method} in a session`, { make: inSession, ...onRun(method, more) }],
        [`${method} outside sessions`, { make: outside, ...onRun(method, more) }],
      ]),
    ),
  };

  for (const [name, { make, ask }] of Object.entries(entries)) {
    it(`is acted on by its owner and admin only: ${name}`, async () => {
      const [id, unknown] = [await make(), await ask(tokens.other, never)];
      const foreign = await ask(tokens.other, id);
      assert.deepEqual(foreign, unknown, "a foreign one and one that never was are answered alike");
      assert.match(`${foreign.status}`, /^(404|503|session_unknown|run_unknown)$/);
      const looked = await ask(tokens.reader, id);
      assert.match(`${looked.status}`, /^(403|forbidden)$/);
      for (const who of ["owner", "admin"] as const) {
        const { status, text } = await ask(tokens[who], who === "owner" ? id : await make());
        assert.match(`${status}`, /^(200|202|204|done)$/, `${who}: ${text}`);
      }
    });
  }

  // ── what is shown ──

  /** Every place where a caller sees what is not its own. */
  async function shownTo(token: string): Promise<string> {
    const looks = ["session.list", "run.list", "gateway.status", "node.list", "mcp.status"];
    const texts = await Promise.all(
      looks.map(async (method) => JSON.stringify(await rpc(token, method, method === "run.list" ? { all: true } : {}))),
    );
    const headers = { authorization: `Bearer ${token}` };
    return [...texts, (await exchange(`${all.gateway.url}/metrics`, { headers })).text].join("\n");
  }

  it("is shown under a whole session id to its owner and admin, and under a short one to others", async () => {
    const parent = await session();
    const started = await run(tokens.owner, { sessionId: parent });
    for (const who of everybody) {
      const text = await shownTo(tokens[who]);
      assert.ok(text.includes(shortId(parent).slice(0, 8)), who);
      assert.equal(text.includes(parent), who === "owner" || who === "admin", who);
      assert.ok(text.includes(started), `${who} sees that the run is there`);
    }
    const tool = new Talk(`${all.gateway.url}/mcp`, tokens.other);
    await tool.initialize();
    const { text } = await tool.request("tools/call", { name: "sessions", arguments: {} });
    assert.ok(text.includes(shortId(parent)) && !text.includes(parent));
  });

  it("is named in events by a whole session id to its owner and admin only, now and when they are read again", async () => {
    const names = ["session.opened", "session.ended", "run.intended"];
    const sockets = await Promise.all(everybody.map((who) => Socket.open(all.gateway.url, { token: tokens[who] })));
    try {
      const places = await Promise.all(sockets.map((socket) => socket.call("events.subscribe", { names })));
      const parentId = await session();
      const { result } = await rpc(tokens.owner, "run.start", { argv: ["/bin/cat"], sessionId: parentId });
      assert.ok(result !== undefined);
      const { text } = await all.child(tokens.owner, "/mcp", parentId);
      assert.match(text, /serverInfo/);
      assert.equal((await rpc(tokens.owner, "session.end", { id: parentId })).error, undefined);
      const isLast = ({ method, params }: Answer) => {
        const { name, data } = (params ?? {}) as { name?: string; data?: { session: string } };
        return method === "event" && name === "session.ended" && data?.session.slice(0, 8) === parentId.slice(0, 8);
      };
      for (const [index, socket] of sockets.entries()) {
        await socket.find(isLast);
        const who = everybody[index]!;
        const { stream, last } = places[index]!.result as { stream: string; last: number };
        socket.heard.push(...(await again(who, { names, stream, after: last }, isLast)));
        const named = socket.heard.filter(({ params }) => JSON.stringify(params ?? {}).includes(parentId.slice(0, 8)));
        assert.equal(named.length, 8, "opened, intended, opened below it, ended; twice");
        const whole = named.filter(({ params }) => JSON.stringify(params).includes(parentId));
        assert.equal(whole.length, who === "owner" || who === "admin" ? 8 : 0, who);
      }
    } finally {
      for (const socket of sockets) await socket[Symbol.asyncDispose]();
    }
  });

  async function again(who: Who, place: object, isLast: (answer: Answer) => boolean): Promise<Answer[]> {
    await using socket = await Socket.open(all.gateway.url, { token: tokens[who] });
    await socket.call("events.subscribe", place);
    await socket.find(isLast);
    return socket.heard;
  }

  it("is not shared by naming the same scope, with a session or without", async () => {
    const meta = {
      _meta: {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": { name: "same", version: "1" },
      },
    };
    const stateless = { "mcp-protocol-version": "2026-07-28", "mcp-method": "tools/list" };
    const kinds: [object, Record<string, string>][] = [
      [{}, { "x-holdfast-scope": "shared" }],
      [meta, { ...stateless, "x-holdfast-scope": "stateless" }],
      [meta, stateless],
    ];
    for (const [params, headers] of kinds) {
      const count = async () => ((await rpc(tokens.admin, "session.list")).result as unknown[]).length;
      const earlier = await count();
      for (const who of ["owner", "other", "owner"] as const) {
        const talk = new Talk(`${all.gateway.url}/mcp`, tokens[who]);
        const { status, text } = await talk.post({ jsonrpc: "2.0", id: 1, method: "tools/list", params }, headers);
        assert.equal(status, 200, text);
      }
      assert.equal((await count()) - earlier, 2, "one for each token");
    }
    const foreign = await all.http(tokens.other, "DELETE", "/mcp?scope=nobodys", "");
    assert.equal(foreign.status, 404);
  });

  it("is not replaced by another token's start under the same scope key", async () => {
    const start = { scopeKey: "web", replaceExistingScope: true };
    const stateOf = async (id: string) =>
      ((await rpc(tokens.admin, "run.wait", { id, waitMs: 0 })).result as { state: string }).state;
    const mine = await run(tokens.owner, start);
    const theirs = await run(tokens.other, start);
    assert.deepEqual([await stateOf(mine), await stateOf(theirs)], ["running", "running"]);
    const next = await run(tokens.owner, start);
    assert.deepEqual(
      [await stateOf(mine), await stateOf(theirs), await stateOf(next)],
      ["exited", "running", "running"],
    );
  });

  it("stays its owner's over the death of the front", async () => {
    const id = await session();
    const joined = await session("/mcp/light");
    const runs = [await run(tokens.owner, { sessionId: id }), await run(tokens.owner)];
    const { front } = all.gateway.pids;
    process.kill(front, "SIGKILL");
    await all.gateway.renewed({ front });
    for (const [path, sessionId] of [
      ["/mcp", id],
      ["/mcp/light", joined],
    ] as const) {
      assert.equal((await all.http(tokens.other, "POST", path, sessionId)).status, 404);
      assert.equal((await all.http(tokens.owner, "POST", path, sessionId)).status, 200);
    }
    for (const one of runs) {
      assert.equal((await rpc(tokens.other, "run.poll", { id: one })).error?.data.code, "run_unknown");
      assert.equal((await rpc(tokens.owner, "run.poll", { id: one })).error, undefined);
    }
    assert.equal((await shownTo(tokens.other)).includes(id), false);
  });

  it("is not a later token's that has the same name", async () => {
    const sessionId = await session();
    const left = await run(tokens.owner);
    assert.equal((await runCommand(all.home, ["tokens", "revoke", "one"])).code, 0);
    const token = await all.addToken("one", "read,run");
    assert.equal((await all.http(token, "POST", "/mcp", sessionId)).status, 404);
    assert.equal((await rpc(token, "run.poll", { id: left })).error?.data.code, "run_unknown");
    assert.equal((await rpc(tokens.admin, "run.poll", { id: left })).error, undefined);
  });
});
