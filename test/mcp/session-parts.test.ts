/** What one session over many servers shows its client: names, lists in time, schemas, roots; each part by itself. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MergedCatalog } from "../../src/mcp/session/merged-catalog.ts";
import { MergedViews } from "../../src/mcp/session/merge.ts";
import { OwnCalls } from "../../src/mcp/session/own-calls.ts";
import { AskedRoots } from "../../src/mcp/session/roots.ts";
import { ManualClock } from "../helpers/manual-clock.ts";

const turns = async () => {
  for (let turn = 0; turn < 3; turn += 1) await new Promise(setImmediate);
};

describe("a client's roots", () => {
  function begin(hasRoots = true) {
    const clock = new ManualClock();
    let asked = 0;
    const roots = new AskedRoots(clock, hasRoots, "s", () => (asked += 1));
    return { clock, roots, asked: () => asked };
  }
  const answer = (result: object) => Buffer.from(JSON.stringify({ result }));

  it("are asked for once, for all who want them, and again when they have changed", async () => {
    const { clock, roots, asked } = begin();
    const both = [roots.learn(), roots.learn()];
    assert.deepEqual([asked(), roots.wasAsked], [1, false]);
    assert.equal(roots.hear(7, answer({ roots: [] })), false, "an answer to another question");
    assert.equal(roots.hear(1, answer({ roots: [{ uri: "file:///a" }] })), true);
    assert.deepEqual(await Promise.all(both), [[{ uri: "file:///a" }], [{ uri: "file:///a" }]]);
    assert.deepEqual([roots.now, await roots.learn(), asked(), clock.pending], [[{ uri: "file:///a" }], [{ uri: "file:///a" }], 1, 0]);
    assert.equal(roots.hear(1, answer({ roots: [] })), false, "a second answer");
    roots.changed();
    const again = roots.learn();
    roots.hear(2, answer({ roots: [] }));
    assert.deepEqual([await again, asked()], [[], 2]);
  }); // prettier-ignore

  it("of a client that does not answer, or answers nonsense, are like nobody else's", async () => {
    const silent = begin();
    const learning = silent.roots.learn();
    silent.clock.advance(4999);
    assert.equal(silent.roots.wasAsked, false);
    silent.clock.advance(1);
    assert.deepEqual([await learning, silent.roots.wasAsked], [{ unknownTo: "s" }, true]);
    const odd = begin();
    const other = odd.roots.learn();
    odd.roots.hear(1, answer({ roots: "all" }));
    assert.deepEqual(await other, { unknownTo: "s" });
  });

  it("are nothing for one that has none, what they were for the next front, and nobody waits once it is gone", async () => {
    const none = begin(false);
    assert.deepEqual([await none.roots.learn(), none.asked()], [undefined, 0]);
    const restored = begin();
    restored.roots.restore([1]);
    assert.deepEqual([await restored.roots.learn(), restored.roots.now, restored.asked()], [[1], [1], 0]);
    const closed = begin();
    const waiting = closed.roots.learn();
    closed.roots.close();
    assert.deepEqual([await waiting, closed.clock.pending], [{ unknownTo: "s" }, 0]);
  });
});

describe("a call of Holdfast's own tool", () => {
  it("is answered with its result, or failed, and given up when its client cancels it", async () => {
    const own = new OwnCalls({ id: "s" } as never);
    const calls = ["good", "bad", "slow"].map((id) => {
      const told: unknown[] = [];
      const call = { params: { clientId: Buffer.from(JSON.stringify(id)) } };
      return { told, call: Object.assign(call, { answer: (text: unknown) => told.push(String(text)), fail: (fault: unknown) => told.push(fault) }) as never };
    });
    const aborted: boolean[] = [];
    const tool = (work: () => Promise<unknown>) => ({
      call: (given: unknown, { signal }: { signal: AbortSignal }) => {
        signal.addEventListener("abort", () => aborted.push(true));
        assert.deepEqual(given, { a: 1 });
        return work();
      },
    });
    const body = Buffer.from('{"params":{"arguments":{"a":1}}}');
    const works = [async () => ({ ok: 1 }), () => Promise.reject(new Error("no")), () => new Promise(() => {})];
    for (const [index, { call }] of calls.entries()) own.perform(call, tool(works[index]!) as never, body);
    await turns();
    assert.match(String(calls[0]?.told[0]), /\{"ok":1\}/);
    assert.deepEqual(calls.map(({ told }) => told.length), [1, 1, 0]);
    own.done(calls[0]!.call);
    assert.deepEqual(aborted, []);
    own.done(calls[2]!.call);
    assert.deepEqual(aborted, [true]);
  }); // prettier-ignore
});

describe("the lists of all servers", () => {
  type Learnt = { resolve: () => void; reject: (why: Error) => void };

  function begin(names: string[], isPrefixed = true) {
    const clock = new ManualClock();
    const [told, logged]: [string[], string[]] = [[], []];
    const learning = new Map<string, Learnt>();
    let ids = 0;
    const metadata = (tools: object[]) => ({
      id: ++ids,
      learnedAt: 0,
      initialize: { protocolVersion: "2025-11-25", capabilities: { tools: {} }, serverInfo: {} },
      lists: { tools, prompts: [], resources: [], resourceTemplates: [] },
    });
    const asked: string[] = [];
    const all = names.map((name) => {
      const binding = {
        name,
        metadata: undefined as unknown,
        isKnown: false,
        breaker: {
          isSilent: false,
          failures: 0,
          lastFailure: "",
          waitedInVain: () => (binding.breaker.isSilent = true),
          look: (work: () => Promise<void>) => work(),
        },
        learn: () => {
          asked.push(name);
          return new Promise<void>((resolve, reject) => learning.set(name, { resolve, reject }));
        },
      };
      return binding;
    });
    const bindings = { all, named: (name: string) => all.find((one) => one.name === name) };
    const catalog = new MergedCatalog({
      bindings: bindings as never,
      views: new MergedViews(),
      isPrefixed,
      session: { id: "s", ended: false } as never,
      client: { say: ({ method }: { method: string }) => void told.push(method.split("/")[1]!) } as never,
      clock,
      log: (event, fields) => void logged.push(`${event} ${JSON.stringify(fields)}`),
      listMs: 1000,
    });
    const up = async (name: string, ...tools: string[]) => {
      const binding = all.find((one) => one.name === name)!;
      const inputSchema = { type: "object", properties: { where: { type: "string", "x-mcp-header": "Where" } } };
      Object.assign(binding, { metadata: metadata(tools.map((tool) => ({ name: tool, inputSchema }))), isKnown: true });
      learning.get(name)?.resolve();
      await turns();
    };
    return { clock, told, logged, catalog, up, all, learning, asked };
  }
  const toolsOf = (merged: { lists: { tools: Buffer } }) =>
    (JSON.parse(merged.lists.tools.toString()) as { tools: { name: string }[] }).tools.map(({ name }) => name);

  it("wait for those that start, all of them at once, and no longer than that takes", async () => {
    const { clock, catalog, up, asked } = begin(["a", "b"]);
    const listing = catalog.merged();
    assert.deepEqual([asked, catalog.isPartial], [["a", "b"], true]);
    await up("a", "x");
    let isThere = false;
    void listing.then(() => (isThere = true));
    await turns();
    assert.equal(isThere, false);
    await up("b", "y");
    assert.deepEqual(toolsOf(await listing), ["a__x", "b__y"]);
    assert.deepEqual([clock.pending, catalog.isPartial], [0, false]);
    assert.equal(await catalog.merged(), await catalog.merged(), "the same for the same servers");
    assert.equal(asked.length, 2);
  });

  it("go on without one that does not answer, say so once, and change when it does", async () => {
    const { clock, told, logged, catalog, up, all } = begin(["a", "b"]);
    const listing = catalog.merged();
    await up("a", "x");
    clock.advance(400);
    const again = catalog.merged();
    clock.advance(599);
    await turns();
    assert.equal(all[1]!.breaker.isSilent, false);
    clock.advance(1);
    assert.deepEqual(toolsOf(await listing), ["a__x"]);
    clock.advance(400);
    assert.deepEqual(toolsOf(await again), ["a__x"]);
    await turns();
    assert.equal(logged.filter((line) => line.includes("no answer within limits.listMs = 1000")).length, 1);
    assert.deepEqual(toolsOf(await catalog.merged()), ["a__x"], "nobody waits for it twice");
    assert.deepEqual([told, clock.pending], [[], 0]);
    await up("b", "y");
    catalog.changed();
    assert.deepEqual([told, toolsOf(catalog.now())], [["tools"], ["a__x", "b__y"]]);
    catalog.changed();
    assert.deepEqual(told, ["tools"], "nothing has changed since");
  });

  it("go on without one that cannot be started, and say why", async () => {
    const { logged, catalog, up, learning } = begin(["a", "b"]);
    const listing = catalog.merged();
    await up("a", "x");
    learning.get("b")!.reject(new Error("no such program"));
    assert.deepEqual(toolsOf(await listing), ["a__x"]);
    assert.ok(logged.some((line) => line.includes("no such program")));
  });

  it("look again at one that stays silent, later and later, until it comes up or the session is over", async () => {
    const { clock, catalog, up, learning, asked, told } = begin(["a", "b"]);
    const fail = async () => {
      learning.get("b")!.reject(new Error("no answer"));
      await turns();
    };
    const listing = catalog.merged();
    await up("a", "x");
    clock.advance(1000);
    await listing;
    assert.deepEqual(
      catalog.absent,
      [{ name: "b", problem: "it has not answered yet; its tools are announced when it comes up" }],
      "the model is told",
    );
    const pauses = [30_000, 60_000, 120_000, 240_000, 480_000, 600_000, 600_000];
    for (const [index, pauseMs] of pauses.entries()) {
      await fail();
      clock.advance(pauseMs - 1);
      await turns();
      assert.equal(asked.length, 2 + index, `before ${pauseMs} ms`);
      clock.advance(1);
      await turns();
      assert.equal(asked.length, 3 + index, `after ${pauseMs} ms`);
    }
    await up("b", "y");
    catalog.changed();
    assert.deepEqual([told, catalog.absent, clock.pending], [["tools"], [], 0]);
    const over = begin(["c"]);
    const first = over.catalog.merged();
    over.clock.advance(1000);
    await first;
    over.learning.get("c")!.reject(new Error("no answer"));
    await turns();
    assert.equal(over.clock.pending, 1);
    over.catalog.close();
    assert.equal(over.clock.pending, 0);
  });

  it("are announced as changed only to a client that has seen them", async () => {
    const { told, catalog, up } = begin(["a"]);
    await up("a", "x");
    catalog.changed();
    assert.deepEqual(told, []);
    catalog.show();
    catalog.changed();
    assert.deepEqual(told, []);
    catalog.changed(true);
    assert.deepEqual(told, ["tools"], "those that it may have missed");
    await up("a", "y");
    catalog.changed();
    assert.deepEqual(told, ["tools", "tools"]);
  });

  it("tell which arguments go in headers, as soon as the tool's server is known", async () => {
    const { catalog, up } = begin(["a", "b"]);
    await up("a", "x");
    assert.equal(catalog.mirrored("b__y"), undefined);
    assert.deepEqual(catalog.mirrored("c__z"), []);
    assert.equal(catalog.mirrored("a__x")?.length, 1);
    const learning = catalog.learnMirrored("b__y");
    await up("b", "y");
    assert.equal((await learning).length, 1);
  });
});
