/** A remote machine, or whatever stands in for `ssh`, may say what it likes: it costs the keeper little, and is believed only what it can be. */
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { BoundedLines } from "../../src/ssh/bounded-input.ts";
import { readMessage } from "../../src/ssh/remote/guardian-messages.ts";
import { Gateway } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { bestTier } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";

/** What the keeper may grow by while a host talks at it; one that kept what it hears would pass this in a second. */
const growthBytesMax = 64 * 1024 * 1024;
const ssh = { connectTimeoutMs: 4000, heartbeatMs: 250, heartbeatTimeoutMs: 3000 };

/** A guardian that stands, on the marker tier. */
const stands = `echo; echo "holdfast-far ready marker - 0 -"`;

/** A gateway whose PATH has this shell text as its `ssh`. `master` is what the connection runs, `run` what each run does. */
class Pretender implements AsyncDisposable {
  readonly home = new Home(bestTier());
  #gateway: Gateway | undefined;

  async serve(master: string, run = "exit 1"): Promise<Gateway> {
    const bin = join(this.home.directory, "bin");
    mkdirSync(bin);
    const text = `#!/bin/sh\ncase " $* " in\n*ControlMaster=yes*)\n${master}\n;;\n*)\n${run}\n;;\nesac\n`;
    writeFileSync(join(bin, "ssh"), text);
    chmodSync(join(bin, "ssh"), 0o755);
    chmodSync(this.home.directory, 0o755);
    const stop = { stdinGraceMs: 100, termGraceMs: 100 };
    this.home.configure({ mcpServers: { there: { command: "cat", host: "ssh:far" } }, ssh, stop });
    this.#gateway = await Gateway.start(this.home, [], { PATH: `${bin}:${process.env["PATH"]}` });
    return this.#gateway;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#gateway?.[Symbol.asyncDispose]();
    await this.home[Symbol.asyncDispose]();
  }
}

function memory(pid: number, field: "VmHWM" | "VmRSS"): number {
  const line = readFileSync(`/proc/${pid}/status`, "latin1")
    .split("\n")
    .find((each) => each.startsWith(field));
  return Number(/\d+/.exec(line ?? "")?.[0]) * 1024;
}

/** Fails when the keeper died, or its largest size grew by more than it may. */
async function costsLittle(gateway: Gateway, act: () => Promise<void>): Promise<void> {
  const { keeper } = gateway.pids;
  const before = memory(keeper, "VmRSS");
  await act();
  const grownBytes = memory(keeper, "VmHWM") - before;
  assert.ok(grownBytes < growthBytesMax, `the keeper grew by ${Math.round(grownBytes / 1024 / 1024)} MiB`);
  const began = performance.now();
  await gateway.rpc("gateway.status");
  assert.ok(performance.now() - began < 2000, "the keeper is busy");
}

describe(
  "what a host says without end costs the keeper bounded memory",
  { timeout: patiently(240_000), concurrency: 2 },
  () => {
    leavesNothing();
    const floods: [string, string, string | undefined, RegExp][] = [
    ["bytes without a newline", `exec tr '\\0' x </dev/zero`, undefined, /without an end of line|before its guard stood/],
    ["bytes without a newline on stderr", `exec tr '\\0' x </dev/zero >&2`, undefined, /no answer within 4000 ms/],
    ["lines that are no messages", "exec yes hello", undefined, /before its guard stood/],
    ["a line after its guard stood", `${stands}; sleep 1; exec tr '\\0' x </dev/zero`, "exec sleep 100", /without an end of line/],
    ["answers to nothing", `${stands}; exec yes 'beat 99999'`, "exec sleep 100", /what it was not asked: .*beat 99999/],
    ["greetings", `${stands}; exec yes 'holdfast-far ready cgroup - 0 /x'`, "exec sleep 100", /what it was not asked/],
    ["a run's stderr without its guard", `${stands}; exec sleep 100`, `exec tr '\\0' x </dev/zero >&2`, /bytes before the guard stood/],
    ["a run's stderr in single bytes", `${stands}; exec sleep 100`, `dd if=/dev/zero bs=1 >&2 2>/dev/null`, /no guard stands|bytes before the guard stood|no heartbeat/],
  ]; // prettier-ignore
    for (const [name, master, run, words] of floods) {
      it(name, async () => {
        await using pretender = new Pretender();
        const gateway = await pretender.serve(master, run);
        await costsLittle(gateway, async () => {
          using client = gateway.mcp("there");
          await assert.rejects(client.initialize(), words);
        });
        await until(
          "no run is left",
          async () =>
            ((await gateway.rpc("run.list", {})) as { state: string }[]).every(({ state }) => state === "lost"),
          { boundMs: 10_000, everyMs: 50 },
        );
      });
    }
  },
);

