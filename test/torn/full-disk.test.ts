/** A disk that is full at any page, refuses to be written, or fails at a sync: nothing accepted is lost, no row is there by half. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { HoldfastError } from "../../src/errors.ts";
import { needsNamespace } from "../helpers/needs.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { SmallDisk } from "../helpers/small-disk.ts";
import { patiently } from "../helpers/until.ts";
import { books, copyBook, Place, rowsOf, type Book } from "./helpers/books.ts";

const plenty = 8192;

/** Each row that the scenario ever commits, as text with its table. */
function everyRow(book: Book, place: Place): Set<string> {
  const live = place.make("whole");
  const copy = place.make("copy");
  const rows = new Set<string>();
  const opened = book.open(live, (event) => assert.fail(event));
  for (const step of opened.steps) {
    step();
    copyBook(book.file, live, copy);
    for (const row of rowTexts(rowsOf(join(copy, book.file)))) rows.add(row);
  }
  opened.close();
  return rows;
}

function rowTexts(rows: string): string[] {
  const tables = JSON.parse(rows) as { name: string; rows: object[] }[];
  // An epoch begins where the one before was written down.
  const others = tables.filter(({ name }) => !name.endsWith("epochs"));
  return others.flatMap(({ name, rows: each }) => each.map((row) => `${name} ${JSON.stringify(row)}`));
}

interface Played {
  /** Of the steps. */
  accepted: number[];
  isWhole: boolean;
  close(): void;
}

/** Plays the scenario as far as the disk allows. A refusal must say what to do. */
function play(book: Book, directory: string, told: string[]): Played | undefined {
  let opened;
  try {
    opened = book.open(directory, (event) => told.push(event));
  } catch (thrown) {
    assert.ok(thrown instanceof HoldfastError, String(thrown));
    assert.match(thrown.message, /has room and can be written/);
    return undefined;
  }
  const accepted: number[] = [];
  for (const [index, step] of opened.steps.entries()) {
    try {
      step();
      accepted.push(index);
    } catch (thrown) {
      // The callers of the nodes' book judge SQLite's errors themselves.
      if (book.file !== "nodes.db") assert.ok(thrown instanceof HoldfastError, String(thrown));
    }
  }
  const isWhole = told.length === 0 && accepted.length === opened.steps.length;
  return { accepted, isWhole, close: () => opened.close() };
}

/** The runs whose intent was accepted: after the first step three steps each. The fifth is forgotten in the end. */
function intendedBy(accepted: number[]): string[] {
  const numbers = accepted.filter((step) => step >= 1 && step < 13 && step % 3 === 1).map((step) => (step + 2) / 3);
  return numbers.map((number) => `r1-0000000${number}`);
}

/** The ids of the ledger's rows of runs. */
function runIds(rows: string): string[] {
  return rowTexts(rows)
    .filter((text) => text.startsWith("runs "))
    .map((text) => (JSON.parse(text.slice(5)) as { id: string }).id)
    .toSorted();
}

for (const book of books) {
  describe(`${book.file} on a bad disk`, { timeout: patiently(120_000) }, () => {
    leavesNothing();

    it(
      "full at any page: what was accepted is there, whole, once there is room",
      { skip: needsNamespace("mount") },
      (t) => {
        using place = new Place();
        const whole = everyRow(book, place);
        using disk = new SmallDisk(place.make("disk"), plenty);
        let failed = 0;
        let pages = 0;
        for (let isEnough = false; !isEnough; pages += 3) {
          for (const name of readdirSync(disk.directory)) rmSync(join(disk.directory, name));
          disk.grow((pages + 1) * 4);
          const told: string[] = [];
          const played = play(book, disk.directory, told);
          disk.grow(plenty);
          played?.close();
          isEnough = played?.isWhole === true;
          if (!isEnough) failed += 1;
          const again = book.open(disk.directory, (event) => assert.fail(`${event} with ${pages} pages`));
          again.readAll();
          again.close();
          const rows = rowsOf(join(disk.directory, book.file));
          // A session's row may lack a later part that had no room.
          if (book.file !== "sessions.sqlite")
            for (const row of rowTexts(rows)) assert.ok(whole.has(row), `with ${pages} pages: ${row}`);
          if (book.file === "ledger.sqlite" && played !== undefined)
            assert.deepEqual(runIds(rows), intendedBy(played.accepted), `with ${pages} pages`);
        }
        t.diagnostic(`${failed} sizes of the disk were too small, of ${pages}`);
        assert.ok(failed > 10);
      },
    );

    it("read-only: it is left as it is, and the refusal or the log says so", { skip: needsNamespace("mount") }, () => {
      using place = new Place();
      using disk = new SmallDisk(place.make("disk"), plenty);
      play(book, disk.directory, [])?.close();
      const before = rowsOf(join(disk.directory, book.file));
      execFileSync("mount", ["-o", "remount,ro", disk.directory]);
      const told: string[] = [];
      const played = play(book, disk.directory, told);
      played?.close();
      if (book.file === "ledger.sqlite") assert.equal(played, undefined);
      else assert.match(told[0] ?? "", /store_(?:unusable|lost)/);
      execFileSync("mount", ["-o", "remount,rw", disk.directory]);
      assert.equal(rowsOf(join(disk.directory, book.file)), before);
    });
  });
}
