/** The library: a host changes one call, and its trees end when it says so and when it ends. */
import assert from "node:assert/strict";
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer, text } from "node:stream/consumers";
import { describe, it } from "node:test";
import { contain, HoldfastError } from "../../src/index.ts";
import { readUntil } from "../helpers/read-until.ts";
import { isLong } from "../helpers/long.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { killWhatIsLeft, readListed, settle, statOf, waitForZero } from "../helpers/pids.ts";
import { attackScript, fixture } from "../helpers/servers.ts";
import { patiently, until } from "../helpers/until.ts";
import { programDirectory } from "../../src/platform/linux/programs.ts";

const boundMs = 10_000;

class Place implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), "holdfast-library-"));
  readonly pidFile = join(this.directory, "pids");
  #host: ChildProcess | undefined;

  constructor() {
    writeFileSync(this.pidFile, "");
  }

  attack(name: string): string[] {
    return ["bash", attackScript, name, this.pidFile, join(programDirectory(), "launcher")];
  }

  async host(name: string, env: Record<string, string> = {}): Promise<ChildProcess> {
    const child = spawn(process.execPath, [fixture("contain-host.ts"), ...this.attack(name)], {
      stdio: ["pipe", "pipe", "ignore"],
      env: { ...process.env, ...env },
    });
    this.#host = child;
    await readUntil(child.stdout, "ready");
    return child;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const host = this.#host;
    if (host !== undefined && host.exitCode === null && host.signalCode === null) {
      host.kill("SIGKILL");
      await once(host, "exit");
    }
    const left = await killWhatIsLeft(this.pidFile);
    rmSync(this.directory, { recursive: true, force: true });
    assert.equal(left, 0, "processes were left");
  }
}

const hidden = [
  "setsid",
  "cleared",
  "cleared-double-fork",
  "stopped",
  "deaf",
  "own-subreaper",
  "chains",
  // A thousand processes, and two hundred below each other: test/platform/contract has them too.
  ...(isLong ? ["wide", "deep"] : []),
];

