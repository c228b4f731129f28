/** A run on the cgroup tier is born in its leaf; the cgroup launcher above it is as good as not there. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { buffer, text } from "node:stream/consumers";
import { constants, tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, describe, it } from "node:test";
import { installProgram, programImage } from "../../src/platform/linux/programs.ts";
import { Fence } from "../helpers/fence.ts";
import { readUntil } from "../helpers/read-until.ts";
import { needs } from "../helpers/needs.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { isLive, killWhatIsLeft, readListed, settle } from "../helpers/pids.ts";
import { attackScript, fixture } from "../helpers/servers.ts";
import { cgroupMount, tierSkip } from "../helpers/tiers.ts";
import { patiently } from "../helpers/until.ts";

const boundMs = 10_000;

describe("the cgroup launcher", { timeout: patiently(60_000), skip: tierSkip("cgroup") }, () => {
  leavesNothing();
  const directory = mkdtempSync(join(tmpdir(), "holdfast-cgroup-launcher-"));
  const leaf = join(cgroupMount()?.own ?? "", basename(directory));
  mkdirSync(leaf);
  after(() => {
    rmdirSync(leaf);
    rmSync(directory, { recursive: true });
  });

  const natively = [installProgram(directory, "cgroup-launcher")];
  const foreign = join(directory, "foreign");
  writeFileSync(foreign, programImage("arm64", "cgroup-launcher") ?? "", { mode: 0o755 });
  // qemu knows no clone3, so there the cgroup launcher joins by writing, as under a seccomp filter.
  const ways: [string, string[], string | false][] = [
    ["by birth", natively, false],
    ["by writing, on arm64 under qemu", ["qemu-aarch64-static", foreign], needs("qemu-aarch64-static")],
  ];
  for (const [way, [command = "", ...args], skip] of ways) {
    const joined = (...words: string[]) => spawnSync(command, [...args, leaf, ...words], { encoding: "utf8" });

    it(`puts the command into the cgroup ${way}`, { skip }, () => {
      assert.match(joined("/bin/cat", "/proc/self/cgroup").stdout, new RegExp(`^0::.*/${basename(leaf)}$`, "m"));
    });

    it(`${way}, ends as the command ended: by code or by signal`, { skip }, () => {
      assert.equal(joined("/bin/sh", "-c", "exit 7").status, 7);
      for (const signal of ["KILL", "TERM", "SEGV", "INT"] as const)
        assert.equal(joined("/bin/sh", "-c", `kill -${signal} $$`).signal, `SIG${signal}`);
      assert.equal(joined("/no/such/program").status, 127);
      assert.equal(joined("/etc/passwd").status, 126);
    });

    it(`${way}, starts nothing when there is no cgroup to join: 125`, { skip }, () => {
      const { status, stdout } = spawnSync(command, [...args, `${leaf}/nowhere`, "/bin/echo", "started"]);
      assert.deepEqual([status, String(stdout)], [125, ""]);
    });
  }

  it("hears no signal, not even one that comes before it knows of the birth", { skip: needs("strace") }, () => {
    // strace keeps the launcher inside clone3 while the command signals it.
    const hold = ["-qq", "-e", "trace=clone3", "-e", "inject=clone3:delay_exit=300000", "-o", "/dev/null"];
    const signals = Object.entries(constants.signals).filter(([name]) => !["SIGKILL", "SIGSTOP"].includes(name));
    const script = `for signal in ${signals.map(([, number]) => number).join(" ")}; do kill -$signal $PPID; done; exit 3`;
    const { status, signal } = spawnSync("strace", [...hold, ...natively, leaf, "/bin/sh", "-c", script]);
    assert.deepEqual({ status, signal }, { status: 3, signal: null });
  });

  it("leaves the command the mask of signals that its caller had", () => {
    const asked = spawnSync(natively[0] ?? "", [leaf, "/bin/grep", "SigBlk", "/proc/self/status"], {
      encoding: "utf8",
    });
    const own = spawnSync("/bin/grep", ["SigBlk", "/proc/self/status"], { encoding: "utf8" });
    assert.equal(asked.stdout, own.stdout);
  });

  it("hands on no ignored signal and holds no stream that the command has closed", async () => {
    await using fence = new Fence("cgroup");
    const script = "grep SigIgn /proc/self/status; exec >&- 2>&-; exec sleep 1000";
    const [container, { stdout, stderr }] = await fence.run("sh", ["-c", script]);
    assert.match(await text(stdout!), /^SigIgn:\s+0+\n$/);
    assert.equal((await buffer(stderr!)).length, 0);
    assert.equal(container.looksEmpty(), false, "the command lives");
    assert.deepEqual(await container.end(boundMs), []);
  });

  it("is no member, and the main process's pid is the command's", async () => {
    await using fence = new Fence("cgroup");
    const [container, contained] = await fence.run("sh", ["-c", "echo $$; exec sleep 1000"]);
    const said = Number(await readUntil(contained.stdout, "\n"));
    assert.equal(contained.mainPid(), said);
    assert.notEqual(contained.mainPid(), contained.ref.pid);
    assert.deepEqual(
      container.list().map(({ pid }) => pid),
      [said],
    );
    await container.end(boundMs);
  });

  for (const [what, signal] of [
    ["killed", "SIGKILL"],
    ["stopped", "SIGSTOP"],
  ] as const) {
    it(`${what} alone, strands nothing`, async () => {
      await using fence = new Fence("cgroup");
      const [container, { ref, stdout, exit }] = await fence.run("bash", [attackScript, "cleared", fence.pidFile, "-"]);
      await readUntil(stdout, "ready");
      process.kill(ref.pid, signal);
      if (signal === "SIGKILL") assert.equal((await exit).signal, signal);
      assert.equal(container.looksEmpty(), false);
      assert.deepEqual(await container.end(boundMs), []);
      assert.deepEqual((await settle(fence.pidFile, 500)).survivors, []);
      await exit;
      assert.equal(isLive({ pid: ref.pid }), false);
    });
  }

  it("does not let a command be born after its run was ended, whenever that is", async () => {
    await using fence = new Fence("cgroup");
    for (let round = 0; round < 40; round += 1) {
      const recorded = [fixture("record.sh"), fence.pidFile, "leader", "sleep", "1000"];
      const [container, { exit }] = await fence.run("sh", recorded);
      // From at once to some milliseconds after the spawn: before, in and after the birth.
      const ends = performance.now() + round / 10;
      while (performance.now() < ends);
      assert.deepEqual(await container.end(boundMs), []);
      await exit;
      assert.deepEqual((await settle(fence.pidFile, 0)).survivors, [], `round ${round}`);
    }
    await killWhatIsLeft(fence.pidFile);
    console.log(`  ${readListed(fence.pidFile).length} of 40 were born`);
  });
});
