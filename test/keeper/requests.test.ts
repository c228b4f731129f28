/** What a caller far away can rely on: a start happens once, input is never doubled, streams are told apart, and nobody's runs end. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { BackgroundSpec } from "../../src/protocol/background.ts";
import { systemClock } from "../../src/clock.ts";
import { DatabaseSync } from "node:sqlite";
import { Ledger } from "../../src/keeper/ledger.ts";
import { backgroundSpec } from "../helpers/background-spec.ts";
import { needsNamespace } from "../helpers/needs.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { SmallDisk } from "../helpers/small-disk.ts";
import { until } from "../helpers/until.ts";
import { Office } from "./helpers/office.ts";

const config = { exec: { enabled: true, historyMax: 1 }, stop: { stdinGraceMs: 100, termGraceMs: 300 } };

const spec = (argv: string[], more: Partial<BackgroundSpec> = {}) => backgroundSpec({ argv, ...more });

async function read(office: Office, run: string, stream: "stdout" | "stderr"): Promise<string> {
  const asked = { run, stream, offset: 0, bytesMax: 65_536, waitMs: 0, viewer: false, pace: false };
  return Buffer.from((await office.call("exec.read", asked)).bytes, "base64").toString();
}

const ended = (office: Office, run: string) => office.call("exec.wait", { run, waitMs: 10_000 });

describe("starts with a request id", () => {
  leavesNothing();

  it("the same request asked at once, while it runs, after its end and of the next keeper runs one time", async () => {
    await using office = new Office(config);
    const mark = join(office.directory, "mark");
    const argv = ["sh", "-c", `echo ran >> ${mark}; read line; exit 3`];
    const start = () => office.call("exec.start", spec(argv, { request: "n1-abc" }));
    const views = [...(await Promise.all([start(), start(), start()])), await start()];
    assert.equal(new Set(views.map(({ id }) => id)).size, 1);
    const id = views[0]?.id ?? "";
    await office.call("exec.write", { run: id, bytes: Buffer.from("go\n").toString("base64"), at: 0, end: false });
    assert.equal((await ended(office, id)).exitCode, 3);
    const [after, other] = await Promise.all([start(), office.call("exec.start", spec(["true"]))]);
    assert.deepEqual([after.id, after.state, after.exitCode], [id, "exited", 3]);
    await ended(office, other.id);
    // Its output was one too many (historyMax 1), so it is no more shown; it is still known.
    assert.equal((await start()).exitCode, 3);
    assert.ok(!(await office.call("run.list", { all: true })).some((run) => run.id === id));
    await office.close();

    await using next = new Office(config, 2, office.directory);
    const again = await next.call("exec.start", spec(argv, { request: "n1-abc" }));
    assert.deepEqual([again.id, again.state, again.exitCode], [id, "exited", 3]);
    const known = await next.call("exec.requests", {});
    assert.deepEqual(
      known.map(({ request, run }) => [request, run.id, run.endReason]),
      [["n1-abc", id, "exited"]],
    );
    assert.equal(readFileSync(mark, "utf8"), "ran\n");
  });

  it("another command under the same id is refused, and what was refused has used no id", async () => {
    await using office = new Office(config);
    const { directory } = office;
    await office.call("exec.start", spec(["true"], { request: "a" })).then(({ id }) => ended(office, id));
    const other = office.call("exec.start", spec(["touch", join(directory, "other")], { request: "a" }));
    await assert.rejects(other, /^Error: request_reused: /);
    assert.ok(!existsSync(join(directory, "other")));
    await assert.rejects(office.call("exec.start", spec(["true"], { request: "not one" })), /request_refused/);
    // Refused before anything began, so it is no start: asked again it may come to one.
    await assert.rejects(office.call("exec.start", spec(["no-such-program"], { request: "b" })), /spawn_failed/);
    assert.deepEqual(
      (await office.call("exec.requests", {})).map(({ request }) => request),
      ["a"],
    );
  });

  it("an id is remembered for an hour after its run's end, then its row goes", async () => {
    await using office = new Office(config);
    const { id } = await office.call("exec.start", spec(["true"], { request: "old" }));
    const { endedAt } = await ended(office, id);
    office.ledger.forget(id, (endedAt ?? 0) + 3_599_000);
    assert.equal(office.ledger.byRequest("old")?.id, id);
    office.ledger.forget(id, (endedAt ?? 0) + 3_600_001);
    assert.equal(office.ledger.byRequest("old"), undefined);
  });

  it("a ledger from before there were request ids is taken over with its rows", async () => {
    await using office = new Office(config);
    const path = join(office.directory, "old.sqlite");
    new Ledger(path, systemClock).close();
    const database = new DatabaseSync(path);
    database.exec("drop index runs_request; drop index runs_kept; drop index runs_forgotten");
    database.exec(
      "alter table runs drop column request_id; alter table runs drop column forgotten; alter table runs drop column survivors",
    );
    database.exec(`insert into runs values ('r1-1', 'exec', null, null, null, 'local', 'true', '', null, null, null, 'b',
      null, 'c', 'm', 'kill', 'exited', 1, 2, 2, 'exited', 0, null, 1)`);
    database.close();
    const ledger = new Ledger(path, systemClock);
    assert.deepEqual([ledger.find("r1-1")?.requestId, ledger.history(5).length], [null, 1]);
    ledger.close();
  });
});

describe("a ledger whose disk is full", () => {
  it(
    "refuses a new run, knows at once what becomes of the others, and writes it down once there is room",
    { skip: needsNamespace("mount") },
    async () => {
      const parent = mkdtempSync(join(tmpdir(), "holdfast-full-"));
      {
        using disk = new SmallDisk(parent, 2048);
        mkdirSync(join(disk.directory, "office"));
        await using office = new Office(config, 1, join(disk.directory, "office"));
        const { id } = await office.call("exec.start", spec(["sh", "-c", "read line; exit 7"], { request: "first" }));
        disk.fill();
        const refused = office.call("exec.start", spec(["true"], { request: "second" }));
        await assert.rejects(refused, /^Error: state_unusable: .*nothing was started/);
        const live = await office.call("run.list", { all: false });
        assert.deepEqual(live.map((run) => run.id), [id], "what was refused is in no table"); // prettier-ignore
        await office.call("exec.write", { run: id, bytes: "", at: null, end: true });
        for (const { state, endReason, exitCode } of [await ended(office, id), await ended(office, id)])
          assert.deepEqual([state, endReason, exitCode], ["exited", "exited", 7]);
        assert.equal(office.ledger.open().length, 1, "not written yet");
        disk.empty();
        await until("it is written", () => office.ledger.open().length === 0, { boundMs: 10_000 });
        assert.equal(office.ledger.find(id)?.exitCode, 7);
      }
      rmSync(parent, { recursive: true });
    },
  );
});

describe("a lease", () => {
  leavesNothing();

  it("that nobody renews ends the tree as lease-expired; one that is renewed goes on", async () => {
    await using office = new Office(config);
    const argv = ["sh", "-c", "sleep 1000 & sleep 1000"];
    const leased = await office.call("exec.start", spec(argv, { leaseMs: 600 }));
    const free = await office.call("exec.start", spec(argv));
    const began = performance.now();
    while (performance.now() - began < 1500) {
      assert.deepEqual(await office.call("exec.renew", {}), { runs: 1 });
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.equal((await office.call("exec.wait", { run: leased.id, waitMs: 0 })).state, "running");
    const renewed = performance.now();
    const view = await ended(office, leased.id);
    const keptMs = performance.now() - renewed;
    assert.deepEqual([view.state, view.endReason], ["exited", "lease-expired"]);
    assert.ok(keptMs > 400, `ended after ${Math.round(keptMs)} ms already`);
    assert.deepEqual(await office.call("exec.renew", {}), { runs: 0 });
    assert.equal((await office.call("exec.wait", { run: free.id, waitMs: 0 })).state, "running");
  });
});

describe("an end", () => {
  leavesNothing();

  /** A command that needs so long for its goodbye, in a keeper that gives it 20 s. */
  const polite = async (office: Office, goodbyeSeconds: number) => {
    const script = `trap 'echo term; sleep ${goodbyeSeconds}; exit 5' TERM; echo ready; while :; do sleep 0.05; done`;
    const { id } = await office.call("exec.start", spec(["sh", "-c", script]));
    await until("it is ready", async () => (await read(office, id, "stdout")).includes("ready"), { boundMs: 10_000 });
    return id;
  };
  const isTold = (office: Office, id: string) =>
    until("it is told", async () => (await read(office, id, "stdout")).includes("term"), { boundMs: 10_000 });
  const slow = { ...config, stop: { stdinGraceMs: 100, termGraceMs: 20_000 } };

  it("that is asked for again and again, under whatever number, leaves the command its grace", async () => {
    await using office = new Office(slow);
    const run = await polite(office, 1.5);
    const end = (reason: "cancelled" | "session-ended", nth?: number) =>
      office.call("exec.end", { run, reason, hurried: false, ...(nth === undefined ? {} : { nth }) });
    const ends = [end("session-ended")];
    await isTold(office, run);
    // As a front does that finds a run of a session which is gone, and a gateway that asks a node over one link after another.
    for (const nth of [undefined, undefined, 1, 2, 3]) {
      ends.push(end(nth === undefined ? "session-ended" : "cancelled", nth));
    }
    const views = await Promise.all(ends);
    assert.deepEqual(
      new Set(views.map(({ exitCode, signal, endReason }) => `${exitCode} ${signal} ${endReason}`)),
      new Set(["5 null session-ended"]),
    );
  });

  it("that is hurried cuts the grace short, whether it comes first or while another is under way", async () => {
    await using office = new Office(slow);
    const runs = [await polite(office, 1000), await polite(office, 1000)];
    const end = (run: string, hurried: boolean) => office.call("exec.end", { run, reason: "cancelled", hurried });
    const [later = "", first = ""] = runs;
    const ends = [end(later, false)];
    await isTold(office, later);
    ends.push(end(later, true), end(first, true));
    for (const { signal } of await Promise.all(ends)) assert.equal(signal, "SIGKILL");
  });

  it("of a run whose removal is asked for while it ends leaves the command its grace, too", async () => {
    await using office = new Office(slow);
    const run = await polite(office, 0.5);
    const end = office.call("exec.end", { run, reason: "cancelled", hurried: false });
    await isTold(office, run);
    await office.call("exec.remove", { run, end: true });
    assert.equal((await end).exitCode, 5);
  });
});

