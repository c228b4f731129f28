/** A run as a launchd job, with real processes, shells and FIFOs; launchd and the coalition are played. */
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { text } from "node:stream/consumers";
import { describe, it } from "node:test";
import { systemClock } from "../../../src/clock.ts";
import { CoalitionContainer } from "../../../src/platform/darwin/coalition.ts";
import { sweepJobs } from "../../../src/platform/darwin/coalition-sweep.ts";
import { launchctlOf } from "../../../src/platform/darwin/launchctl.ts";
import { Launchd } from "../../../src/platform/darwin/launchd.ts";
import { terminalCalls } from "../../../src/platform/darwin/terminal-calls.ts";
import { openTerminal } from "../../../src/platform/darwin/terminal.ts";
import type { SpawnRequest } from "../../../src/platform/types.ts";
import { leavesNothing } from "../../helpers/no-leaks.ts";
import { ProcXnu } from "../../helpers/proc-xnu.ts";
import { readUntil } from "../../helpers/read-until.ts";
import { tierSkip } from "../../helpers/tiers.ts";
import { CoalitionWorld, playedLaunchctl } from "./coalition-world.ts";

const boundMs = 10_000;
const env = { PATH: "/usr/bin:/bin", TOKEN: "a 'secret'" };
const sh = (script: string, more: Partial<SpawnRequest> = {}): SpawnRequest => ({
  command: "sh",
  args: ["-c", script],
  env,
  ...more,
});
/** A grandchild in a session of its own, without parent and marker. */
const hiding = `(env -i setsid sh -c 'trap "" TERM HUP; echo hidden >&2; exec sleep 1000' &) ; echo ready`;

/** launchd of a system without coalitions. */
class SharedCoalition extends ProcXnu {
  override coalition(): bigint {
    return 77n;
  }
}

function nothingIsLeft(world: CoalitionWorld): void {
  assert.deepEqual(world.loaded(), [], "loaded jobs");
  assert.deepEqual(existsSync(world.jobs) ? readdirSync(world.jobs) : [], [], "places");
}

