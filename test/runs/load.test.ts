/** Many runs at once, runs that print without end, viewers that never read, and what is asked wrongly. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { once } from "node:events";
import { after, before, describe, it } from "node:test";
import { Background } from "../helpers/background.ts";
import { Gateway } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { settle, waitForListed } from "../helpers/pids.ts";
import { fixture } from "../helpers/servers.ts";
import { bestTier } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";

/** Resident memory in bytes. */
function rssOf(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1]) * 1024;
}

const printedBytes = 200_000_000;
/** Far below what was printed, far above what a gateway needs. */
const growthBytesMax = 80 * 1024 * 1024;

leavesNothing();

describe("background runs under load", { timeout: patiently(120_000) }, () => {
  let home: Home;
  let gateway: Gateway;
  let background: Background;
  before(async () => {
    home = new Home(bestTier(), {
      exec: { enabled: true, outputBytesMax: 65_536 },
      stop: { stdinGraceMs: 300, termGraceMs: 500 },
    });
    gateway = await Gateway.start(home);
    background = new Background(gateway);
  });
  after(async () => {
    await gateway.stop();
    await home[Symbol.asyncDispose]();
  });

  it("a run that prints 200 MB takes neither memory nor anybody's time, whether somebody reads or not", async () => {
    const began = { keeper: rssOf(gateway.pids.keeper), front: rssOf(gateway.pids.front) };
    const other = await background.start({ argv: ["cat"] });
    const command = `head -c ${printedBytes} /dev/zero; echo end`;
    const [unread, watched] = [await background.start({ command }), await background.start({ command })];
    // A viewer that asks and then never reads the answer, on a connection of its own.
    const { hostname, port } = new URL(gateway.url);
    const deaf = connect(Number(port), hostname).pause();
    await once(deaf, "connect");
    const body = JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "run.log",
      params: { id: watched.id, bytesMax: 262_144, viewer: true },
    });
    const head = `POST /rpc HTTP/1.1\r\nhost: ${hostname}:${port}\r\nauthorization: Bearer ${gateway.token}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`;
    deaf.write(Array.from({ length: 30 }, () => head + body).join(""));
    let worstMs = 0;
    const isOver = async () => (await background.call("run.wait", { id: unread.id, waitMs: 0 })).state === "exited";
    for (let round = 0; round < 5 || !(await isOver()); round += 1) {
      const sent = performance.now();
      const { nextOffset } = await background.call("run.log", { id: other.id, offset: -1 });
      await background.call("run.submit", { id: other.id, text: "ping" });
      await background.output(other.id, (text) => text.includes("ping\n"), nextOffset);
      worstMs = Math.max(worstMs, performance.now() - sent);
    }
    for (const { id } of [unread, watched]) {
      const ended = await background.ended(id);
      assert.deepEqual([ended.endReason, ended.exitCode], ["exited", 0]);
      const last = await background.call("run.log", { id, offset: -4 });
      assert.equal(Buffer.from(last.bytes, "base64").toString(), "end\n");
      assert.equal(last.printed, printedBytes + 4);
    }
    deaf.destroy();
    const grown = { keeper: rssOf(gateway.pids.keeper) - began.keeper, front: rssOf(gateway.pids.front) - began.front };
    assert.ok(grown.keeper < growthBytesMax && grown.front < growthBytesMax, `grown by ${JSON.stringify(grown)} bytes`);
    assert.ok(worstMs < 2000, `another run answered within ${Math.round(worstMs)} ms`);
    await background.call("run.kill", { id: other.id });
  });

  it("a run that somebody waits for is held to that reader's pace: all that it printed is read", async () => {
    const bytes = 30_000_000;
    const command = `seq 100000000 | head -c ${bytes}`;
    const run = await background.start({ command, background: false });
    const digest = createHash("sha256");
    for (let offset = 0; ;) {
      const piece = await background.call("run.log", {
        id: run.id,
        offset,
        bytesMax: 256 * 1024,
        waitMs: 5000,
        pace: true,
      });
      assert.equal(piece.offset, offset, "nothing is written over unread");
      digest.update(Buffer.from(piece.bytes, "base64"));
      offset = piece.nextOffset;
      if (piece.run.state === "exited" && offset === piece.printed) break;
    }
    const expected = createHash("sha256");
    let made = 0;
    for (let number = 1; made < bytes; number += 1) {
      const line = Buffer.from(`${number}\n`).subarray(0, bytes - made);
      expected.update(line);
      made += line.length;
    }
    assert.equal(digest.digest("hex"), expected.digest("hex"));
  });

  it("100 starts at once under one scope key leave exactly one", async () => {
    const start = () => background.start({ argv: ["sleep", "1000"], scopeKey: "one", replaceExistingScope: true });
    const outcomes = await Promise.allSettled(Array.from({ length: 100 }, start));
    const live = await background.live();
    assert.equal(live.filter(({ scopeKey }) => scopeKey === "one").length, 1);
    const refused = outcomes.filter((outcome) => outcome.status === "rejected").map(({ reason }) => String(reason));
    assert.ok(
      refused.every((reason) => reason.includes("scope key")),
      refused[0] ?? "",
    );
    await background.call("run.kill", { id: live.find(({ scopeKey }) => scopeKey === "one")?.id ?? "" });
  });

  it("what is asked wrongly is refused by name, and changes nothing", async () => {
    const run = await background.start({ argv: ["cat"] });
    const over = await background.start({ argv: ["true"] });
    await background.ended(over.id);
    const cases: [() => Promise<unknown>, RegExp][] = [
      [() => background.call("run.poll", { id: "r1-nobody" }), /no background run r1-nobody/],
      [() => background.call("run.write", { id: over.id, data: "x" }), /has ended \(exited\)/],
      [() => background.call("run.resize", { id: run.id, columns: 10, rows: 10 }), /has no terminal/],
      [() => background.call("run.resize", { id: run.id, columns: 10_000, rows: 10 }), /columns/],
      [() => background.call("run.sendKeys", { id: run.id, keys: ["a", "Entr"] }), /no key "Entr"/],
      [() => background.call("run.signal", { id: run.id, signal: "SIGNOTHING" }), /no signal SIGNOTHING/],
      [() => background.call("run.clear", { id: run.id }), /has not ended/],
      [() => background.call("run.start", { argv: ["true"], command: "true" }), /either command .* or argv/],
      [() => background.call("run.start", { argv: ["true"], sessionId: "nobody" }), /no session nobody/],
      [
        () => background.call("run.start", { argv: ["true"], cwd: "/not/there" }),
        /cwd: \/not\/there is not a directory/,
      ],
      [() => background.call("run.write", { id: run.id, data: "!", encoding: "base64" }), /not base64/],
    ];
    for (const [call, message] of cases) await assert.rejects(call(), message);
    // Ten times as much is refused by the door, as every body that long is.
    const big = background.start({ argv: ["true"], env: { BIG: "x".repeat(1_000_000) } });
    await assert.rejects(big, /env is 1000005 bytes long/);
    assert.deepEqual(
      (await background.live()).map(({ id }) => id),
      [run.id],
    );
    assert.equal((await background.call("run.poll", { id: run.id })).printed, 0, "not a byte was sent");
    await background.call("run.write", { id: run.id, data: "last\n", end: true });
    assert.equal(await background.output(run.id), "last\n");
    await background.call("run.clear", { id: run.id });
    await assert.rejects(background.call("run.poll", { id: run.id }), /no background run/);
  });

  it("what a command leaves behind is kept when asked for, listed, and its run ends with the last of it", async () => {
    const run = await background.start({ command: "sleep 0.5 & echo $!", descendants: "keep-until-scope-ends" });
    await until(
      "the command has ended",
      async () => (await background.call("run.wait", { id: run.id, waitMs: 0 })).leaderEndedAt !== null,
      { boundMs: 5000 },
    );
    const [listed] = await background.live();
    assert.deepEqual([listed?.id, listed?.state, listed?.processes.length], [run.id, "running", 1]);
    const ended = await background.ended(run.id);
    assert.deepEqual([ended.endReason, ended.exitCode], ["exited", 0]);
  });

  it("a run is ended over its lifetime, with what it left behind, and over its limits; one that is looked at is not silent", async () => {
    const left = await background.start({
      command: "sleep 1000 & echo",
      descendants: "keep-until-scope-ends",
      maxLifetimeMs: 500,
    });
    assert.equal((await background.ended(left.id)).endReason, "lease-expired");
    const wide = await background.start({
      command: "for n in 1 2 3 4 5 6 7 8; do sleep 1000 & done; wait",
      limits: { processesMax: 4 },
    });
    assert.equal((await background.ended(wide.id)).endReason, "limit-exceeded");
    const watched = await background.start({ argv: ["sleep", "1000"], noOutputTimeoutMs: 400 });
    const waited = await background.call("run.log", { id: watched.id, waitMs: 1500, viewer: true });
    assert.equal(waited.run.state, "running", "somebody looked on for more than its time");
    assert.equal((await background.ended(watched.id)).endReason, "no-output");
  });

  it("the gateway stops with 50 runs, some deaf to every signal, within its graces and a second", async () => {
    const deafFile = home.pidFile;
    const starts = Array.from({ length: 50 }, (_, index) =>
      index % 5 === 0
        ? background.start({ argv: ["sh", fixture("stubborn-helper.sh"), deafFile, "deaf"] })
        : background.start({ kind: index % 2 === 0 ? "pty" : "exec", argv: ["sleep", "1000"] }),
    );
    await Promise.all(starts);
    await waitForListed(deafFile, 10, 10_000);
    assert.equal((await background.live()).length, 50);
    const began = performance.now();
    await gateway.stop();
    const tookMs = performance.now() - began;
    assert.deepEqual((await settle(deafFile, 0)).survivors, []);
    await using idle = new Home(bestTier(), { exec: { enabled: true }, stop: { stdinGraceMs: 300, termGraceMs: 500 } });
    const other = await Gateway.start(idle);
    const idleBegan = performance.now();
    await other.stop();
    const idleMs = performance.now() - idleBegan;
    // 300 + 500 ms of graces and a second; on a slow machine also what it takes a gateway that holds nothing to stop.
    assert.ok(
      tookMs < patiently(1800) + idleMs,
      `it took ${Math.round(tookMs)} ms, ${Math.round(idleMs)} ms without any run`,
    );
  });
});
