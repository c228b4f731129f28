/** The product's databases as tests of torn files use them: opened by the product's own code, filled commit by commit. */
import assert from "node:assert/strict";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { systemClock } from "../../../src/clock.ts";
import { Ledger } from "../../../src/keeper/ledger.ts";
import type { LedgerRow } from "../../../src/keeper/ledger-row.ts";
import { openNodesDatabase } from "../../../src/nodes/gateway/database.ts";
import { NodesBook } from "../../../src/nodes/gateway/rows.ts";
import { systemRandom } from "../../../src/random.ts";
import { SessionStore, type SessionRecord } from "../../../src/sessions/store.ts";

/** An open database: its scenario, one commit a step. */
export interface OpenBook {
  steps: (() => void)[];
  /** Everything a start reads. */
  readAll(): void;
  close(): void;
}

export interface Book {
  file: string;
  /** `log` gets the events of a lost or unusable file. */
  open(directory: string, log: (event: string) => void): OpenBook;
}

const runCount = 5;

function ledgerRow(number: number): LedgerRow {
  const id = `r1-${number.toString(16).padStart(8, "0")}`;
  const whose = { server: null, sessionId: "s1", scopeKey: null, host: "local", cwd: "/", policy: "keep" };
  const notEnded = { leaderEndedAt: null, endedAt: null, endReason: null, exitCode: null, signal: null };
  const process = { pid: null, startTime: null, bootId: "b", processGroup: null, survivors: null };
  const own = {
    state: "starting" as const,
    startedAt: number,
    epoch: 1,
    requestId: number % 2 === 0 ? `q-${id}` : null,
  };
  // Some command lines are longer than a page, so that their rows are written in parts.
  const command = `sleep ${"x".repeat(number % 3 === 0 ? 9000 : 20)}`;
  return { id, kind: "exec", command, container: "c", marker: "m", ...whose, ...notEnded, ...process, ...own };
}

function ledgerSteps(ledger: Ledger): (() => void)[] {
  const ended = { leaderEndedAt: 5, endedAt: 6, endReason: "exited", exitCode: 0, signal: null } as const;
  const rows = Array.from({ length: runCount }, (_, index) => ledgerRow(index + 1));
  return [
    () => void ledger.beginEpoch("b", 4711, "1", 1),
    ...rows.flatMap((row) => [
      () => ledger.intend(row),
      () => ledger.spawned(row.id, 100, "7", 100),
      () => ledger.changed({ ...row, state: "stopping", endReason: "cancelled" }),
    ]),
    ...rows.slice(2).map((row) => () => ledger.ended({ ...row, ...ended })),
    () => ledger.forget(rows[4]?.id ?? "", 10),
    () => ledger.endEpoch(1, 20),
    () => void ledger.beginEpoch("b", 4712, "2", 30),
    () => ledger.noticeLost(1, 31),
  ];
}

function session(number: number): SessionRecord {
  const times = { createdAt: number, lastSeenAt: number, held: 1, leaseMs: 1000 };
  const whose = { server: null, parentId: null, tokenId: "first", protocolVersion: null, memo: null };
  return { id: `s${number}`, kind: "mcp", clientName: "c", clientVersion: "1", ...times, ...whose };
}

function sessionSteps(store: SessionStore): (() => void)[] {
  const all = Array.from({ length: runCount }, (_, index) => session(index + 1));
  return [
    ...all.flatMap((one) => [
      () => store.add(one),
      () => store.agreed(one.id, "2025-11-25"),
      () => store.remembered(one.id, JSON.stringify({ roots: "y".repeat(9000) })),
    ]),
    () => store.seen(all.map(({ id }) => ({ id, lastSeenAt: 99, held: false }))),
    () => store.runOwned("r1-1", "first"),
    () => store.runForgotten("r1-1"),
    () => store.runAwaited("r1-1", "s1"),
    () => store.runUnawaited("r1-1"),
    () => store.remove("s3"),
  ];
}

