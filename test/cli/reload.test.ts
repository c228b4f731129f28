/** The config is read anew while everything runs: what changed is put anew, the rest does not notice. */
import assert from "node:assert/strict";
import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { nothingLeft, runsOf } from "../helpers/crowd.ts";
import { Gateway, runCommand } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { many } from "../helpers/long.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { isLive } from "../helpers/pids.ts";
import { bestTier } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";
import { actorFile, answerOf, callEvents, callText, heardOf, namesOf } from "../mcp/helpers/assembled.ts";
import { Talk } from "../mcp/helpers/talk.ts";

leavesNothing();
const boundMs = 20_000;
const rounds = many(6, 20);
const stop = { stdinGraceMs: 300, termGraceMs: 300 };

interface Change {
  added: string[];
  removed: string[];
  changed: string[];
  unchanged: string[];
  needsRestart: string[];
  unavailable: { name: string; problem: string }[];
}

const actor = (name: string, more: object = {}, ...tools: string[]) => ({
  command: process.execPath,
  args: [actorFile, name, "do", ...tools],
  ...more,
});
const pooled = { share: "pool" };
const pidIn = (text: string) => {
  assert.match(text, /^\w+:\d+$/, text);
  return Number(text.split(":")[1]);
};
const isGone = (pid: number) => until(`the end of ${pid}`, () => !isLive({ pid }), { boundMs });

