/** What a front that fell to an attacker cannot do: start something of its own choice, or open its keeper. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { Gateway } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { bestTier, root } from "../helpers/tiers.ts";
import { patiently } from "../helpers/until.ts";

/** The flags that the living front runs under, read from the system and not from our source. */
function frontFlags(pid: number): string[] {
  const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").slice(1);
  return words.slice(
    0,
    words.findIndex((word) => !word.startsWith("--")),
  );
}

function listeningSockets(pid: number): number {
  const inodes = new Set<string>();
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
    if (inode !== undefined) inodes.add(inode);
  }
  const lines = ["tcp", "tcp6"].flatMap((name) =>
    readFileSync(`/proc/${pid}/net/${name}`, "latin1").split("\n").slice(1),
  );
  const listening = lines.map((line) => line.trim().split(/\s+/)).filter((fields) => fields[3] === "0A");
  return listening.filter((fields) => inodes.has(fields[9] ?? "")).length;
}

describe("the barrier between front and keeper", { timeout: patiently(60_000) }, () => {
  leavesNothing();

  const never = join(tmpdir(), `holdfast-never-${process.pid}`);
  after(() => rmSync(never, { force: true }));
  const attempts: [string, string][] = [
    ["start a process", 'require("node:child_process").spawnSync("true"); console.log("done")'],
    ["start a worker", 'new (require("node:worker_threads").Worker)("1", { eval: true }); console.log("done")'],
    ["load an addon", `require(${JSON.stringify(join(root, "node_modules/koffi"))}).load(null); console.log("done")`],
    [
      "write outside its directory",
      `require("node:fs").writeFileSync(${JSON.stringify(never)}, ""); console.log("done")`,
    ],
  ];
  it("Node itself refuses front code that would start a process, a worker, an addon, or write elsewhere", async () => {
    await using home = new Home(bestTier());
    await using gateway = await Gateway.start(home);
    const rights = frontFlags(gateway.pids.front);
    assert.ok(rights.includes("--permission"), `the front runs under ${rights.join(" ")}`);
    for (const [what, code] of attempts) {
      const free = spawnSync(
        process.execPath,
        [
          "--permission",
          "--allow-fs-read=*",
          "--allow-fs-write=*",
          "--allow-child-process",
          "--allow-worker",
          "--allow-addons",
          "-e",
          code,
        ],
        { encoding: "utf8" },
      );
      assert.match(free.stdout, /done/, `the attempt to ${what} works where it is allowed: ${free.stderr}`);
      const fenced = spawnSync(process.execPath, [...rights, "-e", code], { encoding: "utf8" });
      assert.doesNotMatch(fenced.stdout, /done/, what);
      assert.match(fenced.stderr, /ERR_ACCESS_DENIED|ERR_DLOPEN_DISABLED/, what);
    }
  });

  it("SIGUSR1 opens no inspector in the keeper, nor in the front", async () => {
    // The check itself: a plain Node does open one.
    const plain = spawn(
      process.execPath,
      ["--inspect-port=0", "-e", "setInterval(() => {}, 1000); console.log('up')"],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    await once(plain.stdout, "data");
    plain.kill("SIGUSR1");
    const [said] = (await once(plain.stderr, "data")) as [Buffer];
    assert.match(said.toString(), /Debugger listening/);
    plain.kill("SIGKILL");
    await once(plain, "close");

    await using home = new Home(bestTier());
    await using gateway = await Gateway.start(home);
    const { keeper, front } = gateway.pids;
    const before = listeningSockets(front);
    process.kill(keeper, "SIGUSR1");
    process.kill(front, "SIGUSR1");
    // An answer from both sides of the channel shows that both took the signal and live.
    await gateway.rpc("gateway.status");
    assert.equal(listeningSockets(keeper), 0, "the keeper listens nowhere");
    assert.equal(listeningSockets(front), before, "the front listens where it did");
    assert.deepEqual(gateway.pids, { ...gateway.pids, keeper, front });
  });
});
