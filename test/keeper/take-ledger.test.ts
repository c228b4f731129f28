import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { readProcess } from "../../src/contain/processes.ts";
import { openStateDirectory, type StatePaths } from "../../src/keeper/state-directory.ts";
import { takeLedger } from "../../src/keeper/take-ledger.ts";
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
  writeFileSync(paths.keeperRecord, JSON.stringify({ pid, startTime, url: "http://127.0.0.1:4653" }));
}

describe("the ledger's lock", () => {
  leavesNothing();

  it("is waited for while a keeper that was killed is still being taken down", async () => {
    await held(400, (paths, pid) => {
      // Its first thread is gone, and with it the identity on record; another one has the lock a while longer.
      recordKeeper(paths, pid, "0");
      takeLedger(paths).close();
    });
  });

  it("is not waited for while its keeper lives: the start is refused at once, with pid and address", async () => {
    await held(60_000, (paths, pid) => {
      recordKeeper(paths, pid, readProcess(pid)?.startTime ?? "");
      const before = performance.now();
      assert.throws(() => takeLedger(paths), { code: "state_locked", message: new RegExp(`pid ${pid}, http`) });
      assert.ok(performance.now() - before < 1000);
    });
  });
});
