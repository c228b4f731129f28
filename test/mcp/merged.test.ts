/** Several servers as one: whose each entry is, what all of them can do, and what they say about themselves. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { merge, MergedViews, type Part } from "../../src/mcp/session/merge.ts";

const schema = { type: "object" };
let ids = 0;

interface Given {
  tools?: object[];
  prompts?: object[];
  resources?: object[];
  resourceTemplates?: object[];
  capabilities?: object;
  instructions?: string;
}

function part(server: string, { capabilities = {}, instructions, ...lists }: Given): Part {
  const spoken = instructions === undefined ? {} : { instructions };
  const initialize = { protocolVersion: "2025-11-25", capabilities, serverInfo: {}, ...spoken };
  const none = { tools: [], prompts: [], resources: [], resourceTemplates: [] };
  return { server, metadata: { id: ++ids, learnedAt: 0, initialize, lists: { ...none, ...lists } } } as never;
}

const listed = (merged: ReturnType<typeof merge>, name: keyof ReturnType<typeof merge>["lists"]) =>
  (JSON.parse(merged.lists[name].toString()) as Record<string, Record<string, unknown>[]>)[name]!;

describe("several servers as one", () => {
  it("show each tool and prompt under its server's name, and a single one its own names", () => {
    const [a, b] = ["a", "b"].map((name) =>
      part(name, { tools: [{ name: "do", inputSchema: schema }], prompts: [{ name: "say" }] }),
    );
    const merged = merge([a!, b!], true);
    assert.deepEqual(listed(merged, "tools").map(({ name }) => name), ["a__do", "b__do"]);
    assert.deepEqual(listed(merged, "prompts").map(({ name }) => name), ["a__say", "b__say"]);
    assert.deepEqual(merged.tools.resolve("b__do"), { server: "b", name: "do" });
    assert.deepEqual(listed(merge([a!], false), "tools"), [{ name: "do", inputSchema: schema }]);
  }); // prettier-ignore

  it("have each resource once, that of the first who has it, and say who else claims it", () => {
    const resource = (name: string) => ({ uri: `x://${name}`, name });
    const merged = merge(
      [
        part("a", { resources: [resource("one"), resource("two")] }),
        part("b", {
          resources: [resource("two"), resource("three")],
          resourceTemplates: [{ uriTemplate: "y://{z}", name: "t" }],
        }),
      ],
      true,
    );
    assert.deepEqual([...merged.origins], [["x://one", "a"], ["x://two", "a"], ["x://three", "b"]]);
    assert.equal(listed(merged, "resources").length, 3);
    assert.deepEqual(merged.clashes, ["x://two: a and b; it is a's"]);
    assert.deepEqual(merged.templates.map(({ server, fits }) => [server, fits("y://1"), fits("z://1")]), [["b", true, false]]);
  }); // prettier-ignore

  it("can do what any of them can, and lists of all may change", () => {
    const capabilities = (...given: object[]) => merge(given.map((each, index) => part(`s${index}`, { capabilities: each })), true).capabilities;
    const changes = { listChanged: true };
    assert.deepEqual(capabilities({}, {}), { tools: changes });
    assert.deepEqual(capabilities({ prompts: {} }, { resources: {} }), { tools: changes, prompts: changes, resources: changes });
    assert.deepEqual(capabilities({ resources: { subscribe: true } }, { resources: {}, logging: {}, completions: {} }), {
      tools: changes,
      resources: { ...changes, subscribe: true },
      logging: {},
      completions: {},
    });
    assert.deepEqual(capabilities({ resources: { subscribe: false } }), { tools: changes, resources: changes });
  }); // prettier-ignore

  it("say what each of them says, and nothing when none does", () => {
    const said = (...given: (string | undefined)[]) =>
      merge(given.map((text, index) => part(`s${index}`, text === undefined ? {} : { instructions: text })), true).instructions;
    assert.deepEqual([said(), said(undefined, ""), said(undefined, undefined)], [undefined, undefined, undefined]);
    assert.equal(said("one", "", "two"), "# s0 (its tools begin with s0__)\none\n\n# s2 (its tools begin with s2__)\ntwo");
  }); // prettier-ignore

  it("say it within 16 KiB, each within its share, and that it was cut", () => {
    const head = "# a (its tools begin with a__)\n";
    const exact = "x".repeat(16_384 - head.length - 2);
    const of = (...texts: string[]) =>
      merge(texts.map((text, index) => part("abc"[index]!, { instructions: text })), true).instructions ?? "";
    assert.equal(of(exact), head + exact);
    const cut = of(`${exact}x`);
    assert.ok(cut.length <= 16_384 && cut.endsWith(`x\n[cut here: ${exact.length + 1} characters in all]`));
    const both = of("short", "y".repeat(20_000));
    assert.ok(both.length <= 16_384 && both.startsWith(`${head}short\n\n# b`) && both.includes("y".repeat(8000)));
    const whole = of(`${"x".repeat(16_383 - head.length - 2 - 42)}${"\u{1f600}".repeat(500)}`);
    assert.equal(whole, whole.toWellFormed(), "no half of a character");
  }); // prettier-ignore

  it("leave out what clients refuse a whole list for, and say so; a single one is left as it is", () => {
    const bad = part("a", {
      tools: [
        { name: "good", inputSchema: schema },
        { name: "odd", inputSchema: { type: "object", title: 1 } },
        { name: 5, inputSchema: schema },
        { name: "good", inputSchema: schema },
        { name: "none" },
      ],
    });
    const merged = merge([bad], true);
    assert.deepEqual(listed(merged, "tools").map(({ name }) => name), ["a__good", "a__odd"]);
    assert.deepEqual(listed(merged, "tools")[1]?.["inputSchema"], schema);
    const errors = merged.unlisted.map(({ server, error }) => `${server}: ${error}`);
    assert.match(errors.join("\n"), /a: tool "odd": inputSchema\.title left out/);
    assert.match(errors.join("\n"), /a: 3 of 5 tools are left out/);
    assert.equal(errors.length, 2);
    assert.deepEqual([listed(merge([bad], false), "tools").length, merge([bad], false).unlisted], [5, []]);
  }); // prettier-ignore

  it("name the arguments that go in headers, by the tool's exposed name", () => {
    const inputSchema = { type: "object", properties: { a: { type: "string", "x-mcp-header": "Where" } } };
    const merged = merge([part("a", { tools: [{ name: "do", inputSchema }, { name: "no", inputSchema: schema }] })], true);
    assert.deepEqual([...merged.mirrored], [["a__do", [{ path: ["a"], name: "Where" }]]]);
  }); // prettier-ignore

  it("are merged once for all sessions that have the same, and 32 of such views are kept", () => {
    const views = new MergedViews();
    const parts = Array.from({ length: 33 }, (_, index) => [part(`s${index}`, {})]);
    const first = views.of(parts[0]!, true);
    assert.equal(views.of(parts[0]!, true), first);
    assert.notEqual(views.of(parts[0]!, false), first);
    for (const each of parts.slice(1, 31)) views.of(each, true);
    assert.equal(views.of(parts[0]!, true), first, "32 views");
    views.of(parts[31]!, true);
    assert.notEqual(views.of(parts[0]!, true), first, "the oldest of 33 is gone");
  });
});
