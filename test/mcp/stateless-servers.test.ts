/** Real clients of both generations in front of a real server that keeps no sessions, and in front of one that knows nothing else. */
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { mirroredParams } from "../../src/mcp/wire/mirrored-params.ts";
import { token, type FakeKeeper } from "../gateway/helpers/fake-keeper.ts";
import { sample } from "../helpers/long.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { everythingFile } from "../helpers/servers.ts";
import { patiently, until } from "../helpers/until.ts";
import { join, startFront } from "./helpers/assembled.ts";
import { connect, generations, type Generation, type Peer } from "./helpers/peers.ts";
import { StatelessTalk } from "./helpers/stateless.ts";

leavesNothing();
const boundMs = 10_000;
const fixture = fileURLToPath(new URL("../fixtures/stateless-server.ts", import.meta.url));
const node = process.execPath;

/** Wants something of its client in words that nobody can read: each call says which. */
const clumsy = `
  const say = (id, result) => console.log(JSON.stringify({ jsonrpc: "2.0", id, result }));
  require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => {
    const { id, method, params } = JSON.parse(line);
    const offer = { supportedVersions: ["2026-07-28"], capabilities: { tools: {} } };
    if (method === "server/discover") say(id, offer);
    else if (method === "tools/list") say(id, { tools: [{ name: "odd", inputSchema: { type: "object" } }] });
    else if (method === "tools/call") say(id, { resultType: "input_required", ...params.arguments });
    else if (id !== undefined) console.log(JSON.stringify({ jsonrpc: "2.0", id, error: { code: -32601, message: "no" } }));
  });
`;

