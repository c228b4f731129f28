/** Claude Code starts its MCP servers through `holdfast run`, and drops them; it is not asked to log in or to think. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { readListed, settle, waitForListed, waitForZero } from "../helpers/pids.ts";
import { patiently } from "../helpers/until.ts";
import { installClients } from "./helpers/install.ts";
import { boundMs, Place, stubbornProcesses, type Words } from "./helpers/place.ts";

const { clients, skip } = await installClients();

async function add(place: Place, name: string, { command, args }: Words): Promise<void> {
  await place.run(clients.claude, ["mcp", "add", name, "--", command, ...args]);
}

/** A place whose client knows a server that never answers, so that `mcp list` is at work until it is killed. */
async function busyPlace(place: Place, wrap: (words: Words) => Words): Promise<void> {
  await add(place, "stubborn", wrap(place.stubborn()));
  await add(place, "silent", wrap(place.silent()));
}

describe("Claude Code and holdfast run", { skip, concurrency: 2, timeout: patiently(120_000) }, () => {
  leavesNothing();

  it("connects to server-everything behind npx, and to a stubborn server, and nothing is left", async () => {
    await using place = new Place();
    await add(place, "everything", place.wrap(place.everything()));
    await add(place, "stubborn", place.wrap(place.stubborn()));
    const said = await place.run(clients.claude, ["mcp", "list"]);
    const connected = said.split("\n").filter((line) => line.includes("Connected"));
    assert.deepEqual(new Set(connected.map((line) => line.split(":")[0])), new Set(["everything", "stubborn"]), said);
    assert.equal(readListed(place.pidFile).length, 1 + stubbornProcesses);
    await waitForZero(place.pidFile, boundMs);
  });

  it("killed -9 with its servers started, it leaves nothing", async () => {
    await using place = new Place();
    await busyPlace(place, (words) => place.wrap(words));
    const client = place.start(clients.claude, ["mcp", "list"]);
    await waitForListed(place.pidFile, 1 + stubbornProcesses, boundMs);
    await place.kill(client);
    await waitForZero(place.pidFile, boundMs);
  });

  it("killed -9 at any moment of its start, it leaves nothing", async () => {
    await using place = new Place();
    await busyPlace(place, (words) => place.wrap(words));
    for (const afterMs of [300, 450, 600, 750]) {
      const client = place.start(clients.claude, ["mcp", "list"]);
      await delay(afterMs); // the moment is the point
      await place.kill(client);
      // What was being started when the client died may list itself a moment later.
      await delay(200);
      const { survivors } = await settle(place.pidFile, boundMs);
      assert.deepEqual(survivors, [], `killed after ${afterMs} ms`);
    }
  });

  it("the check can fail: without holdfast run the same server's helpers are left", async () => {
    const place = new Place();
    await busyPlace(place, (words) => words);
    const client = place.start(clients.claude, ["mcp", "list"]);
    await waitForListed(place.pidFile, 1 + stubbornProcesses, boundMs);
    await place.kill(client);
    assert.ok((await settle(place.pidFile, 500)).survivors.length > 0);
    await assert.rejects(async () => place[Symbol.asyncDispose](), /processes were left/);
  });
});
