/** A database whose process or machine stopped at any byte of a write: what was committed before is there, whole. */
import assert from "node:assert/strict";
import { readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { patiently } from "../helpers/until.ts";
import { books, copyBook, Place, rowsOf, type Book } from "./helpers/books.ts";

const sectorBytes = 512;

/** One commit: the files as they were after it, and the rows they stand for. */
interface Moment {
  directory: string;
  rows: string;
  logBytes: number;
}

const sizeOf = (path: string) => statSync(path, { throwIfNoEntry: false })?.size ?? 0;
const nothingToTell = (event: string) => assert.fail(`told ${event}`);

/** Plays the scenario; the files are copied at the beginning and after each commit, while the database is open. */
function play(book: Book, place: Place): Moment[] {
  const live = place.make("live");
  const spare = place.make("spare");
  const moments: Moment[] = [];
  const opened = book.open(live, nothingToTell);
  const note = () => {
    const directory = place.make(`moment-${moments.length}`);
    copyBook(book.file, live, directory);
    copyBook(book.file, directory, spare);
    moments.push({
      directory,
      rows: rowsOf(join(spare, book.file)),
      logBytes: sizeOf(join(directory, `${book.file}-wal`)),
    });
  };
  try {
    const { steps } = opened;
    note();
    for (const step of steps) {
      step();
      note();
    }
  } finally {
    opened.close();
  }
  return moments;
}

/** Opens a copy as a start does, and reads what a start reads. Returns the rows that are there. */
function openedRows(book: Book, directory: string): string {
  const opened = book.open(directory, nothingToTell);
  opened.readAll();
  opened.close();
  return rowsOf(join(directory, book.file));
}

for (const book of books) {
  describe(`${book.file} torn by a crash`, { timeout: patiently(120_000) }, () => {
    leavesNothing();

    it("has after each commit exactly what was committed", (t) => {
      using place = new Place();
      const moments = play(book, place);
      for (const { directory, rows } of moments) assert.equal(openedRows(book, directory), rows);
      t.diagnostic(`${moments.length} commits`);
    });

    it("whose log is cut at any sector has every commit before the cut, and none by half", (t) => {
      using place = new Place();
      const moments = play(book, place);
      const last = moments.at(-1)!;
      const cut = place.make("cut");
      const log = join(cut, `${book.file}-wal`);
      // What is in the database itself, before anything of the log.
      copyBook(book.file, last.directory, cut);
      rmSync(log);
      const base = rowsOf(join(cut, book.file));
      const since = moments.slice(
        moments.findLastIndex(({ logBytes }, index) => index === 0 || logBytes < moments[index - 1]!.logBytes),
      );
      const ends = since.map(({ logBytes }) => logBytes);
      const sectors = Array.from({ length: Math.ceil(last.logBytes / sectorBytes) }, (_, index) => index * sectorBytes);
      const cuts = [...new Set([...sectors, ...ends.flatMap((end) => [end - 1, end, end + 1])])].filter(
        (at) => at >= 0 && at <= last.logBytes,
      );
      for (const at of cuts) {
        copyBook(book.file, last.directory, cut);
        truncateSync(log, at);
        const whole = since.findLast(({ logBytes }) => logBytes <= at)?.rows ?? base;
        assert.equal(openedRows(book, cut), whole, `cut at ${at} of ${last.logBytes}`);
      }
      t.diagnostic(`${cuts.length} cuts of ${last.logBytes} bytes`);
    });

    it("whose log was being written into the database is whole at any sector of that", (t) => {
      using place = new Place();
      const last = play(book, place).at(-1)!;
      // At its end the live one was closed, and so has everything in the database.
      const after = readFileSync(join(place.make("live"), book.file));
      const before = readFileSync(join(last.directory, book.file));
      const torn = place.make("torn");
      for (let at = 0; at <= after.length; at += sectorBytes) {
        copyBook(book.file, last.directory, torn);
        writeFileSync(join(torn, book.file), Buffer.concat([after.subarray(0, at), before.subarray(at)]));
        assert.equal(openedRows(book, torn), last.rows, `${at} of ${after.length} bytes written`);
      }
      t.diagnostic(`${after.length / sectorBytes} sectors`);
    });
  });
}
