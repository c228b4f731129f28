/** What the doctor says besides: of other users and leftovers; and that it makes the proof twice. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { Report } from "../../src/doctor/examine.ts";
import { needs } from "../helpers/needs.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { readListed } from "../helpers/pids.ts";
import { mainFile } from "../helpers/program.ts";
import { fixture } from "../helpers/servers.ts";
import { until } from "../helpers/until.ts";
import { root } from "../helpers/tiers.ts";
import { becomeNobody, Machine, machineProblem, type Outcome } from "./helpers/machine.ts";

const skip = machineProblem();

const server = (machine: Machine, role: string) => [
  machine.bin("node"),
  fixture("doctor/mcp-stub.sh"),
  machine.list,
  role,
];

function asNobody(machine: Machine, ...words: string[]): Promise<Outcome> {
  return machine.run([...becomeNobody(), process.execPath, mainFile, "doctor", ...words]);
}

describe("holdfast doctor", { skip }, () => {
  leavesNothing();

  it("says as another user what it could not see, and proves that user's own orphans all the same", async () => {
    await using machine = await Machine.start();
    writeFileSync(machine.list, "");
    chmodSync(machine.list, 0o666);
    const become = becomeNobody();
    const mine = await machine.plant([{ how: "socket", words: server(machine, "mine") }], 1, become);
    const others = await machine.plant([
      { how: "socket", words: server(machine, "theirs") },
      { how: "pipe", words: server(machine, "theirs-too") },
    ]);
    await machine.kill(mine);
    await machine.kill(others);
    const { stdout, code, stderr } = await asNobody(machine, "--json", "--reap", "--yes");
    assert.equal(code, 0, stderr);
    const report = JSON.parse(stdout) as Report;
    const verdicts = new Map(
      readListed(machine.list).map(({ role, pid }) => [
        role,
        report.trees.find((tree) => tree.root.pid === pid)?.verdict,
      ]),
    );
    assert.deepEqual(Object.fromEntries(verdicts), { mine: "owner-dead", theirs: "unknown", "theirs-too": "unknown" });
    assert.ok(report.unseen.processes >= 3, JSON.stringify(report.unseen));
    assert.match(report.unseen.words.join(), /descriptors of \d+ processes of other users could not be seen/);
    assert.deepEqual(
      readListed(machine.list).map((one) => machine.isLive(one)),
      [false, true, true],
    );
  });

  it("sees what process 2 of a container started, which is a thread of the kernel elsewhere", async () => {
    await using machine = await Machine.start(); // for its names and its list
    const plan = JSON.stringify([{ how: "socket", words: server(machine, "of-two") }]);
    const script = `"$0" ${fixture("doctor/host.ts")} '${plan}' >/dev/null & host=$!
      until [ -s ${machine.list} ]; do sleep 0.05; done; echo $host; "$0" ${mainFile} doctor --json`;
    const words = ["--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", script, process.execPath];
    const { stdout, stderr } = spawnSync("unshare", words, { encoding: "utf8", timeout: 20_000 });
    const [host, ...report] = stdout.split("\n");
    assert.equal(host, "2", stderr);
    const { trees } = JSON.parse(report.join("\n")) as Report;
    assert.deepEqual(
      trees.map(({ root: { pid }, owner }) => [pid, owner?.pid]),
      [[readListed(machine.list)[0]?.pid, 2]],
    );
  });

  it("makes the whole proof again before a signal: a tree that was agreed to by mistake is left alone", async () => {
    await using machine = await Machine.start();
    const live = await machine.plant([{ how: "socket", words: server(machine, "live") }]);
    await machine.kill(await machine.plant([{ how: "socket", words: server(machine, "dead") }]));
    // As if the list had been shown an hour ago: it takes the live tree for an orphan, and knows a third by a pid that is another's now.
    const script = `
      const { examine } = await import(${JSON.stringify(join(root, "dist/doctor/examine.js"))});
      const { reap } = await import(${JSON.stringify(join(root, "dist/doctor/reap.js"))});
      const { trees } = await examine();
      const reused = trees.map((tree) => ({ ...tree, root: { ...tree.root, startTime: "1" } }));
      process.stdout.write(JSON.stringify(await reap([...trees, ...reused])));`;
    const { stdout, stderr } = await machine.run([process.execPath, "--input-type=module", "-e", script]);
    assert.notEqual(stdout, "", stderr);
    const reaped = JSON.parse(stdout) as { ended: { pid: number }[]; spared: { pid: number; why: string }[] };
    const [first, second] = readListed(machine.list);
    assert.deepEqual(
      reaped.ended.map(({ pid }) => pid),
      [second?.pid],
    );
    assert.deepEqual(
      reaped.spared.map(({ pid }) => pid).sort((a, b) => a - b),
      [first?.pid, first?.pid, second?.pid].map(Number).sort((a, b) => a - b),
    );
    assert.equal(machine.isLive(first!), true);
    assert.equal(machine.isLive(second!), false);
    await machine.kill(live);
  });

  it("makes the proof of each tree again at its turn: one that somebody took hold of since is left alone", async () => {
    await using machine = await Machine.start();
    for (const role of ["first", "second"])
      await machine.kill(await machine.plant([{ how: "pipe", words: server(machine, role) }]));
    const [first, second] = readListed(machine.list);
    // After its first signals reap() waits for a death; right then the second tree's stdin gets a holder again.
    const script = `
      const { openSync } = await import("node:fs");
      const { examine } = await import(${JSON.stringify(join(root, "dist/doctor/examine.js"))});
      const { reap } = await import(${JSON.stringify(join(root, "dist/doctor/reap.js"))});
      const reaping = reap((await examine()).trees);
      openSync("/proc/${second?.pid}/fd/0", "w");
      process.stdout.write(JSON.stringify(await reaping));`;
    const { stdout, stderr } = await machine.run([process.execPath, "--input-type=module", "-e", script]);
    assert.notEqual(stdout, "", stderr);
    const { ended, spared } = JSON.parse(stdout) as {
      ended: { pid: number }[];
      spared: { pid: number; why: string }[];
    };
    assert.deepEqual(
      ended.map(({ pid }) => pid),
      [first?.pid],
    );
    assert.deepEqual(
      spared.map(({ pid, why }) => [pid, why]),
      [[second?.pid, "it has a holder again"]],
    );
    assert.equal(machine.isLive(second!), true);
  });

  it("prints the verdict first, without colours where nobody looks, and a line for the copies of one command", async () => {
    await using machine = await Machine.start();
    const copies = Array.from({ length: 6 }, () => ({ how: "socket" as const, words: server(machine, "copy") }));
    const live = await machine.plant(copies);
    await machine.kill(await machine.plant(copies.slice(0, 2)));
    const { stdout } = await machine.doctor();
    const lines = stdout.split("\n");
    assert.match(
      lines[0] ?? "",
      /^2 trees without an owner: 4 processes, [\d.]+ MB\. `holdfast doctor --reap` ends them\.$/,
    );
    assert.match(stdout, /! pid \d+ holds 6 copies of one command/);
    assert.match(stdout, /^ {2}idle {8}6 copies/m);
    assert.equal(stdout.includes("\u001B"), false);
    const ended = await machine.doctor("--reap", "--yes");
    assert.match(ended.stdout, /^2 trees ended: 4 processes, [\d.]+ MB freed\.$/m);
    assert.match((await machine.doctor()).stdout, /^No tree is proven to have lost its owner\. 6 trees: 12 processes/);
    await machine.kill(live);
  });

  it("names the host behind holdfast run, not the guards, and counts its copies there", async () => {
    await using machine = await Machine.start();
    const wrapped = [process.execPath, mainFile, "run", "--", ...server(machine, "wrapped")];
    const live = await machine.plant(Array.from({ length: 5 }, () => ({ how: "socket" as const, words: wrapped })));
    const report = await machine.examine();
    const owners = report.trees.map(({ owner }) => owner?.command.includes("doctor/host.ts"));
    assert.deepEqual(
      owners,
      Array.from({ length: 5 }, () => true),
    );
    assert.match(report.warnings.join(), /holds 5 copies of one command/);
    await machine.kill(live);
    await until("holdfast run has ended them", () => !readListed(machine.list).some((one) => machine.isLive(one)), {
      boundMs: 10_000,
    });
  });

  it("warns above fifty trees", async () => {
    await using machine = await Machine.start();
    const plan = Array.from({ length: 51 }, (_, at) => ({ how: "one" as const, words: server(machine, `s${at}`) }));
    const live = await machine.plant(plan.slice(1));
    assert.deepEqual((await machine.examine()).warnings, []);
    const last = await machine.plant(plan.slice(0, 1));
    // One that was forked just now is still what forked it.
    const warnings = async () => {
      const found = await machine.examine();
      return found.warnings.length > 0 ? found.warnings : undefined;
    };
    assert.deepEqual(await until("a warning", warnings, { boundMs: 20_000 }), [
      "51 MCP server trees on one machine (more than 50)",
    ]);
    await machine.kill(live);
    await machine.kill(last);
  });

  it("asks at a terminal, in colour, and only a yes ends anything", { skip: needs("script") }, async () => {
    await using machine = await Machine.start();
    await machine.kill(await machine.plant([{ how: "socket", words: server(machine, "dead") }]));
    const [dead] = readListed(machine.list);
    for (const [answer, said, lives] of [
      ["n", /nothing was ended/, true],
      ["", /nothing was ended/, true],
      ["y", /1 tree ended/, false],
    ] as const) {
      const line = `exec ${process.execPath} ${mainFile} doctor --reap`;
      const { stdout } = await machine.run(["sh", "-c", `echo "${answer}" | script -qec "${line}" /dev/null`]);
      assert.ok(stdout.includes("\u001B[31m1 tree without an owner: "), "its colours reach the terminal");
      assert.match(stdout, /End 1 tree, 2 processes, [\d.]+ MB\? \[y\/N\]/);
      assert.match(stdout, said);
      assert.equal(machine.isLive(dead!), lives, answer);
    }
  });

  it("counts what other gateways leave by name, and never ends it", async () => {
    await using machine = await Machine.start();
    const plan = ["node run --host a", "openclaw relay", "openclaw anchor"].map((name, at) => {
      const file = join(machine.directory, `gateway${at}.sh`);
      writeFileSync(file, `echo "$$ $(cut -d' ' -f22 /proc/$$/stat) left${at}" >>${machine.list}; sleep 300; :\n`);
      return { how: "socket" as const, words: ["sh", file, ...name.split(" ")] };
    });
    await machine.kill(await machine.plant(plan));
    const report = await machine.examine("--reap", "--yes");
    const found = report.leftovers.map(({ pids, reparented }) => [pids.length, reparented]);
    assert.deepEqual(found, [
      [1, 1],
      [1, 1],
      [1, 1],
    ]);
    assert.ok(readListed(machine.list).every((one) => machine.isLive(one)));
  });
});