describe("contain()", { timeout: patiently(120_000) }, () => {
  leavesNothing();

  it("importing the library starts no process, no timer and no native code", () => {
    const code = `await import(${JSON.stringify(new URL("../../src/index.ts", import.meta.url).href)});
      const maps = (await import("node:fs")).readFileSync("/proc/self/maps", "utf8");
      const children = (await import("node:fs")).readFileSync("/proc/self/task/" + process.pid + "/children", "utf8");
      console.log(JSON.stringify({ active: process.getActiveResourcesInfo().filter((name) => name !== "PipeWrap"), children, koffi: maps.includes("koffi") }));`;
    const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", code], { encoding: "utf8" });
    assert.deepEqual(JSON.parse(stdout || stderr), { active: [], children: "", koffi: false });
  });

  it("the command's streams, exit code and working directory are its own", async () => {
    await using contained = await contain("sh", ["-c", "pwd; cat; exit 5"], { cwd: "/" });
    contained.stdin?.end("all of it");
    const [out, exit] = await Promise.all([buffer(contained.stdout!), contained.exited]);
    assert.equal(out.toString(), "/\nall of it");
    assert.deepEqual(exit, { code: 5, signal: null });
    await contained.empty;
  });

  it("a directory that is missing is refused with its name, and nothing is started", async () => {
    await assert.rejects(contain("true", [], { cwd: "/no/such/place" }), (error: HoldfastError) => {
      assert.equal(error.code, "spawn_failed");
      assert.match(error.message, /\/no\/such\/place/);
      return true;
    });
  });

  it("a command that is not there exits with 127, as in a shell", async () => {
    await using contained = await contain("no-such-command-anywhere", [], { stderr: "ignore" });
    assert.deepEqual(await contained.exited, { code: 127, signal: null });
  });

  it("members() is what the kernel says, without the guard's own shells", async () => {
    await using contained = await contain("sh", ["-c", "sleep 1000 & echo up; wait"], { stdinGraceMs: 0 });
    await readUntil(contained.stdout, "up");
    // Right after its fork a command still has the name of the shell.
    await until(
      "sleep to have its own name",
      () => contained.members().some(({ command }) => command === "sleep 1000"),
      { boundMs },
    );
    const members = contained.members();
    assert.deepEqual(members.map(({ command }) => command).toSorted(), [
      "sh -c sleep 1000 & echo up; wait",
      "sleep 1000",
    ]);
    assert.ok(members.some(({ pid }) => pid === contained.pid));
  });

  it("an aborted signal ends the tree", async () => {
    const controller = new AbortController();
    const contained = await contain("sleep", ["1000"], { signal: controller.signal, stdinGraceMs: 0 });
    controller.abort();
    await contained.empty;
    assert.deepEqual(contained.members(), []);
  });

  it("a host's own children are never touched", async () => {
    const own = spawn("sleep", ["1000"], { stdio: "ignore" });
    const contained = await contain("sh", ["-c", "env -i setsid sleep 1001 & echo up; wait"], { stdinGraceMs: 0 });
    await readUntil(contained.stdout, "up");
    // Both shells of the fence die: what is left must be told from the host's own children, which look much the same.
    const outer = statOf(statOf(contained.pid)?.ppid ?? 0)?.ppid ?? 0;
    process.kill(outer, "SIGKILL");
    await contained.stop();
    assert.equal(own.exitCode, null);
    assert.equal(own.signalCode, null);
    own.kill("SIGKILL");
    await once(own, "exit");
  });

  for (const name of hidden) {
    it(`stop() ends a tree that hides by ${name}, with proof`, async () => {
      await using place = new Place();
      const [command = "", ...args] = place.attack(name);
      const contained = await contain(command, args, { stdinGraceMs: 0, termGraceMs: 50 });
      await readUntil(contained.stdout, "ready");
      await contained.stop();
      assert.ok(readListed(place.pidFile).length >= 2);
      assert.deepEqual((await settle(place.pidFile, 0)).survivors, []);
    });

    it(`a tree that hides by ${name} is gone when its host is killed`, async () => {
      await using place = new Place();
      const host = await place.host(name);
      host.kill("SIGKILL");
      await waitForZero(place.pidFile, boundMs);
    });
  }

  for (const victim of ["guard", "outer shell"] as const) {
    it(`a tree whose ${victim} is killed ends, cleared environments too`, async () => {
      await using place = new Place();
      const [command = "", ...args] = place.attack("cleared-double-fork");
      const contained = await contain(command, args);
      await readUntil(contained.stdout, "ready");
      const guard = statOf(contained.pid)?.ppid ?? 0;
      const outer = statOf(guard)?.ppid ?? 0;
      assert.equal(statOf(outer)?.ppid, process.pid, "leader, guard, outer shell, this host");
      process.kill(victim === "guard" ? guard : outer, "SIGKILL");
      await waitForZero(place.pidFile, boundMs);
      await contained.stop();
    });
  }

  for (const order of ["exit", "throw"] as const) {
    it(`nothing is left of a host that ends by ${order}`, async () => {
      await using place = new Place();
      const host = await place.host("cleared");
      host.stdin!.write(`${order}\n`);
      await waitForZero(place.pidFile, boundMs);
    });
  }

  it("reapOnExit() lets the trees end in order before the host follows its signal", async () => {
    await using place = new Place();
    const host = await place.host("deaf", { REAP: "1" });
    host.kill("SIGTERM");
    const [code, signal] = (await once(host, "exit")) as [number | null, string | null];
    assert.deepEqual([code, signal], [null, "SIGTERM"]);
    assert.deepEqual((await settle(place.pidFile, 0)).survivors, [], "all was gone before the host was");
  });

  it("stderr can be read", async () => {
    await using contained = await contain("sh", ["-c", "echo oops >&2"]);
    assert.equal(await text(contained.stderr!), "oops\n");
  });
});
