/** Codex starts its MCP servers through `holdfast run`, and drops them; no model is asked. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { settle, waitForListed, waitForZero } from "../helpers/pids.ts";
import { patiently } from "../helpers/until.ts";
import { Codex } from "./helpers/codex.ts";
import { installClients } from "./helpers/install.ts";
import { boundMs, Place, stubbornProcesses } from "./helpers/place.ts";

const { clients, skip } = await installClients();

describe("Codex and holdfast run", { skip, concurrency: 3, timeout: patiently(120_000) }, () => {
  leavesNothing();

  it("knows the tools of server-everything behind npx and of a stubborn server; ended in order, nothing is left", async () => {
    await using place = new Place();
    const servers = { everything: place.wrap(place.everything()), stubborn: place.wrap(place.stubborn()) };
    const codex = await Codex.start(place, clients.codex, servers);
    const found = await codex.servers();
    const tools = Object.fromEntries(found.map((server) => [server.name, "echo" in server.tools]));
    assert.deepEqual(tools, { everything: true, stubborn: true });
    assert.equal(await codex.end(), 0);
    await waitForZero(place.pidFile, boundMs);
  });

  for (const ending of ["end", "kill"] as const) {
    const how = ending === "end" ? "ended in order" : "killed -9";
    it(`with a thread that has called both servers, it is ${how}, and nothing is left`, async () => {
      await using place = new Place();
      const servers = { everything: place.wrap(place.everything()), stubborn: place.wrap(place.stubborn()) };
      const codex = await Codex.start(place, clients.codex, servers);
      const thread = await codex.startThread(place.directory);
      for (const server of Object.keys(servers)) {
        assert.match(await thread.call(server, "echo", { message: "hold" }), /Echo: hold/);
      }
      await waitForListed(place.pidFile, 1 + stubbornProcesses, boundMs);
      if (ending === "end") assert.equal(await codex.end(), 0);
      else await place.kill(codex.child);
      await waitForZero(place.pidFile, boundMs);
    });
  }

  it("killed -9 while a server still owes its first answer, it leaves nothing", async () => {
    await using place = new Place();
    const servers = { stubborn: place.wrap(place.stubborn()), silent: place.wrap(place.silent()) };
    const codex = await Codex.start(place, clients.codex, servers);
    await codex.startThread(place.directory);
    await waitForListed(place.pidFile, 1 + stubbornProcesses, boundMs);
    await place.kill(codex.child);
    await waitForZero(place.pidFile, boundMs);
  });

  it("the check can fail: without holdfast run the stubborn server's helpers are left", async () => {
    const place = new Place();
    const codex = await Codex.start(place, clients.codex, { stubborn: place.stubborn() });
    await codex.startThread(place.directory);
    await waitForListed(place.pidFile, stubbornProcesses, boundMs);
    await place.kill(codex.child);
    assert.ok((await settle(place.pidFile, 500)).survivors.length > 0);
    await assert.rejects(async () => place[Symbol.asyncDispose](), /processes were left/);
  });
});