describe(
  "a claim of a remote guard is believed only when its script could make it",
  { timeout: patiently(120_000) },
  () => {
    leavesNothing();

    it("refuses the host that claims another tier", async () => {
      await using pretender = new Pretender();
      const gateway = await pretender.serve("echo; echo 'holdfast-far ready root - 0 -'; exec sleep 100");
      using client = gateway.mcp("there");
      await assert.rejects(client.initialize(), /its guard claims what it cannot be: \\?"ready root - 0 -/);
      const status = JSON.stringify(await gateway.rpc("gateway.status"));
      assert.doesNotMatch(status, /"tier":"root"/);
    });

    const ready = (claims: string, only = "") => readMessage(`holdfast-far ready ${claims}`, only)?.type;
    const believed: [string, string][] = [
      ["cgroup 157 0 /sys/fs/cgroup/user.slice", ""],
      ["cgroup - 12 /sys/fs/cgroup", "subreaper"],
      ["subreaper 167 3 -", ""],
      ["subreaper 157 3 -", "subreaper"],
      ["marker - 0 -", "marker"],
    ];
    for (const [claims, only] of believed)
      it(`believes ${JSON.stringify(claims)}`, () => assert.equal(ready(claims, only), "ready"));
    const refused: [string, string][] = [
      ["cgroup - 0 -", ""],
      ["cgroup - 0 relative", ""],
      ["cgroup - 0 /a\u009b2J", ""],
      ["cgroup 157 0 /sys/fs/cgroup", "marker"],
      ["cgroup 157 0 /sys/fs/cgroup", "subreaper"],
      ["subreaper - 0 -", ""],
      ["subreaper 1,36);system(1 0 -", ""],
      ["subreaper 157 0 /sys/fs/cgroup", ""],
      ["subreaper 157 0 -", "marker"],
      ["marker 157 0 -", ""],
      ["marker - -5 -", ""],
      ["marker - 1e99 -", ""],
      ["marker - 0 - and more", ""],
      ["marker", ""],
      ["job - 0 -", ""],
    ];
    for (const [claims, only] of refused)
      it(`refuses ${JSON.stringify(claims)}`, () => assert.equal(ready(claims, only), "unusable"));

    it("takes no pid and no number that cannot be one", () => {
      assert.deepEqual(readMessage("left r1-a 12 -1 0 9x 7", ""), { type: "ended", run: "r1-a", left: "12 7" });
      assert.deepEqual(readMessage("left r1-a", ""), { type: "ended", run: "r1-a", left: "a cgroup" });
      for (const line of ["beat -1", "beat 0", "beat 1.5", "beat NaN", "beat 1 2", "BEAT 1", ""])
        assert.equal(readMessage(line, ""), undefined, line);
    });
  },
);

describe("lines of a host", () => {
  const read = (pieces: Buffer[], keptBytesMax = 8, lineBytesMax = 20) => {
    const lines: string[] = [];
    const onLine = (line: string) => {
      lines.push(line);
      return line !== "stop";
    };
    const cutter = new BoundedLines({ keptBytesMax, lineBytesMax, onLine, onExcess: () => lines.push("(excess)") });
    for (const piece of pieces) cutter.push(piece);
    return lines;
  };
  const inBytes = (text: string) => [...Buffer.from(text)].map((byte) => Buffer.from([byte]));

  it("are the same whatever their pieces, and are kept up to the bound", () => {
    const text = "one\r\n\ntwo\n12345678rest\nlast\nhalf";
    const whole = ["one", "", "two", "12345678", "last"];
    assert.deepEqual(read([Buffer.from(text)]), whole);
    assert.deepEqual(read(inBytes(text)), whole);
  });

  it("end with the first that is too long, or that is refused", () => {
    assert.deepEqual(read([Buffer.from(`a\n${"x".repeat(21)}\nb\n`)]), ["a", "(excess)"]);
    assert.deepEqual(read(inBytes(`a\n${"x".repeat(21)}\nb\n`)), ["a", "(excess)"]);
    assert.deepEqual(read([Buffer.from("stop\nb\n")]), ["stop"]);
  });
});
