/** What a node lets a gateway do, part by part: what its person is asked, and that no run is forgotten while it lives. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { requestsMax, type BackgroundSpec } from "../../src/protocol/background.ts";
import { systemRandom, systemSources } from "../../src/random.ts";
import { systemClock } from "../../src/clock.ts";
import { configSchema } from "../../src/config/schema.ts";
import { HoldfastError } from "../../src/errors.ts";
import { StartRules } from "../../src/keeper/background/start-rules.ts";
import type { PersonAnswer } from "../../src/keeper/background/consent.ts";
import { localRunner, Runners } from "../../src/runs/runners.ts";
import { openNodesDatabase } from "../../src/nodes/gateway/database.ts";
import { NodeRegistry } from "../../src/nodes/gateway/node-registry.ts";
import { Nodes } from "../../src/nodes/gateway/nodes.ts";
import { NodesBook } from "../../src/nodes/gateway/rows.ts";
import { KnownRuns } from "../../src/nodes/node/known-runs.ts";
import { plainText } from "../../src/plain-text.ts";
import { backgroundSpec } from "../helpers/background-spec.ts";
import { ManualClock } from "../helpers/manual-clock.ts";
import { needsNamespace } from "../helpers/needs.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { SmallDisk } from "../helpers/small-disk.ts";
import { patiently } from "../helpers/until.ts";
import { FarAway } from "./helpers/far-away.ts";
import { told } from "./helpers/told.ts";

leavesNothing();

const spec = backgroundSpec({ request: "n1-a", leaseMs: 1000 });

/** What is started, or why it is not; and what the person was asked. */
async function ask(given: Partial<BackgroundSpec>, lists: object, answer: PersonAnswer = "yes") {
  const asked: string[] = [];
  const { exec } = configSchema.parse({ exec: { enabled: true, ...lists } });
  const askPerson = (question: string) => {
    asked.push(question);
    return Promise.resolve(answer);
  };
  const admission = new StartRules(exec, { askPerson, leaseMaxMs: 60_000 });
  try {
    return { asked, started: await admission.resolve({ ...spec, ...given }), refused: "" };
  } catch (thrown) {
    if (!(thrown instanceof HoldfastError)) throw thrown;
    return { asked, started: undefined, refused: `${thrown.code}: ${thrown.message}` };
  }
}

describe("the person at a node's terminal", () => {
  it("overrules the lists with a yes, and nothing else does", async () => {
    const { started, asked } = await ask({}, { allowCommands: [] });
    assert.equal(started?.command, "true");
    assert.equal(asked.length, 1);
    for (const answer of ["no", "late", "nobody"] as const)
      assert.match((await ask({}, { allowCommands: [] }, answer)).refused, /^exec_refused: .*allowCommands/);
  });

  it("is never asked about environment that steers, not for a directory that is on no list either", async () => {
    for (const name of ["LD_PRELOAD", "PATH", "BASH_ENV"]) {
      const lists = { allowCommands: ["true"], allowDirectories: ["/usr"] };
      const { asked, refused } = await ask({ env: { [name]: "/tmp/x" } }, lists);
      assert.deepEqual(asked, [], name);
      assert.match(refused, new RegExp(`^exec_refused: env: ${name} may not be set`));
    }
  });

  it("sees which variables there are, and not their values", async () => {
    const { asked } = await ask({ env: { API_KEY: "secret" } }, { allowCommands: [] });
    assert.match(asked.join(""), /with the variables API_KEY\n/);
    assert.doesNotMatch(asked.join(""), /secret/);
  });

  it("sees every character that could hide or turn others, by its number", async () => {
    const hidden = ["\u202e", "\u200b", "\u2028", "\u00a0", "\u{e0041}"];
    const { asked } = await ask({ argv: ["true", ...hidden.map((one) => `a${one}b`)] }, { allowCommands: [] });
    assert.match(asked.join(""), /"a\\u\{202e\}b" "a\\u\{200b\}b" "a\\u\{2028\}b" "a\\u\{a0\}b" "a\\u\{e0041\}b"/);
    for (const one of hidden) assert.ok(!asked.join("").includes(one));
  });

  it("is not asked what no screen shows whole", async () => {
    const { asked, refused } = await ask({ argv: ["true", " ".repeat(2000), "; rm"] }, { allowCommands: [] });
    assert.deepEqual(asked, []);
    assert.match(refused, /too long to be shown/);
  });
});