describe("a run as a launchd job", { skip: tierSkip("cgroup"), timeout: 120_000 }, () => {
  leavesNothing();

  it("relays its streams, and tells its exit code when the command ends", async () => {
    await using world = new CoalitionWorld();
    const container = new CoalitionContainer(world.parts, world.owner, "r1-1");
    assert.equal(container.name, `launchd:holdfast.${world.owner}.r1-1`);
    assert.equal(container.looksEmpty(), true);
    const spawned = await container.spawn(
      sh('echo "$TOKEN $HOLDFAST_RUN"; cat; echo errors >&2; exit 7', { cwd: "/" }),
    );
    assert.equal(spawned.mainPid(), spawned.ref.pid);
    spawned.stdin?.end("typed\n");
    const [output, errors] = await Promise.all([text(spawned.stdout!), text(spawned.stderr!)]);
    assert.match(output, new RegExp(String.raw`^a 'secret' .*/${world.owner}/r1-1\ntyped\n$`));
    assert.equal(errors, "errors\n");
    assert.deepEqual(await spawned.exit, { code: 7, signal: null });
    assert.equal(container.looksEmpty(), true);
    assert.deepEqual(await container.end(boundMs), []);
    nothingIsLeft(world);
  });

  it("ends what has left its session, parent and marker, and unloads the job", async () => {
    await using world = new CoalitionWorld();
    const container = new CoalitionContainer(world.parts, world.owner, "r1-1");
    const spawned = await container.spawn(sh(hiding));
    await Promise.all([readUntil(spawned.stdout, "ready"), readUntil(spawned.stderr, "hidden")]);
    assert.deepEqual(await spawned.exit, { code: 0, signal: null });
    assert.equal(container.looksEmpty(), false, "the command has ended, its tree has not");
    assert.equal(container.list().length, 1);
    assert.deepEqual(await container.end(boundMs), []);
    assert.deepEqual(container.list(), []);
    for (const stream of [spawned.stdin, spawned.stdout, spawned.stderr]) stream?.destroy();
    nothingIsLeft(world);
  });

  it("tells the signal that ended the command, and asks politely", async () => {
    await using world = new CoalitionWorld();
    const container = new CoalitionContainer(world.parts, world.owner, "r1-1");
    const spawned = await container.spawn(sh("trap 'exit 9' TERM; echo ready; while :; do sleep 0.01; done"));
    await readUntil(spawned.stdout, "ready");
    assert.equal(container.ask("terminate"), true);
    assert.deepEqual(await spawned.exit, { code: 9, signal: null });
    await container.end(boundMs);
    assert.equal(container.ask("terminate"), false);
    const other = new CoalitionContainer(world.parts, world.owner, "r1-2");
    const killed = await other.spawn(sh("exec sleep 1000"));
    assert.equal(other.signal("SIGKILL", "main"), true);
    assert.deepEqual(await killed.exit, { code: null, signal: "SIGKILL" });
    assert.deepEqual(await other.end(boundMs), []);
    for (const { stdin, stdout, stderr } of [spawned, killed])
      for (const each of [stdin, stdout, stderr]) each?.destroy();
    nothingIsLeft(world);
  });

  it("gives the command a terminal that it controls", async () => {
    await using world = new CoalitionWorld();
    const container = new CoalitionContainer(world.parts, world.owner, "r1-1");
    const terminal = openTerminal({ columns: 40, rows: 11 }, terminalCalls("linux"));
    const spawned = await container.spawn(sh("stty size; : </dev/tty && echo controlled", { terminal: terminal.end }));
    assert.deepEqual([spawned.stdin, spawned.stdout, spawned.stderr], [null, null, null]);
    terminal.release();
    assert.match(await readUntil(terminal.output, "controlled"), /^11 40\r\n/);
    assert.deepEqual(await spawned.exit, { code: 0, signal: null });
    await container.end(boundMs);
    terminal.close();
    nothingIsLeft(world);
  });

  it("falls back to the user's domain in a session without a screen, and kicks a job that waits", async () => {
    await using world = new CoalitionWorld();
    world.set("without-gui");
    world.set("idle");
    const container = new CoalitionContainer(world.parts, world.owner, "r1-1");
    const { exit, stdout } = await container.spawn(sh("exit 3", { stdin: "ignore", stderr: "ignore" }));
    assert.deepEqual(await exit, { code: 3, signal: null });
    assert.deepEqual(await container.end(boundMs), []);
    stdout?.destroy();
    nothingIsLeft(world);
  });

  it("leaves nothing of a run that is ended while it starts, at whatever moment", async () => {
    await using world = new CoalitionWorld();
    for (const afterMs of [0, 50, 200]) {
      const container = new CoalitionContainer(world.parts, world.owner, `r1-${afterMs}`);
      const spawning = container.spawn(sh("sleep 1000", { stdin: "ignore", stdout: "ignore", stderr: "ignore" }));
      await systemClock.sleep(afterMs);
      const left = await container.end(boundMs);
      assert.deepEqual(left, []);
      const { exit } = await spawning;
      assert.equal((await exit).code, null);
      await assert.rejects(container.spawn(sh("exit 0")), /its run has ended or begun/);
    }
    nothingIsLeft(world);
  });
});