describe("real clients and servers of both eras", { timeout: patiently(90_000) }, () => {
  let keeper: FakeKeeper;
  let remote: ChildProcess;
  before(async () => {
    remote = spawn(node, [fixture, "--http"], { stdio: ["ignore", "pipe", "inherit"] });
    const [port] = (await once(createInterface({ input: remote.stdout! }), "line")) as [string];
    const stdio = { command: node, args: [fixture] };
    keeper = await startFront(
      {
        s: stdio,
        p: stdio,
        h: stdio,
        e: { command: node, args: [everythingFile(), "stdio"] },
        odd: { command: node, args: ["-e", clumsy] },
      },
      { p: { share: "pool" }, h: { kind: "http", url: `http://127.0.0.1:${port}/mcp`, headers: {} } },
    );
  });
  after(async () => {
    await keeper[Symbol.asyncDispose]();
    remote.kill();
    await once(remote, "exit");
  });

  const at = (generation: Generation, path: string, more: Partial<Parameters<typeof connect>[1]> = {}) =>
    connect(generation, {
      url: `${keeper.url}${path}`,
      headers: { authorization: `Bearer ${token}` },
      content: { sure: true, name: "Ada" },
      ...more,
    });

  async function useAll(peer: Peer, prefix: string): Promise<void> {
    assert.ok((await peer.tools()).includes(`${prefix}echo`));
    assert.equal(await peer.call(`${prefix}echo`, { message: "é" }), "é");
    assert.equal(
      await peer.call(`${prefix}deploy`, { env: "prod" }),
      'deployed to prod: {"sure":true,"name":"Ada"} as it was',
    );
    const both = JSON.parse(await peer.call(`${prefix}both`)) as { sum: { model: string }; roots: { roots: object[] } };
    assert.deepEqual([both.sum.model, both.roots.roots.length], ["m", 1]);
    const steps: unknown[] = [];
    assert.equal(await peer.call(`${prefix}steps`, {}, undefined, (step) => void steps.push(step)), "done");
    assert.deepEqual(steps, [
      { progress: 1, total: 2 },
      { progress: 2, total: 2 },
    ]);
    assert.match(await peer.read("note://one"), /a note/);
    assert.match(await peer.prompt(`${prefix}greet`, { name: "Bo" }), /Hello Bo/);
    await assert.rejects(peer.call(`${prefix}none`), /none/);
  }

  // Outside CI a path has one generation in front of it, and the other has the next path.
  for (const [turn, generation] of generations.entries()) {
    const alone = sample(["/mcp/s", "/mcp/h"], turn);
    for (const [path, name, prefix] of sample(
      [
        ["/mcp/s", "stateless", ""],
        ["/mcp/h", "stateless", ""],
        ["/mcp", "holdfast", "h__"],
      ] as const,
      turn,
    )) {
      it(`serves a ${generation} in front of a server without sessions, on ${path}`, async () => {
        const peer = await at(generation, path);
        assert.equal(peer.name, name);
        await useAll(peer, prefix);
        const who = JSON.parse(await peer.call(`${prefix}who`)) as Record<string, { name?: string; sampling?: object }>;
        assert.deepEqual(who["io.modelcontextprotocol/clientCapabilities"]?.sampling, {});
        await peer.close();
      });
    }

    it(`says in headers for a ${generation} what a tool wants said there`, async () => {
      for (const [path, prefix] of [
        ["/mcp/h", ""],
        ["/mcp", "h__"],
      ]) {
        const peer = await at(generation, path!, { info: "with headers" });
        // The SDK's server refuses a call whose headers do not say what its arguments say.
        for (const given of [
          { region: "us-west1", size: 42, sure: false },
          { region: " é\n", size: -7 },
          { region: "=?base64?eA==?=", deep: { tenant: "t" } },
          {},
        ])
          assert.deepEqual(JSON.parse(await peer.call(`${prefix}region`, given)), given);
        await peer.call(`${prefix}move`);
        assert.equal(await peer.call(`${prefix}region`, { region: "eu" }), '{"region":"eu"}');
        const tools = await peer.tools();
        assert.deepEqual(
          [`${prefix}region`, `${prefix}loose`].map((name) => tools.includes(name)),
          [true, false],
        );
        await peer.close();
      }
    });

    it(`tells a ${generation} of changes at a server without sessions`, async () => {
      for (const path of alone) {
        const peer = await at(generation, path, { info: "listening" });
        const before_ = await peer.tools();
        await peer.call("pid");
        await peer.listen("note://one");
        await peer.call("touch", { uri: "note://other" });
        await peer.call("touch", { uri: "note://one" });
        await until("it hears of the resource", async () => peer.heard.includes("note://one"), { boundMs });
        assert.ok(!peer.heard.includes("note://other"));
        const grown = await peer.call("grow");
        await until("it hears of the tools", async () => peer.heard.includes("toolsChanged"), { boundMs });
        assert.deepEqual([before_.includes(grown), (await peer.tools()).includes(grown)], [false, true], path);
        await peer.close();
      }
    });

    it(`cancels for a ${generation} what it gives up`, async () => {
      for (const path of alone) {
        const peer = await at(generation, path, { info: "giving up" });
        const before_ = Number(await peer.call("cancelled"));
        const gone = new AbortController();
        const given = peer.call("wait", {}, gone.signal, () => gone.abort());
        await assert.rejects(given);
        const isOver = async () => Number(await peer.call("cancelled")) === before_ + 1;
        await until("the server knows", isOver, { boundMs });
        await peer.close();
      }
    });

    it(`serves a ${generation} in front of a published server that knows sessions only`, async () => {
      const scope = generation === "stateless client (SDK 2)" ? { "x-holdfast-scope": "real" } : {};
      const headers = { authorization: `Bearer ${token}`, ...scope };
      const peer = await at(generation, "/mcp/e", { headers });
      assert.equal(await peer.call("echo", { message: "é" }), "Echo: é");
      assert.match(await peer.call("trigger-sampling-request", { prompt: "2+2?" }), /"text": "4"/);
      assert.match(await peer.call("trigger-elicitation-request"), /Ada/);
      assert.match(await peer.call("get-roots-list"), /somewhere/);
      const steps: unknown[] = [];
      const long = { duration: 0.2, steps: 2 };
      await peer.call("trigger-long-running-operation", long, undefined, (step) => void steps.push(step));
      assert.equal(steps.length, 2);
      await peer.close();
    });
  }

  it("refuses a call whose headers do not say what its arguments say, from the first one on", async () => {
    for (const path of ["/mcp/s", "/mcp"]) {
      const talk = new StatelessTalk(`${keeper.url}${path}`, { name: `by hand on ${path}` });
      const name = path === "/mcp" ? "s__region" : "region";
      const status = async (given: object, headers: Record<string, string> = {}) => {
        const message = { jsonrpc: "2.0", ...talk.message("tools/call", { name, arguments: given }) };
        const answer = await talk.post(message, { ...talk.headers("tools/call", { name }), ...headers });
        const { error, result } = answer.messages[0] ?? {};
        assert.ok((error?.code === -32_020) !== (result !== undefined), answer.text);
        return answer.status;
      };
      const encoded = `=?base64?${Buffer.from("é").toString("base64")}?=`;
      const wrong: [object, Record<string, string>?][] = [
        [{ region: "us" }],
        [{ region: "us" }, { "Mcp-Param-Region": "eu" }],
        [{ region: "us" }, { "Mcp-Param-Region": "US" }],
        [{ region: "é" }, { "Mcp-Param-Region": "é" }],
        [{ region: "é" }, { "Mcp-Param-Region": encoded.replace("=?=", "?=") }],
        [{ region: "a" }, { "Mcp-Param-Region": "=?base64?/w==?=" }],
        [{}, { "Mcp-Param-Region": "us" }],
        [{ size: 42 }, { "Mcp-Param-Size": "43" }],
        [{ sure: true }, { "Mcp-Param-Sure": "True" }],
        [{ deep: { tenant: "a" } }, { "Mcp-Param-Tenant": "b" }],
      ];
      for (const [given, headers] of wrong) assert.equal(await status(given, headers), 400, JSON.stringify(headers));
      const right: [object, Record<string, string>?][] = [
        [{}],
        [{ region: "us" }, { "MCP-PARAM-REGION": "us", "Mcp-Param-Other": "ignored" }],
        [{ region: "é" }, { "Mcp-Param-Region": encoded }],
        [
          { size: 42, sure: true },
          { "Mcp-Param-Size": "42.0", "Mcp-Param-Sure": "true" },
        ],
        [{ deep: { tenant: "a" } }, { "Mcp-Param-Tenant": "a" }],
      ];
      for (const [given, headers] of right) assert.equal(await status(given, headers), 200, JSON.stringify(headers));
    }
  });

  it("takes a tool's marks for what the revision says, and no others", () => {
    const tool = (properties: object, more: object = {}) => ({ type: "object", properties, ...more });
    const mark = (name: unknown = "A", type: unknown = "string") => ({ type, "x-mcp-header": name });
    const right: [object | undefined, string[]][] = [
      [undefined, []],
      [tool({ a: { type: "string" } }), []],
      [tool({ a: mark(), b: mark("b", "integer"), c: mark("C-1", "boolean") }), ["A", "b", "C-1"]],
      [tool({ a: tool({ b: tool({ c: mark("Deep") }) }) }), ["Deep"]],
      // A parameter of that very name, and a value that looks like a schema, are no marks.
      [tool({ "x-mcp-header": { type: "string" } }, { default: mark(), examples: [mark()] }), []],
    ];
    for (const [schema, names] of right) {
      const found = mirroredParams(schema);
      assert.deepEqual(typeof found === "string" ? found : found.map(({ name }) => name), names);
    }
    const wrongNames = ["", "a b", "a:b", "a\r\nb", "é", 5, null].map((name) => tool({ a: mark(name) }));
    const wrongTypes = ["number", "object", "array", "null", ["string", "null"]].map((type) =>
      tool({ a: mark("A", type) }),
    );
    const elsewhere = ["items", "oneOf", "anyOf", "allOf", "not", "if", "then", "else", "additionalProperties"].map(
      (key) => tool({ a: { [key]: key.endsWith("Of") ? [tool({ b: mark() })] : tool({ b: mark() }) } }),
    );
    const others = [mark(), tool({ a: { "x-mcp-header": "A" } }), tool({}, { $defs: { a: tool({ b: mark() }) } })];
    const twice = tool({ a: mark("Name"), b: tool({ c: mark("nAME") }) });
    for (const schema of [...wrongNames, ...wrongTypes, ...elsewhere, ...others, twice])
      assert.equal(typeof mirroredParams(schema), "string", JSON.stringify(schema));
  });

  it("asks the very client whose call it is, when two wait at one pooled server without sessions", async () => {
    const two = await Promise.all(
      ["one", "two"].map((name) => at("session client (SDK 1)", "/mcp/p", { content: { name } })),
    );
    const pids = await Promise.all(two.map((peer) => peer.call("pid")));
    assert.equal(new Set(pids).size, 1);
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, at_) => two[at_ % 2]!.call("deploy", { env: String(at_) })),
    );
    for (const [at_, answer] of answers.entries())
      assert.equal(answer, `deployed to ${at_}: {"name":"${at_ % 2 === 0 ? "one" : "two"}"} as it was`);
    await Promise.all(two.map((peer) => peer.close()));
  });

  it("outlives a server whose questions cannot be read, and tells the caller", async () => {
    const peer = await at("session client (SDK 1)", "/mcp/odd");
    for (const inputRequests of [null, "abc", [], { a: null }, { a: { method: 5 } }, { a: { method: "x", params: 1 } }])
      await assert.rejects(peer.call("odd", { inputRequests }), /questions that cannot be read/);
    await assert.rejects(peer.call("odd", { inputRequests: {}, requestState: 1 }), /questions that cannot be read/);
    await peer.close();
  });

  it("outlives a client whose requests nobody can bring to a server without sessions", async () => {
    for (const path of ["/mcp/s", "/mcp/h"])
      for (const odd of [
        { method: "tools/call", params: [1] },
        { method: "tools/call", params: null },
        { method: "tools/call", params: { name: "echo", _meta: 5 } },
        { method: "a\nb", params: {} },
        { method: "ping/x", params: { _meta: { "io.modelcontextprotocol/protocolVersion": "a\nb" } } },
        { method: "ping/x", params: { _meta: { "io.modelcontextprotocol/protocolVersion": { a: 1 } } } },
      ]) {
        // The first message of each session, which starts its server.
        const session = await join(keeper, path);
        const { status, messages } = await session.post({ jsonrpc: "2.0", id: 7, ...odd });
        assert.deepEqual([status, messages[0]?.id], [200, 7], JSON.stringify(odd));
        assert.match(JSON.stringify(messages[0]?.error), /-32[06]\d\d/, JSON.stringify(odd));
        assert.doesNotMatch(JSON.stringify(messages), /defect/, JSON.stringify(odd));
        await session.delete();
      }
  });

  it("tells the caller when its client cannot answer a question", async () => {
    const peer = await at("session client (SDK 1)", "/mcp/s", { content: undefined });
    await assert.rejects(peer.call("deploy", { env: "prod" }), /did not answer its question.*nobody is at home/);
    assert.equal(await peer.call("echo", { message: "still there" }), "still there");
    await peer.close();
  });
});