function nodesSteps(book: NodesBook): (() => void)[] {
  const node = { publicKey: "k", state: "pending", createdAt: 1, decidedAt: null, lastSeenAt: 1 } as const;
  const about = JSON.stringify({ os: "z".repeat(5000) });
  const run = { epoch: 1, node: "n1", kind: "exec", server: null, sessionId: null, scopeKey: null, cwd: null } as const;
  const notEnded = { endedAt: null, leaderEndedAt: null, endReason: null, exitCode: null, signal: null };
  const running = { ...run, ...notEnded, onFrontLoss: "keep", command: "c", state: "running", startedAt: 1 } as const;
  const numbers = Array.from({ length: runCount }, (_, index) => index + 1);
  return [
    () => book.nodes.put({ ...node, id: "n1", name: "mill", about }),
    () => book.makeDurable(),
    ...numbers.flatMap((number) => [
      () => book.nodes.put({ ...node, id: `m${number}`, name: "mill", about }),
      () => book.invitations.put({ digest: `d${number}`, name: null, createdAt: 1, expiresAt: 2 }),
      () => book.nodes.put({ ...node, id: `m${number}`, name: "mill", about, state: "approved", decidedAt: 3 }),
      () => book.runs.put({ ...running, id: `r${number}` }),
      () =>
        book.runs.put({ ...running, id: `r${number}`, state: "exited", endedAt: 5, endReason: "exited", exitCode: 0 }),
      () => void book.invitations.remove(`d${number}`),
    ]),
  ];
}

/** Of the keeper whose sessions the file has. */
const keeperEpoch = 7;

export const books: Book[] = [
  {
    file: "ledger.sqlite",
    open(directory) {
      const ledger = new Ledger(join(directory, "ledger.sqlite"), systemClock);
      const readAll = () => void [ledger.open(), ledger.history(1000), ledger.requested(100), ledger.lostEpochs()];
      return { steps: ledgerSteps(ledger), readAll, close: () => ledger.close() };
    },
  },
  {
    file: "sessions.sqlite",
    open(directory, log) {
      const store = SessionStore.open(directory, keeperEpoch, { clock: systemClock, log });
      return {
        steps: sessionSteps(store),
        readAll: () => void [store.load(), store.runOwners(), store.runCallers()],
        close: () => store.close(),
      };
    },
  },
  {
    file: "nodes.db",
    open(directory, log) {
      const database = openNodesDatabase(directory, log, systemClock);
      const book = new NodesBook(database, systemRandom);
      const readAll = () => void [book.nodes.all(), book.invitations.all(), book.runs.all()];
      return { steps: nodesSteps(book), readAll, close: () => book.close() };
    },
  },
];

/** Where a sync costs nothing, since thousands of copies are opened; only the bytes of the files matter here. */
const memoryDirectory = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

/** A place for copies, gone with its user. */
export class Place implements Disposable {
  readonly directory = mkdtempSync(join(memoryDirectory, "holdfast-torn-"));

  make(name: string): string {
    const path = join(this.directory, name);
    mkdirSync(path, { recursive: true });
    return path;
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

const suffixes = ["", "-wal", "-shm", "-journal"];

/** Copies a database with what belongs to it, as a crash would leave it; what is missing there is missing here. */
export function copyBook(file: string, from: string, to: string): void {
  for (const suffix of suffixes) {
    rmSync(join(to, file + suffix), { force: true });
    if (existsSync(join(from, file + suffix))) copyFileSync(join(from, file + suffix), join(to, file + suffix));
  }
}

/** All rows of all tables that have any, as text; the structure must be whole. */
export function rowsOf(path: string): string {
  const database = new DatabaseSync(path);
  try {
    assert.deepEqual(
      database
        .prepare("pragma integrity_check")
        .all()
        .map((row) => row["integrity_check"]),
      ["ok"],
    );
    // A start gives a file of its own accord which gateway or keeper it is of.
    const which = "type = 'table' and name not in ('gateway', 'keeper')";
    const tables = database.prepare(`select name from sqlite_schema where ${which} order by name`).all();
    const filled = tables.flatMap(({ name }) => {
      const rows = database.prepare(`select * from ${String(name)}`).all();
      return rows.length === 0 ? [] : [{ name, rows }];
    });
    return JSON.stringify(filled);
  } finally {
    database.close();
  }
}