describe("a run that launchd does not start", { skip: tierSkip("cgroup"), timeout: 120_000 }, () => {
  leavesNothing();

  const refusals: [name: string, prepare: (world: CoalitionWorld) => void, expected: RegExp][] = [
    [
      "launchctl fails",
      (world) => world.set("fail-bootstrap", "5: Bootstrap failed: 5: Input/output error"),
      /^HoldfastError: cannot start sh: launchctl bootstrap gui\/\d+ failed with exit code 5: Bootstrap failed: 5/,
    ],
    [
      "there is no domain at all",
      (world) => world.set("fail-bootstrap", "125: Bootstrap failed: 125: Domain does not support specified action"),
      /launchctl bootstrap user\/\d+ failed with exit code 125/,
    ],
    ["launchctl says nothing", (world) => world.set("fail-bootstrap", "1: "), /failed with exit code 1: no message/],
    [
      "the job waits and cannot be started",
      (world) => {
        world.set("idle");
        world.set("fail-kickstart", "37: Operation already in progress");
      },
      /launchctl kickstart gui\/\d+\/holdfast\.[0-9a-f]{16}\.r1-1 failed with exit code 37/,
    ],
  ];
  for (const [name, prepare, expected] of refusals)
    it(`says why, and leaves nothing, when ${name}`, async () => {
      await using world = new CoalitionWorld();
      prepare(world);
      const container = new CoalitionContainer(world.parts, world.owner, "r1-1");
      await assert.rejects(container.spawn(sh("exit 0")), expected);
      assert.equal(container.looksEmpty(), true);
      assert.deepEqual(await container.end(boundMs), []);
      nothingIsLeft(world);
    });

  it("says why, and leaves nothing, when launchctl is missing or hangs", async () => {
    await using world = new CoalitionWorld();
    const missing = world.partsWith(launchctlOf(["/no/such/launchctl"]));
    await assert.rejects(
      new CoalitionContainer(missing, world.owner, "r1-1").spawn(sh("exit 0")),
      /launchctl bootstrap gui\/\d+ could not be run \(ENOENT\): Holdfast needs \/bin\/launchctl/,
    );
    world.set("hang-bootstrap");
    const hanging = world.partsWith(playedLaunchctl(world.directory, 500));
    await assert.rejects(
      new CoalitionContainer(hanging, world.owner, "r1-2").spawn(sh("exit 0")),
      /gave no answer in time: launchd may be busy/,
    );
    nothingIsLeft(world);
  });

  it("says why before it asks launchd: a missing directory, an inherited stream, a variable, a control character", async () => {
    await using world = new CoalitionWorld();
    const refuse = (request: SpawnRequest, expected: RegExp) =>
      assert.rejects(new CoalitionContainer(world.parts, world.owner, "r1-1").spawn(request), expected);
    await refuse(
      sh("exit 0", { cwd: "/no/such/directory" }),
      /cannot start sh in \/no\/such\/directory: the directory does/,
    );
    await refuse(sh("exit 0", { stderr: "inherit" }), /cannot inherit a stream: use pipes/);
    await refuse(sh("exit 0", { env: { "a.b": "" } }), /cannot set the variable "a.b"/);
    await refuse(sh("exit 0", { terminal: { descriptor: 0 } }), /its terminal has no name/);
    nothingIsLeft(world);
  });

  it("refuses a job that has no coalition of its own, rather than end its own", async () => {
    await using world = new CoalitionWorld();
    const parts = { ...world.parts, xnu: new SharedCoalition() };
    await assert.rejects(
      new CoalitionContainer(parts, world.owner, "r1-1").spawn(sh("exit 0")),
      /launchd gave its job no coalition of its own/,
    );
    nothingIsLeft(world);
  });

  it("keeps its proof when launchctl no longer answers, and unloads the job at the next sweep", async () => {
    await using world = new CoalitionWorld();
    const container = new CoalitionContainer(world.parts, world.owner, "r1-1");
    const { stdin, stdout, stderr, exit } = await container.spawn(sh(hiding));
    await readUntil(stderr, "hidden");
    world.set("fail-print", "5: Input/output error");
    world.set("fail-bootout", "5: Input/output error");
    assert.deepEqual(await container.end(boundMs), []);
    assert.deepEqual(await exit, { code: null, signal: null });
    assert.deepEqual(container.list(), []);
    assert.equal(world.loaded().length, 1);
    world.clear("fail-print");
    world.clear("fail-bootout");
    const { ended, left } = await sweepJobs(world.parts, world.owner, () => true, boundMs);
    assert.deepEqual([ended, left], [[], []]);
    nothingIsLeft(world);
    for (const stream of [stdin, stdout, stderr]) stream?.destroy();
  });
});

describe("launchctl", () => {
  it("is ended when it hangs, and its refusal has a reason", async () => {
    const hung = await launchctlOf(["/bin/sleep", "100"], 100)([]);
    assert.deepEqual([hung.code, hung.isLate], [null, true]);
    const launchd = new Launchd(
      launchctlOf(["/bin/sh", "-c", "echo first >&2; echo second >&2; exit 9", "sh"]),
      systemClock,
      0,
    );
    await assert.rejects(launchd.find("gui/0/x"), /^Error: launchctl print gui\/0\/x failed with exit code 9: first$/);
    assert.deepEqual(await launchd.targets("holdfast."), []);
    assert.equal(await launchd.bootout("gui/0/x"), false);
  });
});