describe("a reload of the config", { timeout: patiently(120_000) }, () => {
  let home: Home;
  let gateway: Gateway;
  const talks: Talk[] = [];

  before(async () => {
    home = new Home(bestTier());
    home.configure({ stop });
    gateway = await Gateway.start(home);
  });
  after(async () => {
    await gateway[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
  });

  /** The file as it is to be; nothing is told yet. */
  const write = (mcpServers: Record<string, object>, more: object = {}) =>
    home.configure({ stop, ...more, mcpServers });
  const reload = async () => (await gateway.rpc("mcp.reload")) as Change;
  const enter = async (path = "/mcp", capabilities: object = {}) => {
    const talk = new Talk(`${gateway.url}${path}`, gateway.token);
    const params = { protocolVersion: "2025-11-25", capabilities, clientInfo: { name: "reload", version: "1" } };
    const answer = await talk.post({ jsonrpc: "2.0", id: 0, method: "initialize", params });
    talk.session = answer.headers["mcp-session-id"] as string;
    talks.push(talk);
    return talk;
  };
  const pidOf = async (talk: Talk, tool: string) => pidIn(await callText(talk, tool));

  beforeEach(async () => {
    for (const talk of talks.splice(0)) await talk.delete();
    write({});
    await reload();
    await nothingLeft(gateway);
  });

  it("puts anew what changed, ends what is gone, offers what is new and leaves the rest alone", async () => {
    write({ keep: actor("keep"), other: actor("other"), lost: actor("lost"), shared: actor("shared", pooled) });
    assert.deepEqual((await reload()).added, ["keep", "other", "lost", "shared"]);
    const [all, alone, elsewhere] = [await enter(), await enter("/mcp/keep"), await enter("/mcp/other")];
    using events = await all.listen();
    const names = ["keep", "other", "lost", "shared"];
    const old = Object.fromEntries(
      await Promise.all(names.map(async (name) => [name, await pidOf(all, `${name}__do`)])),
    );
    const [joined, doomed] = [await pidOf(alone, "do"), await pidOf(elsewhere, "do")];
    assert.equal(await runsOf(gateway), 6);

    const changed = actor("other", { env: { A: "1" } }, "more");
    write({ keep: actor("keep"), other: changed, shared: actor("shared", pooled), fresh: actor("fresh") });
    const { code, stdout, stderr } = await runCommand(home, ["mcp", "reload", "--json"]);
    assert.equal(code, 0, stderr);
    const expected = { added: ["fresh"], removed: ["lost"], changed: ["other"], unchanged: ["keep", "shared"] };
    assert.deepEqual(JSON.parse(stdout), { ...expected, needsRestart: [], unavailable: [] });

    await heardOf(events, "notifications/tools/list_changed");
    assert.deepEqual(await namesOf(all), ["keep__do", "other__do", "other__more", "shared__do", "fresh__do"]);
    assert.deepEqual([await pidOf(all, "keep__do"), await pidOf(all, "shared__do")], [old["keep"], old["shared"]]);
    assert.equal(await pidOf(alone, "do"), joined);
    assert.notEqual(await pidOf(all, "other__do"), old["other"]);
    assert.ok((await pidOf(all, "fresh__do")) > 0);
    assert.match(await callText(all, "lost__do"), /unknown name/);
    for (const pid of [old["lost"], old["other"], doomed]) await isGone(pid);
    assert.equal((await elsewhere.request("tools/list")).status, 404, "its client begins anew");
    assert.equal((await new Talk(`${gateway.url}/mcp/lost`, gateway.token).initialize()).status, 404);
    assert.equal(await runsOf(gateway), 5, "keep twice, shared, other, fresh");
  });

  it("is refused whole: a file with one mistake changes nothing, by command and by SIGHUP", async () => {
    write({ keep: actor("keep") });
    await reload();
    const all = await enter();
    const pid = await pidOf(all, "keep__do");
    const mistakes: [text: string, says: RegExp][] = [
      ['{"mcpServers": {', /holdfast\.json, line 1/],
      [JSON.stringify({ mcpServers: { fine: actor("fine") }, prot: 1 }), /unknown key prot/],
      [
        JSON.stringify({ mcpServers: { fine: actor("fine") }, port: "many" }),
        /port: expected a whole number, found "many"/,
      ],
      ['{"mcpServers": {}, "mcpServers": {}}', /the key "mcpServers" is there twice/],
    ];
    for (const [text, says] of mistakes) {
      writeFileSync(home.configFile, text);
      const { code, stderr } = await runCommand(home, ["mcp", "reload"]);
      assert.equal(code, 1);
      assert.match(stderr, says);
    }
    process.kill(gateway.pids.keeper, "SIGHUP");
    await until("the word of it", () => home.log.includes("the config is as it was"), { boundMs });
    assert.deepEqual(await namesOf(all), ["keep__do"]);
    assert.equal(await pidOf(all, "keep__do"), pid);

    write({ keep: actor("keep"), late: actor("late") });
    using events = await all.listen();
    process.kill(gateway.pids.keeper, "SIGHUP");
    await heardOf(events, "notifications/tools/list_changed");
    assert.deepEqual(await namesOf(all), ["keep__do", "late__do"]);
    assert.equal(await pidOf(all, "keep__do"), pid);
  });

  it("names what only a restart takes, as long as it waits for one", async () => {
    write({ s: actor("s") }, { port: 1, limits: { runsMax: 7 }, session: { idleLeaseMs: 5 } });
    const waiting = ["port", "session.idleLeaseMs", "limits.runsMax"];
    assert.deepEqual((await reload()).needsRestart.toSorted(), waiting.toSorted());
    assert.deepEqual((await reload()).needsRestart.toSorted(), waiting.toSorted());
    assert.match(
      (await runCommand(home, ["mcp", "reload"])).stdout,
      /needs `holdfast restart --all`: .*limits\.runsMax/,
    );
    write({ s: actor("s") });
    assert.deepEqual((await reload()).needsRestart, []);
  });

  /** A call that is never answered, and whether its server has it. */
  const hang = (talk: Talk, prefix: string) => ({
    answer: callText(talk, `${prefix}do`, { wait: "never" }),
    isThere: async () => (await callText(talk, `${prefix}heard`)).includes('"wait":"never"'),
  });

  it("ends calls in flight on a server that is gone with that word; on one that changed they come to their end", async () => {
    const every = (more: object = {}) => ({ own: actor("own", more), shared: actor("shared", { ...pooled, ...more }) });
    write(every());
    await reload();
    const all = await enter("/mcp", { sampling: {} });
    const old = { own: await pidOf(all, "own__do"), shared: await pidOf(all, "shared__do") };
    // Each asks its client something and answers once the client has.
    const asking = async (name: string) => {
      const events = await callEvents(all, name, { ask: "sampling/createMessage" });
      return { events, question: await events.next() };
    };
    const calls = [await asking("own__do"), await asking("shared__do")];

    write(every({ env: { A: "2" } }));
    assert.deepEqual((await reload()).changed, ["own", "shared"]);
    const now = { own: await pidOf(all, "own__do"), shared: await pidOf(all, "shared__do") };
    assert.ok(now.own !== old.own && now.shared !== old.shared);
    assert.ok(isLive({ pid: old.own }) && isLive({ pid: old.shared }), "each still has a call");
    assert.equal(await runsOf(gateway), 4);
    for (const { events, question } of calls) {
      assert.equal(question?.method, "sampling/createMessage");
      await all.post({ jsonrpc: "2.0", id: question?.id, result: { said: "late" } });
      assert.match(await answerOf(events), /late/);
      events[Symbol.dispose]();
    }
    await Promise.all([isGone(old.own), isGone(old.shared)]);
    await until("their runs are over", async () => (await runsOf(gateway)) === 2, { boundMs });

    const joined = await enter("/mcp/own");
    const lost = [hang(all, "own__"), hang(all, "shared__"), hang(joined, "")];
    await until(
      "every call is with its server",
      async () => (await Promise.all(lost.map(({ isThere }) => isThere()))).every(Boolean),
      { boundMs },
    );
    write({});
    assert.deepEqual((await reload()).removed, ["own", "shared"]);
    assert.equal(await runsOf(gateway), 0, "the answer came when they were gone");
    for (const { answer } of lost) assert.match(await answer, /error: .*taken out of the config, or cannot be had now/);
    assert.deepEqual(await namesOf(all), []);
  });

  it("while a server is starting: the start is given up, and its caller gets the one in its place, or that word", async () => {
    const flag = join(home.directory, "slow");
    const words = `[ -e '${flag}' ] && exec sleep 600; exec "$0" "$@"`;
    const slow = (name: string, more: object) => {
      const { command, args } = actor(name);
      return { command: "sh", args: ["-c", words, command, ...args], ...more };
    };
    for (const more of [{}, pooled]) {
      write({ one: slow("one", more), two: slow("two", more) });
      await reload();
      // Once its lists are known, a server is started by the first call, not for the session.
      const first = await enter();
      await Promise.all([pidOf(first, "one__do"), pidOf(first, "two__do")]);
      await first.delete();
      writeFileSync(flag, "");
      const all = await enter();
      const joined = new Talk(`${gateway.url}/mcp/two`, gateway.token);
      const calls = [callText(all, "one__do"), callText(all, "two__do")];
      const beginning =
        more === pooled
          ? enter("/mcp/two").then((talk) => callText(talk, "do"))
          : joined.initialize().then(({ text }) => text);
      await until("all are starting", async () => (await runsOf(gateway)) === (more === pooled ? 2 : 3), { boundMs });
      write({ one: actor("one") });
      await reload();
      assert.match((await calls[0]) ?? "", /^one:\d+$/);
      assert.match((await calls[1]) ?? "", /error: .*taken out of the config/);
      assert.match(await beginning, /taken out of the config/);
      assert.equal(await runsOf(gateway), 1);
      await all.delete();
      rmSync(flag);
    }
  });

  it("is taken by a front that comes after it: what it changed while there was none is not given back", async () => {
    write({ keep: actor("keep"), other: actor("other") });
    await reload();
    const [all, alone] = [await enter(), await enter("/mcp/other")];
    const [keep, other, joined] = [
      await pidOf(all, "keep__do"),
      await pidOf(all, "other__do"),
      await pidOf(alone, "do"),
    ];
    const { front } = gateway.pids;
    write({ keep: actor("keep"), other: actor("other", { env: { A: "3" } }) });
    process.kill(front, "SIGKILL");
    process.kill(gateway.pids.keeper, "SIGHUP");
    await gateway.renewed({ front });
    await Promise.all([isGone(other), isGone(joined)]);
    assert.equal(await pidOf(all, "keep__do"), keep);
    assert.notEqual(await pidOf(all, "other__do"), other);
    assert.equal((await alone.request("tools/list")).status, 404);
  });

  it(`${rounds} times in a row leaves nothing: processes, runs and descriptors are those of the beginning`, async () => {
    const servers = (round: number) => ({
      keep: actor("keep"),
      own: actor("own", { env: { ROUND: String(round) } }),
      shared: actor("shared", { ...pooled, env: { ROUND: String(round) } }),
      ...(round % 2 === 0 ? { some: actor("some") } : {}),
    });
    write(servers(0));
    await reload();
    const all = await enter();
    const callAll = async () => Promise.all((await namesOf(all)).map((tool) => callText(all, tool)));
    const figures = async () => {
      await callAll();
      const { keeper, front } = gateway.pids;
      const descriptors = [keeper, front].map((pid) => readdirSync(`/proc/${pid}/fd`).length);
      return { runs: await runsOf(gateway), processes: home.marked().length, descriptors };
    };
    await callAll();
    const first = await until(
      "a count that stands",
      async () => {
        const [one, two] = [await figures(), await figures()];
        return JSON.stringify(one) === JSON.stringify(two) ? one : undefined;
      },
      { boundMs },
    );
    const pid = await pidOf(all, "keep__do");
    for (let round = 1; round <= rounds; round++) {
      write(servers(round));
      const { changed, unchanged } = await reload();
      assert.deepEqual([changed, unchanged], [["own", "shared"], ["keep"]]);
      // Some rounds come before anybody has used what the one before put in.
      if (round % 3 !== 0) await callAll();
    }
    assert.equal(await pidOf(all, "keep__do"), pid);
    let last: unknown;
    const isAsFirst = async () => JSON.stringify((last = await figures())) === JSON.stringify(first);
    await until("the counts of the beginning", isAsFirst, { boundMs, everyMs: 50 }).catch(() =>
      assert.deepEqual(last, first),
    );
  });
});
