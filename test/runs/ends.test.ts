/**
 * The bug report: terminals with workers and helpers, and every way in which their owner can end. In each case the list, the
 * ledger, the log and the process table say the same, and nobody is left but who is meant to be.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Background, endsInLog, ledgerRows } from "../helpers/background.ts";
import { Gateway } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { sample } from "../helpers/long.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { readListed, settle, survivorsOf, type Listed } from "../helpers/pids.ts";
import { fixture } from "../helpers/servers.ts";
import { type TierName, tierSkip } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";
import type { ParamsOf } from "../../src/protocol/api/index.ts";

/** A worker with its seven helpers. */
const workerProcesses = 8;
const boundMs = 15_000;
const stop = { stdinGraceMs: 100, termGraceMs: 100 };

/** Runs by name, each with the processes that it listed. */
class Workers {
  readonly home: Home;
  readonly background: Background;
  readonly ids = new Map<string, string>();
  readonly #processes = new Map<string, Listed[]>();

  constructor(home: Home, gateway: Gateway) {
    this.home = home;
    this.background = new Background(gateway);
  }

  async start(name: string, options: ParamsOf<"run.start"> = {}): Promise<string> {
    const before = readListed(this.home.pidFile).length;
    const argv = ["bash", fixture("worker.sh"), this.home.pidFile, ...(options.noOutputTimeoutMs ? ["quiet"] : [])];
    const run = await this.background.start({ kind: "pty", argv, env: { WORKERS_BEFORE: String(before) }, ...options });
    await this.background.output(run.id, (text) => text.includes("ready"));
    const listed = readListed(this.home.pidFile).slice(before);
    assert.equal(listed.length, workerProcesses, `${name} has all of its helpers`);
    this.ids.set(name, run.id);
    this.#processes.set(name, listed);
    return run.id;
  }

  /** Who of these runs lives, by the process table. */
  alive(): string[] {
    const live = new Set(survivorsOf(this.home.pidFile).map(({ pid, startTime }) => `${pid} ${startTime}`));
    const lives = (one: Listed) => live.has(`${one.pid} ${one.startTime}`);
    return [...this.#processes].filter(([, processes]) => processes.some(lives)).map(([name]) => name);
  }

  /** List, log and process table agree: `ended` ended for its reason, and exactly `kept` lives, whole. */
  async agree(ended: Record<string, string>, kept: string[]): Promise<void> {
    const idOf = (name: string) => this.ids.get(name) ?? assert.fail(`no run ${name}`);
    const isSettled = () => this.alive().length === kept.length;
    await until("only who is kept lives", isSettled, { boundMs }).catch(() => {}); // the next line says who does
    assert.deepEqual(this.alive().toSorted(), kept.toSorted());
    const live = await this.background.live();
    assert.deepEqual(live.map(({ id }) => id).toSorted(), kept.map(idOf).toSorted());
    const all = await this.background.call("run.list", { all: true });
    const log = endsInLog(this.home);
    for (const [name, reason] of Object.entries(ended)) {
      const row = all.find(({ id }) => id === idOf(name));
      assert.deepEqual([row?.state, row?.endReason, row?.survivors], ["exited", reason, []], name);
      assert.equal(log.get(idOf(name)), reason, `${name} in the log`);
    }
  }
}

/** Numbers that the worker counted, each once, none left out. */
function assertCounted(text: string): void {
  const numbers = [...text.matchAll(/^(\d+)\r?\n/gm)].map(([, number]) => Number(number));
  assert.ok(numbers.length > 10, `it counted to ${numbers.length}`);
  assert.deepEqual(
    numbers,
    numbers.map((_, index) => index),
  );
}

function homeFor(tier: TierName): Home {
  const mcpServers = { polite: { command: process.execPath, args: [fixture("polite-server.ts")] } };
  return new Home(tier, { mcpServers, stop, exec: { enabled: true, keepMs: 60_000 } });
}

for (const [at, tier] of (["cgroup", "subreaper"] as const).entries()) {
  const skip = tierSkip(tier);
  describe(`terminals on the ${tier} tier`, { timeout: patiently(120_000), skip }, () => {
    leavesNothing();

    it("a run ends whole, whoever ends it: caller, scope, session, clock, silence, front, gateway", async () => {
      await using home = homeFor(tier);
      await using gateway = await Gateway.start(home);
      const workers = new Workers(home, gateway);
      const { background } = workers;
      const client = gateway.mcp("polite");
      await client.initialize();
      const [session] = (await gateway.rpc("session.list")) as { id: string }[];
      await workers.start("cancelled");
      await workers.start("in session", { sessionId: session?.id ?? "" });
      await workers.start("replaced", { scopeKey: "build" });
      await workers.start("late", { timeoutMs: 1500 });
      await workers.start("silent", { noOutputTimeoutMs: 700 });
      await background.call("run.kill", { id: workers.ids.get("cancelled") ?? "" });
      await client.delete();
      await workers.start("replacing", { scopeKey: "build", replaceExistingScope: true });
      const ended = {
        cancelled: "cancelled",
        "in session": "session-ended",
        replaced: "scope-replaced",
        late: "timeout",
        silent: "no-output",
      };
      for (const name of Object.keys(ended)) await background.ended(workers.ids.get(name) ?? "");
      await workers.agree(ended, ["replacing"]);

      // The front dies: who is to go with it goes, who is kept goes on, and prints on while nobody is there to read.
      const kept = workers.ids.get("replacing") ?? "";
      await workers.start("with the front", { onFrontLoss: "kill" });
      await workers.start("impatient", { keepMs: 20 });
      const { front } = gateway.pids;
      process.kill(front, "SIGKILL");
      await gateway.renewed({ front });
      for (const name of ["with the front", "impatient"]) await background.ended(workers.ids.get(name) ?? "");
      await workers.agree({ ...ended, "with the front": "front-lost", impatient: "front-lost" }, ["replacing"]);
      const seen = await background.output(kept, (text) => text.includes("300\r\n"));
      assertCounted(seen);

      await gateway.stop();
      assert.deepEqual((await settle(home.pidFile, boundMs)).survivors, []);
      assert.deepEqual(ledgerRows(home).get(kept), { state: "exited", endReason: "shutdown" });
      assert.equal(endsInLog(home).get(kept), "shutdown");
    });

    const killed = [
      ["the keeper", ["keeper"]],
      ["keeper and front at once", ["keeper", "front"]],
    ] as const;
    for (const [who, pids] of sample(killed, at)) {
      it(`${who} killed: nobody is left, and the next start says what became of the runs`, async () => {
        await using home = homeFor(tier);
        await using gateway = await Gateway.start(home);
        const workers = new Workers(home, gateway);
        const id = await workers.start("kept");
        await workers.background.output(id, (text) => text.includes("\n20\r\n"));
        gateway.killAtOnce(pids.map((pid) => gateway.pids[pid]));
        assert.deepEqual((await settle(home.pidFile, boundMs)).survivors, []);
        await gateway.ended();
        await using next = await Gateway.start(home);
        const again = new Background(next);
        assert.deepEqual(await again.live(), []);
        const [row] = (await again.call("run.list", { all: true })).filter((run) => run.id === id);
        assert.equal(row?.state, "exited");
        assert.match(row?.endReason ?? "", /^(keeper-lost|orphan-swept)$/);
        assertCounted(await again.output(id));
      });
    }
  });
}
