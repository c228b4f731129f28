/** A process that became another user cannot be ended by an ordinary one: it is named, tried again, and holds up nobody. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { readOpenRows } from "../../src/keeper/ledger.ts";
import { Background } from "../helpers/background.ts";
import { Gateway, runCommand } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { isLive } from "../helpers/pids.ts";
import { patiently, until } from "../helpers/until.ts";

describe(
  "a child that became another user",
  { timeout: patiently(180_000), skip: process.getuid?.() !== 0 && "needs root" },
  () => {
    leavesNothing();

    /** A program of root's that anybody may start, and that becomes root whole: an ordinary user may not signal it then. */
    const becomesRoot = (home: Home): string => {
      const file = join(home.directory, "becomes-root");
      copyFileSync(execFileSync("sh", ["-c", "command -v setpriv"], { encoding: "utf8" }).trim(), file);
      chmodSync(file, 0o4755);
      return file;
    };
    const stop = { stdinGraceMs: 100, termGraceMs: 100 };

    interface Run {
      id: string;
      state: string;
      survivors: { pid: number; command: string }[];
    }
    const runsOf = (gateway: Gateway) => gateway.rpc("run.list", {}) as Promise<Run[]>;

    it("is named, holds its run in `stopping`, and frees scope key, slot and record when it has gone", async () => {
      await using home = new Home("subreaper", { exec: { enabled: true }, stop, limits: { runsMax: 1 } });
      const program = becomesRoot(home);
      await using gateway = await Gateway.start(home);
      const background = new Background(gateway);
      const argv = ["sh", "-c", `${program} --reuid=0 --regid=0 --clear-groups sleep 1000; true`];
      const { id } = await background.start({ argv, scopeKey: "build" });
      await until("it is another user's", async () => (await survivorPid(gateway)) !== undefined, { boundMs: 10_000 });
      await assert.rejects(background.call("run.kill", { id }), /could not be ended: pid \d+ \(S\) sleep 1000/);
      const [run] = await runsOf(gateway);
      assert.deepEqual([run?.state, run?.survivors[0]?.command], ["stopping", "sleep 1000"]);
      await assert.rejects(background.start({ argv: ["true"] }), /limits\.runsMax/);
      await assert.rejects(background.call("run.remove", { id }), /could not be ended/);
      process.kill(run?.survivors[0]?.pid ?? 0, "SIGKILL");
      await until("the run is over by itself", async () => (await runsOf(gateway)).length === 0, { boundMs: 40_000 });
      const again = await background.start({ argv: ["true"], scopeKey: "build", replaceExistingScope: true });
      assert.notEqual(again.id, id);
      await background.call("run.remove", { id });
    });

    it("does not keep stop or restart --all from finishing, which name it; its row is closed only when it has gone", async () => {
      await using home = new Home("subreaper", { exec: { enabled: true }, stop });
      const program = becomesRoot(home);
      const gateway = await Gateway.start(home);
      const argv = ["sh", "-c", `${program} --reuid=0 --regid=0 --clear-groups sleep 1000; true`];
      const { id } = await new Background(gateway).start({ argv });
      const survivor = await until("it is another user's", () => survivorPid(gateway), { boundMs: 10_000 });
      try {
        const before = gateway.epoch;
        const restarted = await runCommand(home, ["restart", "--all"], 60_000);
        assert.equal(restarted.code, 0, restarted.stderr);
        assert.match(restarted.stdout, new RegExp(`run ${id} is still not over: pid ${survivor} `));
        await gateway.renewed({ keeperEpoch: before });
        const [run] = await runsOf(gateway);
        assert.deepEqual([run?.id, run?.state, run?.survivors[0]?.pid], [id, "stopping", survivor]);
        const stopped = await runCommand(home, ["stop"], 60_000);
        assert.equal(stopped.code, 1);
        assert.match(
          stopped.stderr,
          new RegExp(`has ended, but could not end pid ${survivor} .* of run ${id}: sleep 1000`),
        );
        assert.equal(isLive({ pid: gateway.pids.keeper }), false);
        assert.deepEqual(
          readOpenRows(join(home.stateDir, "ledger.sqlite")).map((row) => row.id),
          [id],
        );
        await using next = await Gateway.start(home);
        assert.deepEqual(
          (await runsOf(next)).map((one) => [one.id, one.state]),
          [[id, "stopping"]],
        );
        process.kill(survivor, "SIGKILL");
        await until("its row is closed", async () => (await runsOf(next)).length === 0, { boundMs: 40_000 });
        const all = (await next.rpc("run.list", { all: true })) as Run[];
        assert.deepEqual(
          all.map((one) => [one.id, one.state]),
          [[id, "exited"]],
        );
      } finally {
        if (isLive({ pid: survivor })) process.kill(survivor, "SIGKILL");
      }
    });

    async function survivorPid(gateway: Gateway): Promise<number | undefined> {
      const runs = (await gateway.rpc("run.list", {})) as { processes: { pid: number; command: string }[] }[];
      const sleep = runs.flatMap(({ processes }) => processes).find(({ command }) => command === "sleep 1000");
      return sleep?.pid;
    }
  },
);
