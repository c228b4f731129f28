import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { readProcess } from "../../src/platform/linux/processes.ts";
import { openStateDirectory, type StatePaths } from "../../src/keeper/state-directory.ts";
import { takeLedger } from "../../src/keeper/take-ledger.ts";
import { keeperSources } from "../../src/keeper/own-process.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";

/** Takes the ledger's lock as a keeper does, says so, and has it for so many milliseconds. */
const holder = `
const { DatabaseSync } = require("node:sqlite");
const database = new DatabaseSync(process.argv[1]);
database.exec("pragma locking_mode = exclusive; pragma journal_mode = wal; create table if not exists held (one)");
console.log("held");
setTimeout(() => process.exit(), Number(process.argv[2]));
`;

async function held(forMs: number, use: (paths: StatePaths, holderPid: number) => void): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), "holdfast-test-"));
  const paths = openStateDirectory(root);
  const child = spawn(process.execPath, ["-e", holder, paths.ledger, String(forMs)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const gone = once(child, "exit");
  try {
    await once(child.stdout, "data");
    use(paths, child.pid ?? 0);
  } finally {
    child.kill("SIGKILL");
    await gone;
    rmSync(root, { recursive: true });
  }
}

function recordKeeper(paths: StatePaths, pid: number, startTime: string): void {
  const url = "http://127.0.0.1:4653";
  const helpers = { front: { pid: 1 }, guardian: { pid: 1, startTime: "1" } };
  const record = { pid, startTime, bootId: "b", epoch: 1, url, urls: [url], ...helpers };
  writeFileSync(paths.keeperRecord, JSON.stringify(record));
}

describe("the ledger's lock", () => {
  leavesNothing();

  it("is waited for while a keeper that was killed is still being taken down", async () => {
    await held(400, (paths, pid) => {
      // Its first thread is gone, and with it the identity on record; another one has the lock a while longer.
      recordKeeper(paths, pid, "0");
      takeLedger(paths, 0, keeperSources).close();
    });
  });

  it("is not waited for while its keeper lives: the start is refused at once, with pid and address", async () => {
    await held(60_000, (paths, pid) => {
      recordKeeper(paths, pid, readProcess(pid)?.startTime ?? "");
      const before = performance.now();
      assert.throws(() => takeLedger(paths, 0, keeperSources), {
        code: "state_locked",
        message: new RegExp(`pid ${pid}, http`),
      });
      assert.ok(performance.now() - before < 1000);
    });
  });
});

describe("the ledger that a keeper takes", () => {
  it("remembers a request for an hour and the longest lease after its run's end: so long it may be asked again", () => {
    const root = mkdtempSync(join(tmpdir(), "holdfast-test-"));
    const ledger = takeLedger(openStateDirectory(root), 60_000, keeperSources);
    const end = { endedAt: 1000, leaderEndedAt: null, endReason: "exited", exitCode: 0, signal: null } as const;
    const what = { id: "r1-1", kind: "exec", command: "true", requestId: "n1-a", startedAt: 1, epoch: 1 } as const;
    const whose = { server: null, sessionId: null, scopeKey: null, host: "local", cwd: null, policy: "keep" };
    const where = {
      pid: null,
      startTime: null,
      bootId: "b",
      processGroup: null,
      container: "c",
      marker: "m",
      survivors: null,
    };
    ledger.intend({ ...what, ...whose, ...where, ...end, state: "starting" });
    ledger.ended({ ...end, id: "r1-1" });
    ledger.forget("r1-1", 1000 + 3_659_000);
    assert.deepEqual([ledger.byRequest("n1-a")?.id, ledger.history(5)], ["r1-1", []]);
    ledger.forget("r1-1", 1000 + 3_661_000);
    assert.equal(ledger.byRequest("n1-a"), undefined);
    ledger.close();
    rmSync(root, { recursive: true });
  });
});
