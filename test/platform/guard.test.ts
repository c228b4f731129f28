/** The guard of one run under attack: killed, stopped, killed with its owner, and on every shell that it may find. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { describe, it } from "node:test";
import { registerChild } from "../../src/platform/linux/own-children.ts";
import { openCommandImage } from "../../src/platform/linux/command-image.ts";
import { scriptPath, shellEnvironment } from "../../src/platform/linux/shell.ts";
import { installGuardPrograms } from "../../src/platform/linux/subreaper.ts";
import { Fence } from "../helpers/fence.ts";
import { readUntil } from "../helpers/read-until.ts";
import { findProgram, needs } from "../helpers/needs.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { killWhatIsLeft, readListed, settle, waitForZero } from "../helpers/pids.ts";
import { attackScript, fixture } from "../helpers/servers.ts";
import { patiently } from "../helpers/until.ts";

const hidden = ["setsid", "cleared", "cleared-double-fork", "deaf", "own-subreaper"];
const boundMs = 10_000;

describe("the keeper takes over for a guard", { timeout: patiently(120_000) }, () => {
  leavesNothing();
  for (const name of hidden) {
    it(`that is killed alone: a tree that hides by ${name} is still its run's, and is ended with it`, async () => {
      await using fence = new Fence("subreaper");
      const attack = [attackScript, name, fence.pidFile, fence.launcher];
      const [container, { ref, stdout, exit }] = await fence.run("bash", attack);
      await readUntil(stdout, "ready");
      // Another run beside it, which must not be touched.
      const [other, bystander] = await fence.run("sleep", ["1000"]);
      process.kill(ref.pid, "SIGKILL");
      assert.equal((await exit).signal, "SIGKILL");
      const left = await container.end(boundMs);
      assert.deepEqual(left, []);
      assert.deepEqual((await settle(fence.pidFile, 500)).survivors, []);
      assert.equal(other.list().length, 1, "the other run lives");
      assert.deepEqual(await other.end(boundMs), []);
      await bystander.exit;
    });
  }

  it("that is stopped: the tree ends without waiting for it, and so does the guard", async () => {
    await using fence = new Fence("subreaper");
    const [container, { ref, stdout, exit }] = await fence.run("bash", [attackScript, "cleared", fence.pidFile, "-"]);
    await readUntil(stdout, "ready");
    process.kill(ref.pid, "SIGSTOP");
    assert.deepEqual(await container.end(boundMs), []);
    assert.deepEqual((await settle(fence.pidFile, 0)).survivors, []);
    assert.equal((await exit).signal, "SIGKILL");
  });
});

const shells = [["dash"], ["bash"], ["busybox", "sh"]] as const;

/** A guard by hand, on a shell of choice, its life line in our hand. */
class Guarded implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), "holdfast-guard-"));
  readonly pidFile = join(this.directory, "pids");
  readonly child;
  said = "";

  constructor([program, ...applet]: (typeof shells)[number], name: string) {
    writeFileSync(this.pidFile, "");
    const { launcher, executor } = installGuardPrograms(this.directory);
    const marker = `/guardtest/${process.pid.toString(36)}${Math.trunc(performance.now() * 1000).toString(36)}`;
    const command = ["bash", attackScript, name, this.pidFile, launcher];
    const shell = [findProgram(program) ?? program, ...applet];
    const words = [...shell, scriptPath("guard.sh"), scriptPath("tree.sh"), executor, marker, ...command];
    const environment = { PATH: process.env["PATH"] ?? "", HOLDFAST_RUN: marker };
    const image = openCommandImage({ argv: command, environment });
    this.child = spawn(launcher, words, {
      stdio: ["pipe", "pipe", "ignore", "pipe", "ignore", image],
      env: shellEnvironment(),
      detached: true,
    });
    closeSync(image);
    // This process adopts orphans; what it does not know as its own child it would take off the table itself.
    registerChild(this.child);
    this.life.on("data", (chunk: Buffer) => (this.said += String(chunk)));
    this.life.on("error", () => {}); // the guard ended with our words unread
  }

  get life(): Duplex {
    return this.child.stdio[3] as Duplex;
  }

  async ended(): Promise<void> {
    const { child } = this;
    if (child.exitCode === null && child.signalCode === null)
      await once(child, "exit", { signal: AbortSignal.timeout(boundMs) });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.life.destroy();
    // A guard that does not end is a failure that was told above, and must not hang the suite.
    const late = setTimeout(() => this.child.kill("SIGKILL"), boundMs);
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, "exit");
    clearTimeout(late);
    const left = await killWhatIsLeft(this.pidFile);
    rmSync(this.directory, { recursive: true });
    assert.equal(left, 0);
  }
}

for (const shell of shells) {
  describe(`on ${shell.join(" ")}`, { timeout: patiently(120_000), skip: needs(shell[0]) }, () => {
    leavesNothing();
    for (const name of [...hidden, "stopped", "chains", "deep"]) {
      it(`the guard ends a tree that hides by ${name} when its owner is gone`, async () => {
        await using guarded = new Guarded(shell, name);
        await readUntil(guarded.child.stdout, "ready");
        assert.ok(readListed(guarded.pidFile).length >= 2);
        guarded.life.destroy();
        await waitForZero(guarded.pidFile, boundMs);
        await guarded.ended();
      });
    }
    it("the guard tells how the command ended, waits for the owner's word, and passes the code on", async () => {
      await using guarded = new Guarded(shell, "no-such-attack");
      await readUntil(guarded.life, "main 64");
      assert.match(guarded.said, /^guard \d+ \d+\nstarted \d+\nmain 64\n/);
      assert.equal(guarded.child.exitCode, null);
      guarded.life.write("end\n");
      const [code] = (await once(guarded.child, "exit")) as [number];
      assert.equal(code, 64);
    });
  });
}

it(
  "guard and owner killed in the same instant: what is marked ends, what cleared its environment is best effort",
  { timeout: patiently(60_000) },
  async () => {
    await using fence = new Fence("subreaper");
    const owner = spawn(
      process.execPath,
      [fixture("fence-host.ts"), fence.directory, "bash", attackScript, "cleared", fence.pidFile, "-"],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    registerChild(owner);
    const text = await readUntil(owner.stdout, "guard ");
    const guard = Number(/guard (\d+)/.exec(text)?.[1]);
    for (const signal of ["SIGSTOP", "SIGKILL"] as const)
      for (const pid of [owner.pid ?? 0, guard]) process.kill(pid, signal);
    await once(owner, "exit");
    const { survivors, ms } = await settle(fence.pidFile, 3000, ["hidden"]);
    console.log(
      `  guard and owner killed at once: the marked are gone after ${ms} ms; left: ${survivors.map(({ role }) => role).join(", ") || "nobody"} (best effort)`,
    );
    assert.deepEqual(
      survivors.filter(({ role }) => role !== "hidden"),
      [],
    );
    await killWhatIsLeft(fence.pidFile);
  },
);
