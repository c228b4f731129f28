/** Servers that a service manager or a container holds, beside orphans that were handed to the same process; and how the doctor prints what is nothing to find. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, readFileSync, readdirSync, readlinkSync, rmdirSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import { examine, type Report } from "../../src/doctor/examine.ts";
import { describeReport } from "../../src/cli/doctor-report.ts";
import { Gateway, runCommand } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { readListed } from "../helpers/pids.ts";
import { asConfig, everything, fixture } from "../helpers/servers.ts";
import { bestTier, cgroupMount, tierSkip } from "../helpers/tiers.ts";
import { until } from "../helpers/until.ts";
import { Machine, machineProblem } from "./helpers/machine.ts";

const skip = machineProblem();
const quick = { all: false, willReap: false };

/**
 * Has a program of this name start a server with stdio that a host gave it, let go of it, and the host die. In a `unit` the
 * server leads a session of its own in that cgroup, as systemd starts the main process of a unit.
 */
async function handOver(machine: Machine, name: string, role: string, unit?: string): Promise<void> {
  const script = join(machine.directory, `${role}.sh`);
  const words = `${machine.bin("node")} ${fixture("doctor/mcp-stub.sh")} ${machine.list} ${role}`;
  const server = unit === undefined ? words : `sh -c 'echo $$ >${unit}/cgroup.procs; exec setsid ${words}'`;
  // A shell gives a command in the background /dev/null for its stdin, unless it is told otherwise.
  writeFileSync(
    script,
    `exec 4<&0; ${server} <&4 4<&- &
exec 4<&- </dev/null >/dev/null
while :; do sleep 300; done
`,
  );
  await machine.kill(await machine.plant([{ how: "socket", words: ["bash", "-c", `exec -a ${name} sh ${script}`] }]));
}

const treeOf = (report: Report, pid: number | undefined) => report.trees.find(({ root }) => root.pid === pid);

describe("the doctor and who holds a server without speaking to it", { skip }, () => {
  leavesNothing();

  const unitProblem = tierSkip("cgroup");
  it(
    "leaves the main process of a systemd unit alone, and ends what systemd was only handed",
    { skip: unitProblem },
    async () => {
      await using machine = await Machine.start();
      const unit = join(cgroupMount()?.own ?? "", `holdfast-test-${process.pid}.service`);
      mkdirSync(unit);
      try {
        await handOver(machine, "/lib/systemd/systemd", "unit", unit);
        await handOver(machine, "/lib/systemd/systemd", "orphan");
        const planted = readListed(machine.list);
        const pidOf = (role: string) => planted.find((one) => one.role === role)?.pid;
        const report = await machine.examine("--reap", "--yes");
        assert.equal(treeOf(report, pidOf("orphan"))?.verdict, "owner-dead");
        assert.equal(treeOf(report, pidOf("unit"))?.verdict, "unknown");
        assert.match(
          treeOf(report, pidOf("unit"))?.doubts.join() ?? "",
          new RegExp(`main process of the unit holdfast-test-${process.pid}\\.service`),
        );
        const alive = planted.filter((one) => machine.isLive(one)).map(({ role }) => role);
        assert.deepEqual(alive, ["unit"]);
      } finally {
        await machine[Symbol.asyncDispose]();
        await until("the unit is empty", () => isRemoved(unit), { boundMs: 5000 });
      }
    },
  );

  it("leaves what is in a container to whoever is in there", async () => {
    await using machine = await Machine.start();
    await handOver(machine, "/sbin/docker-init", "contained");
    const inside = await machine.examine();
    assert.deepEqual(
      inside.trees.map(({ verdict }) => verdict),
      ["owner-dead"],
    );
    const pids = outerPids(machine, inside.trees[0]?.root.pid ?? 0);
    const [tree] = (await examine()).trees.filter(({ root }) => pids.includes(root.pid));
    assert.equal(tree?.verdict, "unknown");
    assert.match(tree?.doubts.join() ?? "", /it is in a container \(another pid namespace\)/);
  });

  it("names a gateway of ours as the owner of its servers", async () => {
    await using home = new Home(bestTier());
    home.configure({ mcpServers: asConfig({ everything: everything(home.pidFile) }) });
    await using gateway = await Gateway.start(home);
    using client = gateway.mcp("everything");
    await client.initialize();
    const { stdout } = await runCommand(home, ["doctor"]);
    assert.match(stdout, new RegExp(`^pid ${gateway.pids.keeper}  Holdfast's gateway \\(`, "m"));
  });

  it("counts sockets in TIME-WAIT instead of listing them: no process holds one", async () => {
    const listener = createServer((socket: Socket) => socket.resume()).listen(0, "127.0.0.1");
    await once(listener, "listening");
    const { port } = listener.address() as { port: number };
    const held = connect(port, "127.0.0.1");
    await once(held, "connect");
    for (let n = 0; n < 2; n += 1) {
      const closed = connect(port, "127.0.0.1");
      await once(closed, "connect");
      closed.end().resume();
      await once(closed, "close");
    }
    const lines = describeReport(await examine({ port }), quick);
    held.destroy();
    listener.close();
    await once(listener, "close");
    const from = lines.findIndex((line) => line.startsWith(`port ${port}`));
    const shown = lines.slice(from, lines.indexOf("", from));
    assert.equal(shown.filter((line) => line.includes("↔")).length, 1, shown.join("\n"));
    assert.match(shown.at(-1) ?? "", /2 closed connections \(TIME-WAIT\)/);
  });
});

/** A cgroup is busy for a moment after its last process was killed. */
function isRemoved(directory: string): boolean {
  try {
    rmdirSync(directory);
    return true;
  } catch {
    return false;
  }
}

/** What the kernel calls a process of the machine out here: those of its namespace with this number inside. */
function outerPids(machine: Machine, inner: number): number[] {
  const namespaceOf = (pid: number | string) => {
    try {
      return readlinkSync(`/proc/${pid}/ns/pid`);
    } catch {
      return ""; // ended
    }
  };
  const own = namespaceOf(machine.init);
  return readdirSync("/proc")
    .filter((name) => /^[1-9]/.test(name) && namespaceOf(name) === own)
    .filter((name) => / *NSpid:.*\s(\d+)$/m.exec(readFileSync(`/proc/${name}/status`, "latin1"))?.[1] === String(inner))
    .map(Number);
}
