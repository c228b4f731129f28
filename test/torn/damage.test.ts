/**
 * A database that was damaged otherwise than by a crash: emptied, cut, with a bit flipped, or of a newer version. It is refused
 * in a sentence that names the file and what to do, or replaced as the documentation says; it is never used as it is.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, it } from "node:test";
import { HoldfastError } from "../../src/errors.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { patiently } from "../helpers/until.ts";
import { books, Place, rowsOf, type Book } from "./helpers/books.ts";

const pageBytes = 4096;
const fileHeaderBytes = 100;
/** The first byte of a page of a tree; others hold parts of long values, which have no header. */
const treePages = new Set([2, 5, 10, 13]);

/** What a start makes of a file: it has its rows, or the file was refused or replaced. */
interface Made {
  rows?: string;
  refused?: HoldfastError;
  told: string[];
}

/** A closed database with the scenario's rows. */
function filled(book: Book, place: Place): { bytes: Buffer; rows: string } {
  const directory = place.make("filled");
  const opened = book.open(directory, (event) => assert.fail(event));
  for (const step of opened.steps) step();
  opened.close();
  const file = join(directory, book.file);
  return { bytes: readFileSync(file), rows: rowsOf(file) };
}

/** Anything but a refusal of ours is thrown. */
function start(book: Book, directory: string): Made {
  const told: string[] = [];
  try {
    const opened = book.open(directory, (event) => told.push(event));
    try {
      opened.readAll();
    } finally {
      opened.close();
    }
    return { rows: rowsOf(join(directory, book.file)), told };
  } catch (thrown) {
    if (!(thrown instanceof HoldfastError)) throw thrown;
    return { refused: thrown, told };
  }
}

/** What each file may become when its contents are lost. */
function assertLossIsTold(book: Book, directory: string, bytes: Buffer, made: Made, what: string): void {
  const { rows, refused, told } = made;
  if (book.file === "ledger.sqlite") {
    assert.equal(refused?.code, "state_unusable", what);
    assert.match(
      refused.message,
      /ledger\.sqlite cannot be used as the ledger: .+; (?:move it away|start the version)/,
      what,
    );
    assert.deepEqual(readFileSync(join(directory, book.file)), bytes, `${what}: it is left as it is`);
    return;
  }
  assert.deepEqual([rows, told.length], ["[]", 1], what);
  assert.match(told[0] ?? "", /store_lost/, what);
  // Approvals of nodes are worth a repair; sessions do not outlive their keeper.
  const aside = readdirSync(directory).filter((name) => /\.unusable-\d+$/.test(name));
  if (book.file === "nodes.db") assert.deepEqual(readFileSync(join(directory, aside[0] ?? "")), bytes, what);
}

for (const book of books) {
  describe(`${book.file}, damaged`, { timeout: patiently(120_000) }, () => {
    leavesNothing();

    const attempt = (place: Place, bytes: Buffer): { made: Made; directory: string } => {
      const directory = place.make("damaged");
      for (const name of readdirSync(directory)) rmSync(join(directory, name));
      writeFileSync(join(directory, book.file), bytes);
      return { made: start(book, directory), directory };
    };

    it("by a cut at any sector, by zeros or as another file: the loss is told, with what to do", () => {
      using place = new Place();
      const { bytes } = filled(book, place);
      const cuts = Array.from({ length: bytes.length / 512 - 1 }, (_, index) => bytes.subarray(0, (index + 1) * 512));
      for (const damaged of [...cuts, Buffer.alloc(bytes.length), Buffer.alloc(bytes.length, "text ")]) {
        const { made, directory } = attempt(place, damaged);
        assertLossIsTold(book, directory, damaged, made, `${damaged.length} of ${bytes.length} bytes`);
      }
    });

    it("by being emptied: it is a new one", () => {
      using place = new Place();
      assert.deepEqual(attempt(place, Buffer.alloc(0)).made, { rows: "[]", told: [] });
    });

    it("by a flipped bit in the header of the file or of a page: all rows are there, or the loss is told", (t) => {
      using place = new Place();
      const { bytes, rows } = filled(book, place);
      let unharmed = 0;
      let flips = 0;
      const headers = Array.from({ length: bytes.length / pageBytes }, (_, page) => page * pageBytes)
        .filter((at) => at === 0 || treePages.has(bytes[at] ?? 0))
        .flatMap((at) => Array.from({ length: at === 0 ? fileHeaderBytes + 8 : 8 }, (_, index) => at + index));
      for (const at of headers) {
        // Two bits of each byte, other ones on other pages: each of them costs a start.
        for (const bit of [(at + at / pageBytes) & 7, (at + at / pageBytes + 4) & 7]) {
          const damaged = Buffer.from(bytes);
          damaged[at] = (damaged[at] ?? 0) ^ (1 << bit);
          const { made, directory } = attempt(place, damaged);
          flips += 1;
          const what = `bit ${bit} of byte ${at}`;
          if (made.rows === rows) unharmed += 1;
          // The number of the version, and the byte that forbids writing: refused with the remedy for that.
          else if (at >= 60 && at < 64 && book.file !== "sessions.sqlite")
            assert.match(made.refused?.message ?? "", /version/, what);
          else if (at === 18 && book.file === "ledger.sqlite")
            assert.match(made.refused?.message ?? "", /can be written/, what);
          else assertLossIsTold(book, directory, damaged, made, what);
        }
      }
      t.diagnostic(`${flips} flips, ${unharmed} of bits without effect`);
      assert.ok(unharmed < flips / 2);
    });

    it("by a newer version: it is refused, and keeps what it has; or replaced, where nothing outlives a keeper", () => {
      using place = new Place();
      const { bytes } = filled(book, place);
      const newer = Buffer.from(bytes);
      newer.writeUInt32BE(99, 60);
      const { made, directory } = attempt(place, newer);
      if (book.file === "sessions.sqlite") return assertLossIsTold(book, directory, newer, made, "newer");
      assert.equal(made.refused?.code, "state_unusable");
      assert.match(made.refused.message, new RegExp(`${book.file}.* version .*move (?:it|the file) away`));
      assert.deepEqual(readFileSync(join(directory, book.file)), newer);
    });
  });
}

describe("a ledger of an earlier version", () => {
  leavesNothing();

  it("gets the columns that it lacks, and keeps its rows", () => {
    using place = new Place();
    const [book] = books as [Book];
    const { bytes } = filled(book, place);
    const directory = place.make("earlier");
    const file = join(directory, book.file);
    writeFileSync(file, bytes);
    const database = new DatabaseSync(file);
    database.exec(`drop index runs_request; drop index runs_kept; drop index runs_forgotten; pragma user_version = 0;
      alter table runs drop column survivors; alter table runs drop column forgotten; alter table runs drop column request_id`);
    database.close();
    assert.equal(JSON.parse(start(book, directory).rows ?? "")[2].rows.length, 4);
  });
});
