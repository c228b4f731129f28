/** What the doctor says of this machine: the sockets of a port, and the tiers that there are. */
import assert from "node:assert/strict";
import { connect, createServer } from "node:net";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { examine, type Report } from "../../src/doctor/examine.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { mainFile } from "../helpers/program.ts";
import { bestTier } from "../helpers/tiers.ts";
import { becomeNobody, Machine, machineProblem } from "./helpers/machine.ts";

const skip = machineProblem();

describe("what the doctor says of this machine", () => {
  leavesNothing();

  it("the sockets of a port, by state, with the process at each end", async () => {
    const listener = createServer().listen(0, "127.0.0.1");
    await once(listener, "listening");
    const { port } = listener.address() as { port: number };
    const client = connect(port, "127.0.0.1");
    const [accepted] = (await once(listener, "connection")) as [ReturnType<typeof connect>];
    const view = (await examine({ port })).port ?? assert.fail("no view of the port");
    assert.deepEqual(view.states, [
      { state: "LISTEN", count: 1 },
      { state: "ESTABLISHED", count: 1 },
    ]);
    assert.deepEqual(
      view.listeners.map(({ pids, address }) => [address, ...pids]),
      [["127.0.0.1", process.pid]],
    );
    const [connection] = view.connections;
    assert.deepEqual([connection?.server.pids, connection?.client.pids], [[process.pid], [process.pid]]);
    assert.deepEqual([connection?.server.state, connection?.client.state], ["ESTABLISHED", "ESTABLISHED"]);
    // The client has gone and the server does not let go of its socket: what a leaking gateway is full of.
    const ended = once(accepted.resume(), "end");
    accepted.allowHalfOpen = true;
    client.end();
    await ended;
    const closing = (await examine({ port })).port ?? assert.fail("no view of the port");
    assert.deepEqual(closing.states.map(({ state }) => state).toSorted(), ["CLOSE-WAIT", "LISTEN"]);
    client.destroy();
    accepted.destroy();
    listener.close();
    await once(listener, "close");
  });

  it("what a poorer machine lacks, and what would give it", { skip }, async () => {
    await using machine = await Machine.start();
    const doctor = `exec ${process.execPath} ${mainFile} doctor --json`;
    const mounts = "$(grep -E ' cgroup2? ' /proc/mounts | cut -d' ' -f2)";
    const runtime = join(machine.directory, "run");
    mkdirSync(join(runtime, "systemd"), { recursive: true });
    writeFileSync(join(runtime, "systemd/private"), "");
    const nobody = becomeNobody().join(" ");
    for (const [line, problem, remedy] of [
      [`for m in ${mounts}; do mount -o remount,bind,ro $m; done; ${doctor}`, /not even by root/, /--privileged/],
      [`for m in ${mounts}; do umount -l $m; done; ${doctor}`, /not mounted/, /mount cgroup v2/],
      [doctor.replace("exec", `exec ${nobody}`), /is not this user's$/, /Delegate=yes/],
      [
        doctor.replace("exec", `export XDG_RUNTIME_DIR=${runtime}; exec ${nobody}`),
        /a systemd user manager is there/,
        /nothing to do: `holdfast gateway` asks/,
      ],
    ] as const) {
      const { stdout, stderr } = await machine.run(["unshare", "--mount", "sh", "-c", `{ ${line}; } 2>&1`]);
      const { tiers } = JSON.parse(stdout.slice(stdout.indexOf("{\n"))) as Report;
      const cgroup = tiers.find(({ tier }) => tier === "cgroup");
      assert.match(cgroup?.problem ?? "", problem, line + stderr);
      assert.match(cgroup?.remedy ?? "", remedy);
      assert.equal(tiers.find(({ isAvailable }) => isAvailable)?.tier, "subreaper");
    }
  });

  it("the tier that a gateway would take here, found without making anything", async () => {
    const { tiers } = await examine();
    assert.equal(tiers.find(({ isAvailable }) => isAvailable)?.tier, bestTier());
    for (const { isAvailable, problem, remedy } of tiers)
      assert.equal(isAvailable, problem === null && remedy === null);
  });
});
