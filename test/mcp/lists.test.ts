/** Lists of servers as clients can read them, and word of their changes to everybody who saw them. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { repairSchema } from "../../src/mcp/session/schemas.ts";
import { growthOf, linearMax } from "../helpers/growth.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { patiently } from "../helpers/until.ts";
import { actor, callText, heardOf, join, startFront } from "./helpers/assembled.ts";
import { behaved, RawRemote } from "./helpers/raw-remote.ts";
import { Talk } from "./helpers/talk.ts";

leavesNothing();

const inObject = (properties: object) => ({ type: "object", properties });

describe("a schema of a tool", () => {
  it("that everybody can read is the very object that it was", () => {
    const schemas = [
      { type: "object" },
      inObject({
        a: { type: ["string", "null"], enum: ["x", null], default: 1 },
        b: { not: true },
        type: { type: "string" },
      }),
      inObject({ a: { $ref: "#/$defs/a~1b" }, required: { items: [{ type: "number" }], minItems: 0 } }),
      {
        type: "object",
        additionalProperties: false,
        required: ["a"],
        "x-own": { type: "int" },
        examples: [{ type: "int" }],
      },
      {
        type: "object",
        properties: { p: { pattern: "^\\p{L}+$" } },
        patternProperties: { "^x": {} },
        not: {},
        anyOf: [{}, true],
      },
    ].map((schema) => ({ $defs: { "a/b": {} }, ...schema }));
    for (const schema of schemas) assert.deepEqual(repairSchema(schema, "s"), { schema, places: [] });
  });

  it("loses the keywords that are not what the standard asks for, and nothing else, at any place", () => {
    const cases: [given: object, repaired: object, place: string][] = [
      [inObject({ n: { type: "int" } }), inObject({ n: {} }), "s.properties.n.type"],
      [
        inObject({ n: { type: "object", required: true } }),
        inObject({ n: { type: "object" } }),
        "s.properties.n.required",
      ],
      [
        inObject({ n: { type: "object", required: "a" } }),
        inObject({ n: { type: "object" } }),
        "s.properties.n.required",
      ],
      [inObject({ n: "string" }), inObject({ n: {} }), "s.properties.n"],
      [inObject({ n: { items: { type: "str" } } }), inObject({ n: { items: {} } }), "s.properties.n.items.type"],
      [
        inObject({ n: { anyOf: [{ enum: "a" }, {}] } }),
        inObject({ n: { anyOf: [{}, {}] } }),
        "s.properties.n.anyOf.0.enum",
      ],
      [{ $defs: { d: { minimum: "1" } } }, { $defs: { d: {} } }, "s.$defs.d.minimum"],
      [{ properties: [1] }, {}, "s.properties"],
      [
        inObject({ n: { exclusiveMinimum: true, minimum: 1 } }),
        inObject({ n: { minimum: 1 } }),
        "s.properties.n.exclusiveMinimum",
      ],
      [inObject({ n: { $ref: "#/$defs/none" } }), inObject({ n: {} }), "s.properties.n.$ref"],
      [inObject({ n: { enum: [] } }), inObject({ n: {} }), "s.properties.n.enum"],
      [inObject({ n: { pattern: "(" } }), inObject({ n: {} }), "s.properties.n.pattern"],
      [inObject({ n: { allOf: [], type: [] } }), inObject({ n: {} }), "s.properties.n.allOf"],
    ];
    for (const [given, schema, place] of cases) {
      const repaired = repairSchema(given, "s");
      assert.deepEqual(repaired?.schema, schema, place);
      assert.equal(repaired?.places[0], place);
    }
  });

  it("is looked through in time that grows with it, and given up where it is too large or too deep", () => {
    const wide = (count: number) =>
      inObject(Object.fromEntries(Array.from({ length: count }, (_, at) => [`p${at}`, { type: "int" }])));
    const growth = growthOf((count) => void repairSchema(wide(count), "s"), 2000);
    assert.ok(growth < linearMax, growth.toFixed(1));
    assert.equal(repairSchema(wide(20_000), "s"), undefined);
    let deep: object = {};
    for (let at = 0; at < 500; at++) deep = { not: deep };
    assert.equal(repairSchema(deep, "s"), undefined);
  });
});

describe("a list of several servers", { timeout: patiently(60_000) }, () => {
  it("is whole where one tool's schema cannot be read: it is repaired, and named in the log", async () => {
    const bad = [
      { name: "int", inputSchema: inObject({ n: { type: "int" } }) },
      {
        name: "required",
        inputSchema: inObject({ n: { type: "object", required: "a" } }),
        outputSchema: inObject({ n: 1 }),
      },
      { name: "good", inputSchema: inObject({ n: { type: "integer" } }) },
    ];
    await using remote = await RawRemote.start((request) => {
      if (request.message.method !== "tools/list") return behaved(request, ({ reply }) => reply(405, "text/plain", ""));
      const text = JSON.stringify({ jsonrpc: "2.0", id: request.message.id, result: { tools: bad } });
      request.reply(200, "application/json", text);
    });
    const keeper = await startFront(
      { far: actor("far"), near: actor("near", "do") },
      { far: { kind: "http", url: remote.url, headers: {} } },
    );
    await using front = keeper;
    const talk = await join(front);
    // Known before they are listed: a list waits for nobody who is slow.
    for (const name of ["far__plain", "near__do"]) await callText(talk, name);
    const { messages } = await talk.request("tools/list");
    const tools = messages[0]?.result?.["tools"] as { name: string; inputSchema: object; outputSchema?: object }[];
    assert.deepEqual(
      tools.map(({ name, inputSchema, outputSchema }) => [name, inputSchema, outputSchema]),
      [
        ["far__int", inObject({ n: {} }), undefined],
        ["far__required", inObject({ n: { type: "object" } }), inObject({ n: {} })],
        ["far__good", inObject({ n: { type: "integer" } }), undefined],
        ["near__do", { type: "object" }, undefined],
      ],
    );
    await talk.delete();
    await keeper[Symbol.asyncDispose]();
    const log = await keeper.stderr;
    assert.match(log, /tool \\"int\\": inputSchema\.properties\.n\.type left out/);
    assert.match(
      log,
      /tool \\"required\\": inputSchema\.properties\.n\.required, outputSchema\.properties\.n left out/,
    );
  });

  it("of a pooled, idle-limited or remote server that changes is told to its clients at /mcp/<name>, of every kind", async () => {
    const servers = { pooled: actor("p", "do"), idle: actor("i", "do") };
    await using keeper = await startFront(servers, { pooled: { share: "pool" }, idle: { idleTimeoutMs: 600_000 } });
    for (const path of ["pooled", "idle"]) {
      const talk = await join(keeper, `/mcp/${path}`);
      const other = path === "pooled" ? await join(keeper, `/mcp/${path}`) : talk;
      using events = await other.listen();
      await callText(talk, "do");
      if (other !== talk) await callText(other, "do");
      const changes: [given: object, said: string][] = [
        [{ list: ["do", "more"] }, "notifications/tools/list_changed"],
        [{ prompts: ["greet", "leave"] }, "notifications/prompts/list_changed"],
        [{ resources: ["memo://new"] }, "notifications/resources/list_changed"],
      ];
      for (const [given, said] of changes) {
        await callText(talk, "do", given);
        await heardOf(events, said);
      }
      await talk.delete();
      if (other !== talk) await other.delete();
    }
  });
});

describe("a server that says less of itself than it must", { timeout: patiently(60_000) }, () => {
  for (const [what, said] of Object.entries({
    "serverInfo: null": { serverInfo: null, capabilities: { tools: {} } },
    "no capabilities": { serverInfo: { name: "x" } },
    "capabilities: null": { serverInfo: "x", capabilities: null },
    "tools: null": { serverInfo: [], capabilities: { tools: null, prompts: [] } },
  }))
    it(`(${what}) is served and probed as far as it goes`, async () => {
      await using remote = await RawRemote.start((request) => {
        const { method, id } = request.message;
        const answer = (result: object) =>
          request.reply(200, "application/json", JSON.stringify({ jsonrpc: "2.0", id, result }));
        if (method === "initialize") return answer({ protocolVersion: "2025-06-18", ...said });
        if (method?.endsWith("/list") === true) return answer({ tools: null, prompts: 7 });
        behaved(request, ({ reply }) => reply(405, "text/plain", ""));
      });
      await using keeper = await startFront(
        { far: actor("far") },
        { far: { kind: "http", url: remote.url, headers: {} } },
      );
      const rpc = new Talk(`${keeper.url}/rpc`);
      const { messages } = await rpc.request("mcp.probe", { server: "far" });
      assert.deepEqual(messages[0]?.result?.["tools"], [], JSON.stringify(messages));
      // Neither null nor a list: `holdfast mcp probe` reads its name.
      assert.equal(Object.prototype.toString.call(messages[0]?.result?.["serverInfo"]), "[object Object]");
      const talk = await join(keeper, "/mcp/far");
      assert.equal(await callText(talk, "plain"), "plain");
      await talk.delete();
    });
});
