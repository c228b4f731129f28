/** `/mcp`: several servers as one, without a word of theirs being changed but for ids, tokens and names. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { fits, readable } from "../../src/mcp/session/entries.ts";
import { merge, type Part } from "../../src/mcp/session/merge.ts";
import { NameBook } from "../../src/mcp/session/names.ts";
import { repairSchema } from "../../src/mcp/session/schemas.ts";
import type { FakeKeeper } from "../gateway/helpers/fake-keeper.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { patiently, until } from "../helpers/until.ts";
import { actor, callEvents, callText, join, namesOf, startFront, startsOf, textOf } from "./helpers/assembled.ts";
import { Talk } from "./helpers/talk.ts";

leavesNothing();

describe("names on one endpoint", () => {
  it("are <server>__<tool>, fit every model, and can be turned back, whatever they were", () => {
    const book = new NameBook();
    const items = [
      ["a", "plain"],
      ["a", "b__c"],
      ["a__b", "c"],
      ["a", "x".repeat(100)],
      ["a", `${"x".repeat(99)}y`],
      ["a", "dots.and/slashes"],
      ["a", "ümläut"],
      ["server-with-a-name-of-32-letters", "and_a_tool_with_a_name_as_long_as_that"],
    ].map(([server = "", name = ""]) => ({ server, name }));
    const exposed = items.map((item) => book.expose(item));
    assert.equal(exposed[0], "a__plain");
    assert.equal(new Set(exposed).size, items.length);
    for (const [at, name] of exposed.entries()) {
      assert.match(name, /^[A-Za-z0-9_-]{1,64}$/);
      assert.deepEqual(book.resolve(name), items[at]);
      assert.equal(book.expose(items[at]!), name, "the same again");
    }
    assert.deepEqual(book.clashes, ["a__b__c: a (b__c) and a__b (c)"]);
  });

  it("are never one for two tools, also where one is called what the other becomes", () => {
    const names = ["a_b_f9106e", "a b"];
    const book = new NameBook();
    const exposed = names.map((name) => book.expose({ server: "files", name }));
    assert.equal(exposed[0], "files__a_b_f9106e");
    assert.deepEqual(
      exposed.map((name) => book.resolve(name)?.name),
      names,
    );
  });
});

describe("lists of several servers", { timeout: patiently(10_000) }, () => {
  const inputSchema = { type: "object" };

  it("leave out what a client would refuse, with all that stands beside it, and the same again", () => {
    const good = { name: "good", description: "d", inputSchema };
    const bad = [{ name: 5, inputSchema }, {}, { name: "bare" }, { name: "null", inputSchema, description: null }];
    assert.deepEqual(readable("tools", [good, ...bad, good, { name: "also", inputSchema }]), [
      good,
      { name: "also", inputSchema },
    ]);
    assert.deepEqual(readable("resources", [{ uri: "a:b" }, { uri: "a:c", name: "c" }]), [{ uri: "a:c", name: "c" }]);
  });

  it("leave out what only adorns an entry where clients would refuse it, and keep the entry", () => {
    const tool = { name: "a", inputSchema, icons: [{ src: "x" }], annotations: { readOnlyHint: true } };
    const prompt = { name: "p", arguments: [{ name: "a" }] };
    const resource = { name: "r", uri: "a:b", size: 1, annotations: { lastModified: "2026-02-28T10:00:00Z" } };
    assert.deepEqual(readable("tools", [tool, { ...tool, name: "b", icons: null, annotations: { title: 1 } }]), [
      tool,
      { name: "b", inputSchema },
    ]);
    assert.deepEqual(readable("prompts", [prompt, { name: "q", arguments: [{}] }]), [prompt]);
    const odd = { ...resource, uri: "a:c", size: "1", annotations: { lastModified: "2026-02-30T10:00:00Z" } };
    assert.deepEqual(readable("resources", [resource, odd]), [resource, { name: "r", uri: "a:c" }]);
  });

  it("have an object for each argument, which clients require and JSON Schema does not", () => {
    const properties = { a: true, b: false, c: { properties: { d: true } } };
    const read = repairSchema({ type: "object", properties }, "inputSchema");
    const wanted = { a: {}, b: { not: {} }, c: { properties: { d: true } } };
    assert.deepEqual(read, { schema: { type: "object", properties: wanted }, places: [] });
  });

  it("hold no half of a character, which would cost strict readers the whole list", () => {
    const initialize = { protocolVersion: "", capabilities: {}, serverInfo: {}, instructions: "😀".repeat(9000) };
    const lists = { tools: [], prompts: [], resources: [], resourceTemplates: [] };
    const prompts = [{ name: "p", description: "\ud83d \\\\ud83d" }];
    const part = (server: string, id: number, more: object) =>
      ({ server, metadata: { id, initialize, lists: { ...lists, ...more }, learnedAt: 0 } }) as Part;
    const merged = merge([part("a", -1, { prompts }), part("ab", -2, {})], true);
    assert.ok(merged.instructions?.isWellFormed());
    const [prompt] = (JSON.parse(merged.lists.prompts.toString()) as { prompts: { description: string }[] }).prompts;
    assert.equal(prompt?.description, "\ufffd \\\\ud83d");
  });

  it("join instructions under their cap, headings and all", () => {
    const lists = { tools: [], prompts: [], resources: [], resourceTemplates: [] };
    const serverInfo = { name: "s", version: "1" };
    const initialize = {
      protocolVersion: "2025-11-25",
      capabilities: {},
      serverInfo,
      instructions: "i".repeat(90_000),
    };
    const parts = [-1, -2, -3].map((id) => ({ server: `s${id}`, metadata: { id, initialize, lists, learnedAt: 0 } }));
    const { instructions = "" } = merge(parts, true);
    assert.ok(instructions.length <= 16_384 && instructions.length > 16_000, String(instructions.length));
    assert.equal(instructions.match(/^# s-\d \(|\[cut here: 90000 characters in all\]/gm)?.length, 6);
  });

  it("find a template's addresses, in no time, however many expressions it has", () => {
    assert.ok(fits("note://{server}/{id}", "note://one/7") && fits("a{x}", "a") && fits("plain", "plain"));
    assert.ok(fits("{x}.md", "a.md.md") && fits("{a}b{c}b{d}b", "bbb") && fits("a.{x}", "a.\n"));
    assert.ok(!fits("note://{server}/{id}", "memo://one/7") && !fits("plain", "plain2") && !fits("{x}.md", "amd"));
    assert.ok(!fits("ab{x}ba", "aba"), "its two ends do not overlap");
    const template = `${"a{x}".repeat(40)}!`;
    assert.ok(fits(template, `${"a".repeat(100)}!`) && !fits(template, "a".repeat(10_000)));
  });
});

describe("/mcp", { timeout: patiently(60_000) }, () => {
  let keeper: FakeKeeper;
  before(async () => {
    keeper = await startFront({ one: actor("one", "echo", "same"), two: actor("two", "same") });
  });
  after(() => keeper[Symbol.asyncDispose]());

  it("offers the union of all servers, each name with its server's", async () => {
    const talk = await join(keeper);
    assert.deepEqual(await namesOf(talk), ["one__echo", "one__same", "two__same"]);
    const prompts = (await talk.request("prompts/list")).messages[0]?.result?.["prompts"];
    assert.deepEqual(prompts, [{ name: "one__greet" }, { name: "two__greet" }]);
    await talk.delete();
  });

  it("answers initialize itself: capabilities of all, instructions of all under their names", async () => {
    const talk = await join(keeper);
    const again = await talk.request("initialize");
    assert.equal(again.messages[0]?.error?.code, -32600);
    const params = { protocolVersion: "1999-01-01", capabilities: {}, clientInfo: { name: "old", version: "0" } };
    talk.session = undefined;
    const first = await talk.post({ jsonrpc: "2.0", id: "x", method: "initialize", params });
    const result = first.messages[0]?.result;
    assert.equal(result?.["protocolVersion"], "2025-11-25", "one that we know, when the client's is unknown");
    assert.deepEqual(result?.["capabilities"], {
      tools: { listChanged: true },
      prompts: { listChanged: true },
      resources: { listChanged: true, subscribe: true },
    });
    assert.match(String(result?.["instructions"]), /# one [\s\S]*I am one\.\n\n# two [\s\S]*I am two\./);
  });

  it("sends each call, prompt and resource to its server, under the server's own name for it", async () => {
    const talk = await join(keeper);
    assert.match(await callText(talk, "one__same"), /^one:/);
    assert.match(await callText(talk, "two__same"), /^two:/);
    const got = await talk.request("prompts/get", { name: "two__greet" });
    assert.equal(got.messages[0]?.result?.["description"], "two/greet");
    const read = async (uri: string) => (await talk.request("resources/read", { uri })).messages[0];
    assert.match(JSON.stringify((await read("memo://two"))?.result), /"text":"two"/);
    assert.match(JSON.stringify((await read("memo://both"))?.result), /"text":"one"/, "the first that offers it");
    assert.match(JSON.stringify((await read("note://two/7"))?.result), /"text":"two"/, "by its template");
    await talk.delete();
  });

  it("keeps every byte of a call but ids, token and name", async () => {
    const talk = await join(keeper);
    const odd = `{ "jsonrpc" : "2.0","params":{"arguments":{"big":12345678901234567890,"e":1E+2},"_meta":{"progressToken":"tök"},"name":"one__heard"},"id":9007199254740993,"method":"tools/call"}`;
    const answer = await talk.post(odd);
    assert.match(answer.text, /"id":9007199254740993/);
    const text = JSON.parse(answer.text).result.content[0].text as string;
    assert.match(text, /"name":"heard"/);
    assert.match(text, /"e":100/);
    await talk.delete();
  });

  it("starts a server with the first message for it, once, and lists what it knows without any start", async () => {
    await (await join(keeper)).delete(); // now the servers are known, whichever test comes first
    const counted = [startsOf(keeper, "one"), startsOf(keeper, "two")];
    const talk = await join(keeper);
    await namesOf(talk);
    assert.deepEqual([startsOf(keeper, "one"), startsOf(keeper, "two")], counted);
    await Promise.all([1, 2, 3].map(() => callText(talk, "two__same")));
    assert.deepEqual([startsOf(keeper, "one"), startsOf(keeper, "two")], [counted[0], counted[1]! + 1]);
    await talk.delete();
  });

  it("says what is wrong with a name that nobody has", async () => {
    const talk = await join(keeper);
    assert.match(await callText(talk, "three__tool"), /unknown name "three__tool".*servers: one, two/);
    const nowhere = (await talk.request("resources/read", {})).messages[0];
    assert.match(nowhere?.error?.message ?? "", /params\.uri is missing/);
    for (const method of ["tasks/list", "constructor", "toString", "__proto__"]) {
      const unknown = (await talk.request(method)).messages[0];
      assert.equal(unknown?.error?.code, -32601, method);
    }
    await talk.delete();
  });

  it("does not wait for servers that cannot be had where it knows whose a resource is, or a prompt", async () => {
    await using slow = await startFront({ one: actor("one", "echo"), mute: { command: "sleep", args: ["100"] } });
    const talk = new Talk(`${slow.url}/mcp?scope=patient`);
    assert.match(await callText(talk, "one__echo"), /^one:/);
    const read = await talk.request("resources/read", { uri: "memo://one" });
    assert.match(JSON.stringify(read.messages[0]?.result), /"text":"one"/);
    const argument = { name: "who", value: "" };
    const given = { ref: { type: "ref/prompt", name: "one__greet" }, argument };
    assert.deepEqual((await talk.request("completion/complete", given)).messages[0]?.result, {});
    assert.equal(startsOf(slow, "mute"), 0);
  });

  it("tells a session when a list of its server changed, and shows the new one", async () => {
    const talk = await join(keeper);
    assert.deepEqual(await namesOf(talk), ["one__echo", "one__same", "two__same"]);
    using events = await talk.listen();
    await callText(talk, "one__echo", { list: ["fresh", "fresh", 5] });
    assert.equal((await events.next())?.method, "notifications/tools/list_changed");
    assert.deepEqual(await namesOf(talk), ["one__fresh", "two__same"]);
    const other = await join(keeper);
    assert.deepEqual(await namesOf(other), ["one__echo", "one__same", "two__same"], "another's server did not change");
    await Promise.all([talk.delete(), other.delete()]);
  });

  it("learns lists anew once for many changes, and misses none that is said while they are asked for", async () => {
    const settings = { late: { share: "pool" as const } };
    await using busy = await startFront({ many: actor("many", "one"), late: actor("late", "^") }, settings);
    const talk = await join(busy);
    await Promise.all(Array.from({ length: 40 }, (_, at) => callText(talk, "many__one", { list: [`tool${at}`] })));
    const last = ["many__tool39", "late__grown"];
    await until("the last is shown", async () => String(await namesOf(talk)) === String(last), { boundMs: 10_000 });
    assert.ok((await callText(talk, "many__heard")).match(/tools\/list/g)!.length < 20, "not once for each");
  });

  it("does not take tools that a server refuses to list for none, neither later on nor at its start", async () => {
    const talk = await join(keeper);
    await callText(talk, "two__same", { list: ["!"] });
    assert.deepEqual(await namesOf(talk), ["one__echo", "one__same", "two__same"], "as they were before");
    await talk.delete();
    const servers = { one: actor("one", "echo"), shy: actor("shy", "!"), endless: actor("endless", "~") };
    await using shy = await startFront(servers);
    const other = await join(shy);
    assert.deepEqual(await namesOf(other), ["one__echo", "endless____787649"]);
    assert.equal((await callText(other, "endless__heard")).match(/tools\/list/g)?.length, 2, "and no page after that");
    assert.match(await callText(other, "shy__x"), /"shy" does not tell its tools: it answered: not now/);
  });

  it("asks the client what its server asks, on the call that is in flight, and takes the answer back", async () => {
    const talk = await join(keeper, "/mcp", { sampling: {} });
    using events = await callEvents(talk, "one__echo", { ask: "sampling/createMessage" });
    const question = await events.next();
    assert.equal(question?.method, "sampling/createMessage");
    await talk.post({ jsonrpc: "2.0", id: question?.id, result: { said: "by the client" } });
    assert.equal(textOf([(await events.next())!]), '{"said":"by the client"}');
    await talk.delete();
  });

  it("tells a restarted server what the session had subscribed to at the old one", async () => {
    const talk = await join(keeper);
    await talk.request("resources/subscribe", { uri: "memo://two" });
    assert.match(await callText(talk, "two__same", { exit: 0 }), /exited with code 0/);
    const heard = await callText(talk, "two__heard");
    assert.match(heard, /"method":"resources\/subscribe","params":\{"uri":"memo:\/\/two"\}/);
    // What the first server refuses is not asked of the next.
    await callText(talk, "one__same", { go: "refuse" });
    const refused = await talk.request("resources/subscribe", { uri: "memo://refused" });
    assert.match(refused.messages[0]?.error?.message ?? "", /no such resource/);
    assert.match(await callText(talk, "one__same", { exit: 0 }), /exited with code 0/);
    assert.doesNotMatch(await callText(talk, "one__heard"), /refused/);
    await talk.delete();
  });
});
