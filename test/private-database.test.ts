/** The gateway's own books: only one whose contents are lost is begun anew. */
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, it } from "node:test";
import { systemClock } from "../src/clock.ts";
import { openNodesDatabase } from "../src/nodes/gateway/database.ts";
import { SessionStore } from "../src/sessions/store.ts";
import { leavesNothing } from "./helpers/no-leaks.ts";
import { SmallDisk } from "./helpers/small-disk.ts";
import { patiently } from "./helpers/until.ts";

/** Takes a file's lock as a front does, says so, and has it for so many milliseconds. */
const holder = `
const { DatabaseSync } = require("node:sqlite");
const database = new DatabaseSync(process.argv[1]);
database.exec("pragma locking_mode = exclusive; begin exclusive");
console.log("held");
setTimeout(() => process.exit(), Number(process.argv[2]));
`;

async function hold(file: string, forMs: number): Promise<ChildProcess> {
  const child = spawn(process.execPath, ["-e", holder, file, String(forMs)], { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  child.kill("SIGKILL");
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
}

/** Each book: how it is opened, its file, and whether what was in it before is still known. */
const books = {
  "nodes.db": {
    open(directory: string, log: (event: string) => void, lockWaitMs?: number): { isKnown: boolean } {
      const database = openNodesDatabase(directory, log, systemClock, { waitMs: lockWaitMs });
      try {
        return { isKnown: database.prepare("select * from nodes").all().length === 1 };
      } finally {
        database.close();
      }
    },
    fill(file: string): void {
      const database = new DatabaseSync(file);
      database.exec(`insert into nodes values ('n1', 'key', 'mill', 'approved', '{}', 1, 1, 1)`);
      database.close();
    },
  },
  "sessions.sqlite": {
    open(directory: string, log: (event: string) => void, lockWaitMs?: number): { isKnown: boolean } {
      const store = SessionStore.open(directory, 1, { clock: systemClock, log }, { waitMs: lockWaitMs });
      const isKnown = store.load().length === 1;
      store.close();
      return { isKnown };
    },
    fill(file: string): void {
      const database = new DatabaseSync(file);
      database.exec(`insert into sessions (id, kind, client_name, client_version, created_at, last_seen_at, held, lease_ms)
        values ('s1', 'mcp', 'c', '1', 1, 1, 0, 1000)`);
      database.close();
    },
  },
};

describe("the gateway's books", { timeout: patiently(60_000) }, () => {
  leavesNothing();

  for (const [name, book] of Object.entries(books)) {
    const made = async (use: (directory: string, file: string, said: string[]) => Promise<void> | void) => {
      const directory = mkdtempSync(join(tmpdir(), "holdfast-books-"));
      try {
        book.open(directory, () => {});
        const file = join(directory, name);
        book.fill(file);
        await use(directory, file, []);
      } finally {
        rmSync(directory, { recursive: true, force: true });
      }
    };
    const others = (directory: string) => readdirSync(directory).filter((each) => !each.startsWith(name));
    const asideOf = (directory: string) => readdirSync(directory).filter((each) => each.includes("unusable"));

    it(`${name}: a lock is waited for`, () =>
      made(async (directory, file) => {
        const child = await hold(file, 500);
        try {
          assert.deepEqual(
            book.open(directory, () => assert.fail("nothing to tell")),
            { isKnown: true },
          );
        } finally {
          await end(child);
        }
      }));

    it(`${name}: a lock that stays leaves the file as it is`, () =>
      made(async (directory, file, said) => {
        const child = await hold(file, 60_000);
        try {
          const open = () => book.open(directory, (event) => said.push(event), 200);
          if (name === "nodes.db")
            assert.throws(open, { code: "state_locked", message: /nodes\.db.*nothing was changed/ });
          else {
            assert.deepEqual(open(), { isKnown: false });
            assert.deepEqual(said, ["session.store_unusable"]);
          }
        } finally {
          await end(child);
        }
        assert.deepEqual(
          book.open(directory, () => assert.fail("nothing to tell")),
          { isKnown: true },
        );
        assert.deepEqual([asideOf(directory), others(directory)], [[], []]);
      }));

    it(
      `${name}: on a full disk the file is read, and left as it is`,
      { skip: process.getuid?.() !== 0 && "needs root" },
      () =>
        made((directory) => {
          const place = join(directory, "place");
          mkdirSync(place);
          using disk = new SmallDisk(place, 256);
          book.open(disk.directory, () => {});
          book.fill(join(disk.directory, name));
          for (const change of ["fill", "empty"] as const) {
            disk[change]();
            assert.deepEqual(
              book.open(disk.directory, () => assert.fail("nothing to tell")),
              { isKnown: true },
              change,
            );
          }
          assert.deepEqual(asideOf(disk.directory), []);
        }),
    );

    for (const [what, contents] of [
      ["text", "this is no database, it only looks like a file of some length".repeat(100)],
      ["a database cut in the middle of its first page", "SQLite format 3\0".padEnd(3000, "x")],
    ] as const) {
      it(`${name}: lost contents (${what}) are begun anew, and the loss is told`, () =>
        made((directory, file, said) => {
          for (const suffix of ["-wal", "-shm"]) rmSync(file + suffix, { force: true });
          writeFileSync(file, contents);
          assert.deepEqual(
            book.open(directory, (event) => said.push(event)),
            { isKnown: false },
          );
          assert.equal(said.length, 1);
          assert.match(said[0] ?? "", /store_lost/);
          book.fill(file);
          assert.deepEqual(
            book.open(directory, () => assert.fail("nothing to tell")),
            { isKnown: true },
          );
        }));
    }
  }

  it("nodes.db of another version is refused with what to do, and keeps its approvals", () => {
    const directory = mkdtempSync(join(tmpdir(), "holdfast-books-"));
    try {
      const book = books["nodes.db"];
      book.open(directory, () => {});
      const file = join(directory, "nodes.db");
      book.fill(file);
      const setForm = (form: number) => {
        const database = new DatabaseSync(file);
        database.exec(`pragma user_version = ${form}`);
        database.close();
      };
      setForm(99);
      assert.throws(() => book.open(directory, () => {}), { code: "state_unusable", message: /another version/ });
      setForm(1);
      assert.deepEqual(
        book.open(directory, () => assert.fail("nothing to tell")),
        { isKnown: true },
      );
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