describe("a lease", () => {
  it("that is longer than the node's own bound is refused with both by name, and no person is asked", async () => {
    const { asked, refused } = await ask({ leaseMs: 60_001 }, { allowCommands: [] });
    assert.deepEqual(asked, []);
    const rule =
      /^exec_refused: .*a lease of 60001 ms, and the node's leaseMaxMs is 60000; .*nodes\.leaseMs.*--lease-max/;
    assert.match(refused, rule);
    assert.equal((await ask({ leaseMs: 60_000 }, {})).started?.command, "true");
  });

  it(
    "is what a start may be asked again for: its id is remembered an hour longer, and not asked for after an hour",
    { timeout: patiently(10_000) },
    async (test) => {
      test.mock.timers.enable({ apis: ["Date"], now: 1_000_000 });
      using far = new FarAway();
      const first = far.come();
      const lost = assert.rejects(far.start(), { code: "node_lost" });
      await far.hears("exec.start", 1);
      far.leaves(first);
      test.mock.timers.setTime(Date.now() + 1000);
      const again = far.come();
      await far.hears("exec.start", 2);
      far.leaves(again);
      test.mock.timers.setTime(Date.now() + 3_600_000);
      far.come();
      await lost;
      assert.equal(far.heard("exec.start").length, 2);
      const [run] = far.runs.all;
      assert.deepEqual([run?.row.state, run?.row.endReason], ["lost", "node-lost"]);
    },
  );
});

describe("a node to which too many questions are open", () => {
  it(
    "is not asked a new one, and an older one again as soon as there is room: it may have been done",
    { timeout: patiently(10_000) },
    async () => {
      using far = new FarAway();
      const first = far.come();
      const start = far.start();
      const [asked] = await far.hears("exec.start", 1);
      far.leaves(first);
      const second = far.link();
      const write = { run: "n1-b", bytes: "", at: 0, end: false };
      const crowd = Array.from({ length: 4096 }, () => second.ask("exec.write", write));
      const [room] = await far.hears("exec.write", 4096);
      far.node.arrive(second, []);
      await assert.rejects(far.start(), { code: "gateway_busy" });
      assert.deepEqual(
        [far.heard("exec.start").length, far.runs.all.length],
        [1, 1],
        "the first is on record, the other not",
      );
      second.answered({ type: "reply", id: room!.id, result: { inputBytes: 0 } });
      const [, again] = await far.hears("exec.start", 2);
      assert.deepEqual(again!.params, asked!.params);
      const request = (asked!.params as { request: string }).request;
      second.answered({ type: "reply", id: again!.id, result: told(request) });
      assert.equal((await start).id, request);
      far.leaves(second);
      await Promise.allSettled(crowd);
    },
  );
});

describe("a line on an admin's terminal", () => {
  it("is steered by nothing that a node says, and keeps its own ends", () => {
    assert.equal(plainText("a\u001b[2J\u009b2Jb\rc\u0007\u202ed\u2066"), "a?[2J?2Jb?c??d?");
    assert.equal(plainText("über\tdie\r\nBrücke ├─ 日本\r"), "über\tdie\r\nBrücke ├─ 日本\r");
  });
});

describe("a name that looks like an id", () => {
  it("is nobody's whom it could let in in place of another; by his own id he is found", () => {
    const directory = mkdtempSync(join(tmpdir(), "holdfast-registry-"));
    const book = new NodesBook(
      openNodesDatabase(directory, () => {}, systemClock),
      systemRandom,
    );
    const registry = new NodeRegistry(book, systemSources);
    const about = { version: "", platform: "", arch: "", tier: "", hostname: "" };
    const [victim, liar] = ["1234567890abcdef".repeat(2), "fedcba0987654321".repeat(2)];
    // The one that is meant was forgotten among too many.
    for (const name of [victim, victim.slice(0, 12)]) {
      registry.meet({ id: liar, publicKey: "k", name, about, invite: null });
      assert.throws(() => registry.approve(name), { code: "node_unknown" });
    }
    assert.equal(registry.approve(liar.slice(0, 8)).id, liar);
    assert.equal(registry.find(victim.slice(0, 12)).id, liar, "once an admin has let the name in, it is one");
    book.close();
    rmSync(directory, { recursive: true });
  });
});

