/** A run inherits its own three streams and nothing of the keeper's: a PTY or pipe held open elsewhere never closes. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { closeSync, openSync, readFileSync, readdirSync, readlinkSync, watch } from "node:fs";
import { createServer } from "node:net";
import { DatabaseSync } from "node:sqlite";
import { describe, it } from "node:test";
import { spawn as spawnTerminal } from "@lydell/node-pty";
import { closeAllOnExec, closeOnExec } from "../../src/platform/linux/ffi.ts";
import { Fence } from "../helpers/fence.ts";
import { Gateway } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { fixture } from "../helpers/servers.ts";
import { tiersToTest } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";

function descriptorsOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).map((fd) => `${fd} -> ${readlinkSync(`/proc/${pid}/fd/${fd}`)}`);
}

describe("descriptors", { timeout: patiently(60_000) }, () => {
  leavesNothing();
  for (const tier of tiersToTest()) {
    it(`on the ${tier} tier a run has no descriptor of the keeper, whatever the keeper has open`, async () => {
      await using home = new Home(tier);
      // A server that sleeps under a shell: what it inherited stays to be seen.
      const mcpServers = { polite: { command: process.execPath, args: [fixture("polite-server.ts")] } };
      home.configure({ mcpServers });
      await using gateway = await Gateway.start(home);
      using first = gateway.mcp("polite");
      using second = gateway.mcp("polite");
      // One after the other: the second is spawned while the first's pipes, the ledger, the log and the front's are open.
      await first.initialize();
      await second.initialize();
      const held = descriptorsOf(gateway.pids.keeper);
      assert.ok(held.length > 15, "the keeper has much open");
      const shared = new Set(
        held
          .map((each) => each.split(" -> ")[1])
          .filter((target) => /^(pipe|socket):|ledger|keeper\.log/.test(target ?? "")),
      );
      const runs = (await gateway.rpc("run.list", { all: false })) as { processes: { pid: number }[] }[];
      const members = runs.flatMap(({ processes }) => processes.map(({ pid }) => pid));
      assert.equal(members.length, 2);
      for (const pid of members) {
        const leaked = descriptorsOf(pid).filter((each) => shared.has(each.split(" -> ")[1] ?? ""));
        assert.deepEqual(leaked, [], `of pid ${pid}`);
      }
    });
  }

  for (const tier of tiersToTest()) {
    it(`on the ${tier} tier a run has three streams, with one of each kind open beside it, a terminal's master included`, async () => {
      await using fence = new Fence(tier);
      closeAllOnExec(); // as the keeper does: what this process inherited itself is not the subject
      const terminal = spawnTerminal("sleep", ["1000"], { cols: 80, rows: 24 });
      const terminalEnded = new Promise((resolve) => terminal.onExit(resolve));
      const master = (terminal as unknown as { fd: number }).fd;
      assert.match(readlinkSync(`/proc/self/fd/${master}`), /ptmx/, "it is the master");
      closeOnExec(master);
      const server = createServer().listen(0, "127.0.0.1");
      await once(server, "listening");
      const local = createServer().listen(`${fence.directory}/socket`);
      await once(local, "listening");
      const file = openSync(`${fence.directory}/file`, "w");
      const database = new DatabaseSync(`${fence.directory}/database`);
      database.exec("CREATE TABLE held (one)");
      const watcher = watch(fence.directory);
      // Another run, whose pipes are open here while the next one is started.
      const [other] = await fence.run("sleep", ["1000"]);
      try {
        const [container, { stdout }] = await fence.run("sh", ["-c", "echo; exec sleep 1000"]);
        await once(stdout!, "data");
        const members = await until(
          "the command itself",
          () => {
            const found = container.list();
            return found.length === 1 && readFileSync(`/proc/${found[0]?.pid}/comm`, "utf8") === "sleep\n" && found;
          },
          { boundMs: 5000 },
        );
        const open = () => descriptorsOf(members[0]?.pid ?? 0).map((each) => each.replace(/[0-9]+(?=\])/, ""));
        // While it loads it has its libraries open for a moment; what it inherited stays.
        await until("it has loaded", () => open().length <= 3, { boundMs: 5000 }).catch(() => {});
        // libuv makes a child's streams of socket pairs.
        assert.deepEqual(open(), ["0 -> socket:[]", "1 -> socket:[]", "2 -> socket:[]"]);
        await container.end(5000);
      } finally {
        await other.end(5000);
        watcher.close();
        database.close();
        closeSync(file);
        server.close();
        local.close();
        terminal.kill("SIGKILL");
        await terminalEnded;
      }
    });
  }
});