describe("input and output of a run", () => {
  leavesNothing();

  it("input that is sent again is not doubled, a gap is refused, and nothing of it is taken", async () => {
    await using office = new Office(config);
    const { id: run } = await office.call("exec.start", spec(["cat"]));
    const write = (text: string, at: number | null, end = false) =>
      office.call("exec.write", { run, bytes: Buffer.from(text).toString("base64"), at, end });
    assert.deepEqual(await write("one ", 0), { inputBytes: 4 });
    assert.deepEqual(await write("one ", 0), { inputBytes: 4 });
    await assert.rejects(write("late", 9), /input_gap: .*taken 4 bytes.*begins at 9/);
    assert.deepEqual(await write("one two ", 0), { inputBytes: 8 });
    assert.deepEqual(await write("three", null), { inputBytes: 13 });
    assert.deepEqual(await write("e", 12, true), { inputBytes: 13 });
    assert.equal((await ended(office, run)).exitCode, 0);
    assert.equal(await read(office, run, "stdout"), "one two three");
  });

  it("streams apart are read apart, live and ended; merged there is one", async () => {
    await using office = new Office({ ...config, exec: { enabled: true } });
    const argv = ["sh", "-c", "echo out; echo err >&2; read line"];
    for (const streams of ["apart", "merged"] as const) {
      const { id: run } = await office.call("exec.start", spec(argv, { streams }));
      const both = async () => [await read(office, run, "stdout"), await read(office, run, "stderr")];
      const wanted = streams === "apart" ? ["out\n", "err\n"] : ["out\nerr\n", ""];
      await until("both lines", async () => (await both()).join("") === wanted.join(""), { boundMs: 10_000 });
      assert.deepEqual(await both(), wanted);
      await office.call("exec.write", { run, bytes: "", at: 0, end: true });
      await ended(office, run);
      assert.deepEqual(await both(), wanted);
    }
    await assert.rejects(office.call("exec.start", spec(argv, { kind: "pty", streams: "apart" })), /one stream/);
  });
});
