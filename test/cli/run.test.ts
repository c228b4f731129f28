/** `holdfast run`: transparent while all is well, and nothing left however anybody dies. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { buffer, text } from "node:stream/consumers";
import { join } from "node:path";
import { describe, it } from "node:test";
import { readUntil } from "../helpers/read-until.ts";
import { many } from "../helpers/long.ts";
import { needs } from "../helpers/needs.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { isLive, readListed, settle, statOf, waitForZero } from "../helpers/pids.ts";
import { attackScript, fixture } from "../helpers/servers.ts";
import { tiersToTest } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";
import { exitOf, guardOf, main, wrapper, Wrapped } from "../helpers/wrapped.ts";

const boundMs = 10_000;

describe("holdfast run is transparent", { timeout: patiently(120_000) }, () => {
  leavesNothing();

  const codes: [string, string[], number][] = [
    ["the command's exit code", ["sh", "-c", "exit 7"], 7],
    ["128 + n for a signal", ["sh", "-c", "kill -TERM $$"], 143],
    ["127 for a command that is not there", ["no-such-command-anywhere"], 127],
    ["126 for one that cannot be run", ["/etc/passwd"], 126],
    ["126 for a directory", ["/"], 126],
  ];
  for (const [what, words, code] of codes) {
    it(`passes on ${what}`, async () => {
      await using wrapped = new Wrapped();
      assert.equal(await exitOf(wrapped.run(words)), code);
    });
  }

  it("carries every byte of stdin and stdout, and the end of both", async () => {
    await using wrapped = new Wrapped();
    const child = wrapped.run(["cat"]);
    const sent = randomBytes(3_000_000);
    child.stdin!.end(sent);
    assert.ok((await buffer(child.stdout!)).equals(sent));
    assert.equal(await exitOf(child), 0);
  });

  it("gives the command its own stderr and adds nothing to it", async () => {
    await using wrapped = new Wrapped();
    const child = wrapped.run(["sh", "-c", "echo mine >&2; kill -9 $$"]);
    assert.equal(await text(child.stderr!), "mine\n");
    assert.equal(await exitOf(child), 137);
  });

  it("hands on no descriptor, no ignored signal and no lost variable", async () => {
    await using wrapped = new Wrapped();
    const [command = "", ...rest] = wrapper;
    const script =
      "ls /proc/self/fd | wc -l; grep SigIgn /proc/self/status; env | grep -c '^npm_config_//x:y=1$'; env | grep -c SHELL_OF_GUARD";
    const plain = wrapped.start("sh", ["-c", script], { "npm_config_//x:y": "1" });
    const child = wrapped.start(command, [...rest, "--", "bash", "-c", script], { "npm_config_//x:y": "1" });
    const [, ignored] = (await text(plain.stdout!)).split("\n");
    // The three streams, and the directory that ls reads.
    assert.deepEqual((await text(child.stdout!)).split("\n"), ["4", ignored, "1", "0", ""]);
  });

  it("finds the command along PATH past a file that cannot be run", async () => {
    await using wrapped = new Wrapped();
    const [first, second] = [mkdtempSync(join(wrapped.directory, "a")), mkdtempSync(join(wrapped.directory, "b"))];
    writeFileSync(join(first, "tool"), "no program");
    writeFileSync(join(second, "tool"), "#!/bin/sh\nexit 9\n");
    chmodSync(join(second, "tool"), 0o755);
    const [command = "", ...rest] = wrapper;
    const child = wrapped.start(command, [...rest, "--", "tool"], {
      PATH: `${first}:${second}:${process.env["PATH"]}`,
    });
    assert.equal(await exitOf(child), 9);
  });

  it("says what is wrong with its own command line, with exit code 2", async () => {
    for (const words of [
      [],
      ["--"],
      ["--nope", "--", "true"],
      ["--term-grace", "soon", "--", "true"],
      ["--term-grace=5=6", "--", "true"],
      ["--kill-with", "0x1", "--", "true"],
    ]) {
      const child = spawn(process.execPath, [main, "run", ...words]);
      const said = await text(child.stderr);
      assert.equal(await exitOf(child), 2, words.join(" "));
      assert.match(said, /^holdfast: .*run|^holdfast: --/);
    }
  });

  it("at a terminal ^C reaches the command once, and the command decides", { skip: needs("script") }, async () => {
    await using wrapped = new Wrapped();
    // Counts what it hears and ends with the count when it is told to.
    const program = join(wrapped.directory, "count.mjs");
    writeFileSync(
      program,
      `let heard = 0;
       process.on("SIGINT", () => console.log("got " + ++heard));
       process.stdin.on("data", () => process.exit(heard));
       console.log("ready");`,
    );
    // Without exec a dash between would wait for the command, and then end by the SIGINT that it heard too.
    const line = `exec ${process.execPath} ${main} run -- ${process.execPath} ${program}`;
    const child = wrapped.start("script", ["-qec", line, "/dev/null"]);
    await readUntil(child.stdout, "ready");
    child.stdin!.write("\x03");
    await readUntil(child.stdout, "got 1");
    child.stdin!.write("done\n");
    child.stdout!.resume();
    assert.equal(await exitOf(child), 1);
  });
});

describe("holdfast run leaves nothing", { timeout: patiently(120_000), concurrency: 3 }, () => {
  leavesNothing();
  const hidden = ["setsid", "cleared", "double-fork", "stopped", "deaf", "own-subreaper", "chains"];

  for (const tier of tiersToTest())
    for (const name of hidden) {
      it(`of a tree that hides by ${name} when it gets SIGTERM, on the ${tier} tier`, async () => {
        await using wrapped = new Wrapped(tier);
        const child = await wrapped.attack(name, ["--term-grace", "200"]);
        child.kill("SIGTERM");
        assert.ok([143, 137].includes(Number(await exitOf(child))));
        await waitForZero(wrapped.pidFile, 500);
      });

      it(`of a tree that hides by ${name} when the pid that the caller knows is killed, on the ${tier} tier`, async () => {
        await using wrapped = new Wrapped(tier);
        const child = await wrapped.attack(name);
        child.kill("SIGKILL");
        await waitForZero(wrapped.pidFile, boundMs);
      });

      it(`of a tree that hides by ${name} when its guard is killed, on the ${tier} tier`, async () => {
        await using wrapped = new Wrapped(tier);
        const child = await wrapped.attack(name);
        process.kill(guardOf(child.pid ?? 0), "SIGKILL");
        assert.equal(await exitOf(child), 137);
        await waitForZero(wrapped.pidFile, 500);
      });
    }

  it("when the command ends and leaves helpers behind, and the caller's streams end with the command's", async () => {
    await using wrapped = new Wrapped();
    const child = await wrapped.attack("holds-stdout", ["--term-grace", "100"]);
    assert.equal(await exitOf(child), 0);
    await waitForZero(wrapped.pidFile, 500);
  });

  for (const signal of ["SIGINT", "SIGHUP"] as const) {
    it(`when it gets ${signal}, which the command hears first`, async () => {
      await using wrapped = new Wrapped();
      const script = `trap 'echo heard; exit 3' ${signal.slice(3)}; echo ready; while :; do sleep 0.05; done`;
      const child = wrapped.run(["bash", "-c", script]);
      await readUntil(child.stdout, "ready");
      child.kill(signal);
      assert.match(await text(child.stdout!), /heard/);
      assert.equal(await exitOf(child), 3);
    });
  }

  it("when another process named by --kill-with ends", async () => {
    await using wrapped = new Wrapped();
    const other = wrapped.start("sleep", ["1000"]);
    const child = await wrapped.attack("cleared", ["--kill-with", String(other.pid), "--term-grace", "100"]);
    other.kill("SIGKILL");
    assert.equal(typeof (await exitOf(child)), "number");
    await waitForZero(wrapped.pidFile, 500);
  });

  it("when the host that started it is killed at any moment, its start included", async () => {
    const seed = Date.now() % 100_000;
    let state = seed;
    for (let round = 0; round < many(8, 24); round += 1) {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      const afterMs = round < 2 ? 400 : (state >>> 8) % 160;
      await using wrapped = new Wrapped();
      const attack = ["bash", attackScript, "cleared-double-fork", wrapped.pidFile, "-"];
      const host = wrapped.start("bash", [
        fixture("wrapped-host.sh"),
        wrapped.pidFile,
        ...wrapper,
        "--term-grace",
        "100",
        "--",
        ...attack,
      ]);
      await readUntil(host.stdout, "ready");
      const known = Number(
        await until(
          "the pid",
          () => existsSync(`${wrapped.pidFile}.known`) && readFileSync(`${wrapped.pidFile}.known`, "utf8").trim(),
          { boundMs },
        ),
      );
      const startTime = statOf(known)?.startTime ?? "";
      await new Promise((resolve) => setTimeout(resolve, afterMs)); // the moment is the point
      host.kill("SIGKILL");
      await until("the wrapper is gone", () => !isLive({ pid: known, startTime }), { boundMs });
      const { survivors } = await settle(wrapped.pidFile, boundMs);
      assert.deepEqual(
        survivors,
        [],
        `round ${round}, killed after ${afterMs} ms, seed ${seed}, ${readListed(wrapped.pidFile).length} were there`,
      );
    }
  });
});
