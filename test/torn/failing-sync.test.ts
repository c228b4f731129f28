/** A disk that fails at any one sync: what was accepted is there after the process was killed, and no decision is called durable. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { needs } from "../helpers/needs.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { patiently } from "../helpers/until.ts";
import { books, Place, rowsOf } from "./helpers/books.ts";

const player = fileURLToPath(new URL("helpers/play-book.ts", import.meta.url));
/** More than a scenario has. */
const syncsMax = 10;
/** Of the nodes' scenario: it makes the first row durable. */
const durableStep = 1;

describe("a sync that fails", { timeout: patiently(180_000), skip: needs("strace") }, () => {
  leavesNothing();

  for (const book of books.filter(({ file }) => file !== "sessions.sqlite")) {
    it(`loses nothing accepted of ${book.file}`, (t) => {
      using place = new Place();
      const directory = place.make("state");
      const refused = new Set<number>();
      let stepCount = 0;
      for (let which = 1; which <= syncsMax; which += 1) {
        for (const name of readdirSync(directory)) rmSync(join(directory, name));
        const inject = ["-e", "trace=fsync,fdatasync", "-e", `inject=fsync,fdatasync:error=EIO:when=${which}`];
        const words = ["-f", "-qq", "-o", "/dev/null", ...inject, process.execPath, player, book.file, directory];
        const { stdout, stderr } = spawnSync("strace", words, { encoding: "utf8" });
        // Refused at its opening, or kept in memory: then nothing is in the file.
        if (stdout === "") assert.match(stderr, /has room and can be written/);
        const accepted = new Set(stdout === "" ? [] : (JSON.parse(stdout) as number[]));
        const opened = book.open(directory, (event) => assert.fail(event));
        stepCount = opened.steps.length;
        opened.readAll();
        opened.close();
        const rows = rowsOf(join(directory, book.file));
        for (let step = 0; step < stepCount; step += 1) if (!accepted.has(step)) refused.add(step);
        if (book.file === "ledger.sqlite")
          for (const run of [1, 2, 3, 4])
            assert.equal(rows.includes(`"r1-0000000${run}"`), accepted.has(run * 3 - 2), `sync ${which}, run ${run}`);
      }
      t.diagnostic(`refused at one sync or another: steps ${[...refused].join(", ")}`);
      if (book.file === "nodes.db") assert.ok(refused.has(durableStep), "a decision is not called durable");
      else assert.ok(refused.size > 0);
    });
  }
});
