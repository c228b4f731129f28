/**
 * What other cleaners take for an orphan and is none, each planted beside real orphans: the doctor must not call it
 * "owner-dead", and `--reap` must leave it alive. The first three are the ones that ended people's live sessions.
 */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { after, before, describe, it } from "node:test";
import type { Report } from "../../src/doctor/examine.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { readListed, type Listed } from "../helpers/pids.ts";
import { mainFile } from "../helpers/program.ts";
import { fixture } from "../helpers/servers.ts";
import { Machine, machineProblem, type Planned } from "./helpers/machine.ts";

const stub = fixture("doctor/mcp-stub.sh");
const skip = machineProblem();

describe("the doctor leaves nothing and", { skip }, () => {
  leavesNothing();
  describe("does not take for an orphan", pitfalls);
});

function pitfalls(): void {
  let machine: Machine;
  before(async () => {
    machine = await Machine.start();
  });
  after(() => machine[Symbol.asyncDispose]());

  const words = (role: string, ...rest: string[]) => [machine.bin("node"), stub, machine.list, role, ...rest];
  const listed = (role: string): Listed =>
    readListed(machine.list).find((one) => one.role === role) ?? assert.fail(`${role} is not in the list`);
  const treeOf = (report: Report, role: string) =>
    report.trees.find(({ processes }) => processes.some(({ pid }) => pid === listed(role).pid));
  const verdictOf = (report: Report, role: string) => treeOf(report, role)?.verdict ?? "not shown";

  /** Reaps, and checks who is left. Returns what the doctor said before it did. */
  async function reap(orphans: string[], alive: string[]): Promise<Report> {
    const report = await machine.examine("--reap", "--yes");
    for (const role of orphans)
      assert.equal(verdictOf(report, role), "owner-dead", `${role}: ${treeOf(report, role)?.doubts.join("; ")}`);
    for (const role of alive) assert.notEqual(verdictOf(report, role), "owner-dead", role);
    const lives = (role: string) => machine.isLive(listed(role));
    assert.deepEqual(orphans.filter(lives), [], "orphans that still live");
    assert.deepEqual(
      alive.filter((role) => !lives(role)),
      [],
      "ended, although they are none",
    );
    return report;
  }

  it("the older of two sessions that run the very same command", async () => {
    const same = [machine.bin("node"), stub, machine.list, "same"];
    const older = await machine.plant([{ how: "socket", words: same }]);
    const newer = await machine.plant([{ how: "socket", words: same }]);
    const orphaned = await machine.plant([{ how: "socket", words: same }]);
    await machine.kill(orphaned);
    const planted = readListed(machine.list).filter(({ role }) => role === "same");
    const report = await machine.examine("--reap", "--yes");
    assert.deepEqual(
      planted.map((one) => machine.isLive(one)),
      [true, true, false],
    );
    const dead = report.trees.filter(({ verdict }) => verdict === "owner-dead").map((tree) => tree.root.pid);
    assert.deepEqual(dead, [planted[2]?.pid]);
    await machine.kill(older);
    await machine.kill(newer);
    await machine.examine("--reap", "--yes");
    assert.deepEqual(
      planted.map((one) => machine.isLive(one)),
      [false, false, false],
    );
  });

  it("a server whose pipes a sibling inherited, or whose streams are one socketpair", async () => {
    const plan = (name: string): Planned[] => [
      { how: "pipe", words: words(`${name}-first`) },
      { how: "one", words: words(`${name}-one`) },
      { how: "pipe", words: words(`${name}-last`) },
      { how: "socket", words: words(`${name}-heir`) }, // holds ends of both pipes of the others
    ];
    const live = await machine.plant(plan("live"));
    await machine.kill(await machine.plant(plan("dead")));
    const names = (name: string) => plan(name).map(({ words: [, , , role = ""] }) => role);
    await reap(names("dead"), names("live"));
    await machine.kill(live);
    await reap(names("live"), []);
  });

  it("an idle server that lost its wrapper, while the host still holds it", async () => {
    const wrapped = `exec 4<&0; (${words("idle").join(" ")} <&4 4<&- &)`;
    const host = await machine.plant([{ how: "socket", words: ["sh", "-c", wrapped] }]);
    const report = await reap([], ["idle"]);
    const tree = treeOf(report, "idle");
    assert.equal(tree?.verdict, "idle");
    assert.match(tree?.owner?.command ?? "", /host\.ts/);
    assert.ok(
      tree?.evidence.some((line) => line.startsWith("re-parented")),
      "the test plants a re-parented server",
    );
    await machine.kill(host);
    await reap(["idle"], []);
  });

  it("two programs that hold each other's pipes and nobody else's", async () => {
    const host = await machine.plant([
      { how: "pair", words: words("left") },
      { how: "pair", words: words("right") },
    ]);
    await machine.kill(host);
    const report = await reap([], ["left", "right"]);
    assert.equal(treeOf(report, "left")?.owner?.pid, listed("right").pid);
  });

  it("programs that were meant to stay: nohup, a stdin from nowhere, a listener, a file for stdout", async () => {
    const listener = `
      const { appendFileSync, readFileSync } = require("node:fs");
      const stat = readFileSync("/proc/self/stat", "latin1");
      require("node:net").createServer().listen(0, "127.0.0.1", () => {
        appendFileSync(process.argv[1], process.pid + " " + stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] + " listener\\n");
      });
      setTimeout(() => process.exit(), 300_000); // tools/list would be: "tools/list"`;
    const polite = `trap "" HUP; exec sh ${fixture("record.sh")} ${machine.list} nohup ${machine.bin("mcp-shell")} -c "sleep 300; :"`;
    const plan: Planned[] = [
      { how: "socket", words: ["sh", "-c", polite] },
      { how: "socket", words: ["sh", "-c", `exec ${words("null").join(" ")} </dev/null`] },
      { how: "socket", words: ["sh", "-c", `exec ${words("file").join(" ")} >/dev/null`] },
      { how: "socket", words: [process.execPath, "-e", listener, machine.list] },
      { how: "socket", words: words("orphan") },
    ];
    await machine.kill(await machine.plant(plan));
    const report = await reap(["orphan"], ["nohup", "null", "file", "listener"]);
    const doubt = (role: string) => treeOf(report, role)?.doubts.join("; ") ?? "not shown";
    assert.match(doubt("nohup"), /nohup/);
    assert.match(doubt("null"), /stdin is \/dev\/null/);
    assert.match(doubt("file"), /stdout is \/dev\/null/);
    assert.match(doubt("listener"), /listens on 127\.0\.0\.1 port \d+/);
  });

  it("an orphan that nothing marks as an MCP server", async () => {
    const plain = `exec sh ${fixture("record.sh")} ${machine.list} job sleep 300`;
    await machine.kill(await machine.plant([{ how: "socket", words: ["sh", "-c", plain] }]));
    const report = await reap([], ["job"]);
    assert.match(treeOf(report, "job")?.doubts.join() ?? "", /nothing says that it is an MCP server/);
  });

  it("a shell whose text only mentions servers: in quotes, in a script of many lines, or around the doctor itself", async () => {
    const job = (role: string) => `sh ${fixture("record.sh")} ${machine.list} ${role} sleep 300; :`;
    const rootsOf = ({ trees }: Report) => trees.map(({ root: { pid } }) => pid);
    const known = rootsOf(await machine.examine());
    const host = await machine.plant([
      { how: "socket", words: ["sh", "-c", `NAMES='x; npx mcp-server'; ${job("quoted")}`] },
      { how: "socket", words: ["sh", "-c", `npx() { :; }\nnpx mcp-server\n${job("script")}`] },
      { how: "socket", words: ["sh", "-c", `${words("launched").join(" ")}; npx mcp-server`] },
    ]);
    const doctor = `${process.execPath} ${mainFile} doctor --json; exit; npx mcp-server`;
    const { stdout } = await machine.run(["sh", "-c", doctor]);
    const report = JSON.parse(stdout) as Report;
    const found = rootsOf(report).filter((pid) => !known.includes(pid));
    assert.deepEqual(found, [treeOf(report, "launched")?.root.pid]);
    await machine.kill(host);
    await reap(["launched"], []);
  });
}

describe("doctor --reap without a terminal", () => {
  it("is refused unless --yes is there, before anything is looked at", async () => {
    const child = spawn(process.execPath, [mainFile, "doctor", "--reap"], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let text = "";
    child.stderr.on("data", (chunk: Buffer) => (text += chunk.toString()));
    const [code] = (await once(child, "close")) as [number];
    assert.equal(code, 2);
    assert.match(text, /no terminal to ask at; in a script say --yes/);
  });
  it("is not what --yes alone means", () => {
    const { status, stderr } = spawnSync(process.execPath, [mainFile, "doctor", "--yes"], {
      encoding: "utf8",
    });
    assert.equal(status, 2);
    assert.match(stderr, /--yes` agrees to nothing by itself/);
  });
});
