/** Connections that overlap, come late or never come: none ends what is not its own, starts what nobody waits for, or is waited for. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { McpClient } from "../helpers/mcp-client.ts";
import { needsSshd } from "../helpers/needs.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { readListed, survivorsOf, waitForListed } from "../helpers/pids.ts";
import { everything, fixture, stubborn } from "../helpers/servers.ts";
import { patiently, until } from "../helpers/until.ts";
import { boundMs, endSession, Place } from "./place.ts";

/** Told from any other sleep. */
const slowSeconds = "1.625";

/** Command lines over there that are neither our shells nor the naps of a monitor. */
function logins(place: Place): string[] {
  const ours = new Set(place.far.shells());
  return place.far
    .strays()
    .filter((pid) => !ours.has(pid))
    .flatMap((pid) => {
      try {
        return [readFileSync(`/proc/${pid}/cmdline`, "latin1").replaceAll("\0", " ").trim()];
      } catch {
        return []; // it ended
      }
    })
    .filter((line) => line !== "" && line !== "sleep 1");
}

describe("a connection to a far side", { skip: needsSshd(), timeout: patiently(240_000), concurrency: 3 }, () => {
  leavesNothing();

  it("leaves alone what runs on the same machine by another name", async () => {
    await using place = await Place.make();
    const { command, args } = stubborn(place.home.pidFile);
    const light = { command: "sh", args: [fixture("light-server.sh")] };
    const gateway = await place.serve({
      one: { command, args, host: "ssh:far" },
      other: { ...light, host: "ssh:root@far" },
    });
    using one = gateway.mcp("one");
    await one.initialize();
    await waitForListed(place.home.pidFile, 5, boundMs);
    using other = gateway.mcp("other");
    await other.initialize();
    assert.equal(place.far.clients().filter(({ master }) => master).length, 2);
    assert.equal(survivorsOf(place.home.pidFile).length, 5);
    await other.delete();
    await endSession(one, place.home.pidFile);
  });

  it("is found by way of a jump, as plain ssh is", async () => {
    await using place = await Place.make();
    const { command, args } = everything(place.home.pidFile);
    const gateway = await place.serve({ there: { command: "ssh", args: ["-J", "far", "far", command, ...args] } });
    using client = gateway.mcp("there");
    await client.initialize();
    const [run] = (await gateway.rpc("run.list", {})) as { host: string }[];
    assert.equal(run?.host, "ssh:-J far far");
    await endSession(client, place.home.pidFile);
  });

  it("that is not there yet is given up with the gateway", async () => {
    await using place = await Place.make();
    // It reads and says nothing; unread, the end of a caller would never be seen.
    const silent = createServer((socket) => socket.on("error", () => {}).resume()).listen(0, "127.0.0.1");
    await once(silent, "listening");
    const { port } = silent.address() as AddressInfo;
    appendFileSync(place.far.config, `Host silent\n  HostName 127.0.0.1\n  Port ${port}\n`);
    try {
      const server = { command: "cat", host: "ssh:silent" };
      const gateway = await place.serve({ there: server }, { ssh: { connectTimeoutMs: 600_000 } });
      using client = gateway.mcp("there");
      const called = once(silent, "connection");
      const opening = assert.rejects(client.initialize());
      await called;
      await gateway.stop();
      await opening;
      assert.deepEqual(place.far.clients(), []);
    } finally {
      silent.close();
    }
  });

  it("that takes no further session says so in ssh's own words", async () => {
    await using place = await Place.make({ sshd: ["MaxSessions 1"] });
    const gateway = await place.serve({ there: { command: "cat", host: "ssh:far" } });
    using client = gateway.mcp("there");
    await assert.rejects(client.initialize(), /MaxSessions.*ssh said: .*refused/);
    assert.deepEqual(await gateway.rpc("run.list", {}), []);
  });

  it("starts nothing for a run that is over before its guard stands", async () => {
    // A login that takes its time, but not for the connection itself.
    const marks = mkdtempSync(join(tmpdir(), "holdfast-slow-"));
    const wait = `mkdir ${marks}/first 2>/dev/null || sleep ${slowSeconds}`;
    await using place = await Place.make({ sshd: [`ForceCommand ${wait}; exec sh -c "$SSH_ORIGINAL_COMMAND"`] });
    const { command, args } = stubborn(place.home.pidFile);
    const gateway = await place.serve({ there: { command, args, host: "ssh:far" } });
    using client = gateway.mcp("there");
    const opening = assert.rejects(client.initialize(), /ssh:far: ssh ended before the guard stood/);
    await until("the run's login", () => logins(place).some((line) => line === `sleep ${slowSeconds}`), { boundMs });
    for (const { pid, master } of place.far.clients()) if (!master) process.kill(pid, "SIGKILL");
    await opening;
    // What is left is the connection's own: the guardian and its monitor.
    await until("the end of its login", () => logins(place).length === 0 && place.far.shells().length === 2, {
      boundMs,
    });
    assert.deepEqual(readListed(place.home.pidFile), []);
    rmSync(marks, { recursive: true });
  });

  it("that is lost with a call in flight answers it with the name of the host", async () => {
    await using place = await Place.make();
    const { command, args, call } = everything(place.home.pidFile);
    const gateway = await place.serve({ there: { command, args, host: "ssh:far" } });
    using client = gateway.mcp("there");
    await client.initialize();
    const called = client.callAndHang(call!.name, call!.arguments, boundMs);
    await client.call("echo", { message: "the one before is on its way" });
    for (const { pid, master } of place.far.clients()) if (master) process.kill(pid, "SIGKILL");
    const { kind, detail } = await called;
    assert.equal(kind, "error", detail);
    assert.match(detail, /is lost: ssh:far cannot be reached/);
    await place.record("there");
  });

  it("that is lost with a call in flight on /mcp answers it with the name of the host", async () => {
    await using place = await Place.make();
    const { command, args, call } = everything(place.home.pidFile);
    const gateway = await place.serve({ there: { command, args, host: "ssh:far" } });
    using client = new McpClient(`${gateway.url}/mcp`, gateway.token);
    await client.initialize();
    const called = client.callAndHang(`there__${call!.name}`, call!.arguments, boundMs);
    await client.call("there__echo", { message: "the one before is on its way" });
    for (const { pid, master } of place.far.clients()) if (master) process.kill(pid, "SIGKILL");
    const { kind, detail } = await called;
    assert.equal(kind, "error", detail);
    assert.match(detail, /is lost: ssh:far cannot be reached/);
    await place.record("there");
  });
});
