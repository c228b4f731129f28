/** The ledger: what a start finds of earlier lives, what is remembered of ended runs, and for how long. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Ledger, readEpochsWithoutEnd, readOpenRows } from "../../src/keeper/ledger.ts";
import type { LedgerRow } from "../../src/keeper/ledger-row.ts";
import { ManualClock } from "../helpers/manual-clock.ts";

const hourMs = 3_600_000;

class Place implements Disposable {
  readonly clock = new ManualClock();
  readonly #directory = mkdtempSync(join(tmpdir(), "holdfast-ledger-"));
  readonly path = join(this.#directory, "ledger.sqlite");
  ledger = new Ledger(this.path, this.clock, hourMs);

  /** As the next keeper finds it. */
  again(): Ledger {
    this.ledger.close();
    this.ledger = new Ledger(this.path, this.clock, hourMs);
    return this.ledger;
  }

  intend(id: string, more: Partial<LedgerRow> = {}): LedgerRow {
    const whose = { server: null, sessionId: "s", scopeKey: null, host: "local", cwd: "/", policy: "keep" };
    const notEnded = { leaderEndedAt: null, endedAt: null, endReason: null, exitCode: null, signal: null };
    const process = { pid: null, startTime: null, bootId: "b", processGroup: null, survivors: null };
    const own = { state: "starting" as const, startedAt: 1, epoch: 1, requestId: null };
    const what = { id, kind: "exec" as const, command: "true", container: "c", marker: "m" };
    const row: LedgerRow = { ...what, ...whose, ...notEnded, ...process, ...own, ...more };
    this.ledger.intend(row);
    return row;
  }

  end(row: LedgerRow, endedAt: number): void {
    this.ledger.ended({ ...row, endedAt, leaderEndedAt: endedAt, endReason: "exited", exitCode: 0, signal: null });
  }

  [Symbol.dispose](): void {
    this.ledger.close();
    rmSync(this.#directory, { recursive: true });
  }
}

describe("a life of the keeper", () => {
  it("has a number above all before it, and above one that is known from elsewhere", () => {
    using place = new Place();
    assert.equal(place.ledger.lastEpoch(), 0);
    assert.deepEqual([place.ledger.beginEpoch("b", 1, "1", 1), place.ledger.beginEpoch("b", 2, "2", 2)], [1, 2]);
    assert.deepEqual([place.again().beginEpoch("b", 3, "3", 3, 9), place.ledger.beginEpoch("b", 4, "4", 4, 5)], [10, 11]);
    assert.equal(place.again().lastEpoch(), 11);
  }); // prettier-ignore

  it("that had no end is noticed once, one with an end never", () => {
    using place = new Place();
    const lost = place.ledger.beginEpoch("b", 7, "1", 100);
    place.ledger.endEpoch(place.ledger.beginEpoch("b", 8, "1", 200), 300);
    assert.deepEqual(readEpochsWithoutEnd(place.path), [], "while a keeper lives, nobody else reads");
    assert.deepEqual(
      place
        .again()
        .lostEpochs()
        .map((life) => ({ ...life })),
      [{ epoch: lost, pid: 7, bootId: "b", startedAt: 100 }],
    );
    place.ledger.close();
    assert.equal(readEpochsWithoutEnd(place.path).length, 1);
    place.ledger = new Ledger(place.path, place.clock, hourMs);
    place.ledger.noticeLost(lost, 400);
    assert.deepEqual(place.again().lostEpochs(), []);
  });

  it("keeps every other one off its ledger, and refuses a file that is none", () => {
    using place = new Place();
    assert.throws(() => new Ledger(place.path, place.clock), { code: "state_locked" });
    const other = `${place.path}-other`;
    writeFileSync(other, "not a database, and long enough to be looked at".repeat(100));
    assert.throws(() => new Ledger(other, place.clock), { code: "state_unusable", message: /move it away/ });
  });
});

describe("the row of a run", () => {
  it("is open until its end, with what became known of it on the way, and never loses what was known", () => {
    using place = new Place();
    const row = place.intend("r1-a", { requestId: "q" });
    assert.deepEqual({ ...place.ledger.find("r1-a") }, row);
    place.ledger.spawned("r1-a", 42, "77", 41);
    place.ledger.changed({ ...row, state: "stopping", endReason: "cancelled" });
    const { pid, startTime, processGroup, state, endReason } = place.again().byRequest("q")!;
    assert.deepEqual([pid, startTime, processGroup, state, endReason], [42, "77", 41, "stopping", "cancelled"]);
    assert.deepEqual(place.ledger.open().map(({ id }) => id), ["r1-a"]);
    place.ledger.ended({ ...row, endedAt: 5, leaderEndedAt: 4, endReason: "cancelled", exitCode: null, signal: "SIGKILL" });
    assert.deepEqual([place.ledger.open(), place.ledger.history(9).length], [[], 1]);
    const ended = place.again().find("r1-a")!;
    assert.deepEqual([ended.state, ended.endedAt, ended.signal, ended.pid], ["exited", 5, "SIGKILL", 42]);
    assert.equal(place.ledger.find("r1-b"), undefined);
    place.intend("r1-b");
    place.ledger.close();
    assert.deepEqual(readOpenRows(place.path).map(({ id }) => id), ["r1-b"]);
    assert.deepEqual(readOpenRows(`${place.path}-none`), []);
    place.ledger = new Ledger(place.path, place.clock, hourMs);
  }); // prettier-ignore

  it("is one for each request: a second is refused, and nothing is started", () => {
    using place = new Place();
    place.intend("r1-a", { requestId: "q" });
    assert.throws(() => place.intend("r1-b", { requestId: "q" }), { code: "state_unusable" });
    assert.deepEqual(place.ledger.open().length, 1);
  });

  it("that is forgotten is not shown, and its request is known for the time that was said", () => {
    using place = new Place();
    const [asked, plain] = [place.intend("r1-a", { requestId: "q" }), place.intend("r1-b")];
    place.ledger.forget("r1-a", 0);
    assert.notEqual(place.ledger.find("r1-a"), undefined, "a live run is not forgotten");
    place.end(asked, 1000);
    place.end(plain, 1000);
    place.ledger.forget("r1-a", 1000);
    place.ledger.forget("r1-b", 1000);
    assert.deepEqual([place.ledger.history(9), place.ledger.find("r1-b")], [[], undefined]);
    assert.equal(place.again().byRequest("q")?.id, "r1-a");
    const other = place.intend("r1-c");
    place.end(other, 1000);
    place.ledger.forget("r1-c", 999 + hourMs);
    assert.equal(place.ledger.byRequest("q")?.id, "r1-a");
    const last = place.intend("r1-d");
    place.end(last, 1000);
    place.ledger.forget("r1-d", 1000 + hourMs);
    assert.equal(place.ledger.byRequest("q"), undefined);
  });

  it("is one of a thousand ended ones, newest first, and of as many background runs as are asked for", () => {
    using place = new Place();
    for (let number = 1; number <= 1002; number += 1)
      place.end(place.intend(`r${number}`, { startedAt: number, kind: number > 1000 ? "mcp" : "exec" }), number);
    assert.deepEqual(place.ledger.history(2).map(({ id }) => id), ["r1002", "r1001"]);
    assert.deepEqual(place.ledger.backgroundBeyond(998).toSorted(), ["r1", "r2"]);
    assert.deepEqual(place.ledger.trim(2000).toSorted(), ["r1", "r2"]);
    assert.deepEqual([place.ledger.history(2000).length, place.ledger.trim(2000)], [1000, []]);
    assert.deepEqual(place.ledger.requested(9), []);
  }); // prettier-ignore
});