describe("a gateway whose disk is full", () => {
  it(
    "lets in whom it knows, and says of a decision that it cannot be put on record",
    { skip: needsNamespace("mount") },
    () => {
      const directory = mkdtempSync(join(tmpdir(), "holdfast-registry-"));
      using disk = new SmallDisk(directory, 1024);
      const book = new NodesBook(
        openNodesDatabase(disk.directory, () => {}, systemClock),
        systemRandom,
      );
      const clock = new ManualClock();
      const registry = new NodeRegistry(book, { clock, random: systemRandom });
      const about = { version: "", platform: "", arch: "", tier: "", hostname: "" };
      const one = { id: "1234567890abcdef".repeat(2), publicKey: "k", name: "one", about, invite: null };
      registry.meet(one);
      registry.approve("one");
      disk.fill();
      clock.advance(3_600_000);
      assert.equal(registry.meet({ ...one, about: { ...about, version: "2" } }).state, "approved");
      assert.equal(registry.get(one.id)?.about.version, "2");
      const unwritten = { code: "state_unusable", message: /has room/ };
      assert.throws(() => registry.revoke("one"), unwritten);
      assert.throws(() => registry.invite(1000, null), unwritten);
      assert.equal(registry.get(one.id)?.state, "approved");
      disk.empty();
      assert.equal(registry.revoke("one").state, "revoked");
      book.close();
      disk[Symbol.dispose]();
      rmSync(directory, { recursive: true });
    },
  );
});

describe("runs of a node that is away for good", () => {
  it("are not shown as live once it is revoked, hold no scope, and go with it when it is forgotten", async () => {
    const directory = mkdtempSync(join(tmpdir(), "holdfast-forget-"));
    const book = new NodesBook(
      openNodesDatabase(directory, () => {}, systemClock),
      systemRandom,
    );
    const id = "0123456789abcdef".repeat(2);
    const about = JSON.stringify({ version: "", platform: "", arch: "", tier: "", hostname: "" });
    const times = { createdAt: 1, decidedAt: 1, lastSeenAt: 1 };
    book.nodes.put({ id, publicKey: "k", name: "far", state: "approved", about, ...times });
    const whose = { sessionId: null, scopeKey: "one", onFrontLoss: "keep", server: null, kind: "exec" } as const;
    const noEnd = { endedAt: null, leaderEndedAt: null, endReason: null, exitCode: null, signal: null };
    const what = { id: "n1-0123456789ab", epoch: 1, node: id, command: "true", cwd: null, startedAt: 1 };
    book.runs.put({ ...what, ...whose, ...noEnd, state: "running" });
    book.close();
    const local: string[] = [];
    const here = localRunner(async (name) => {
      local.push(name);
      return [] as never;
    });
    const config = { leaseMs: 1000, beatMs: 200, pendingMs: 1000 };
    // The next life of the keeper: what the one before started is given up at once.
    const open = () =>
      new Nodes({
        ...systemSources,
        config,
        directory,
        epoch: 2,
        version: "0",
        fingerprint: "",
        log: () => {},
      });
    const nodes = open();
    const runners = new Runners([nodes.runner, here]);
    const shown = async (all: boolean) => (await runners.list({ all })).map((run) => `${run.state} ${run.endReason}`);
    assert.deepEqual(await shown(false), ["lost keeper-lost"], "it may come back");
    assert.throws(() => nodes.forget("far"), { code: "node_approved", message: /nodes revoke/ });
    assert.equal((await nodes.revoke("far")).runs, 0);
    assert.deepEqual([await shown(false), await shown(true)], [[], ["lost keeper-lost"]]);
    assert.deepEqual([nodes.describe("far").runs, nodes.runStates().get("lost")], [[], 0]);
    await runners.start({ ...spec, scopeKey: "one", replaceExistingScope: true });
    assert.equal(local.at(-1), "exec.start", "the scope is free");
    assert.equal(nodes.approve("far").runs, 1, "it may come back again");
    await nodes.revoke("far");
    assert.equal(nodes.forget("far").state, "revoked");
    nodes.close();
    const next = open();
    assert.deepEqual([next.list(), await next.runner.list({ all: true })], [[], []]);
    next.close();
    rmSync(directory, { recursive: true });
  });
});

describe("the runs that a node knows", () => {
  it("are all that live, however many came and went since, and a bounded number that ended", () => {
    const live = new Set(["first"]);
    const runs = new KnownRuns((request) => live.has(request));
    runs.learn("first", "r1-first");
    const many = 3 * requestsMax;
    for (let each = 0; each < many; each += 1) runs.learn(`n-${each}`, `r1-${each}`);
    assert.equal(runs.idOf("first"), "r1-first");
    assert.equal(runs.idOf(`n-${many - 1}`), `r1-${many - 1}`);
    assert.throws(() => runs.idOf("n-0"), { code: "run_unknown" });
    live.clear();
    runs.learn("last", "r1-last");
    assert.throws(() => runs.idOf("first"), { code: "run_unknown" });
  });
});
