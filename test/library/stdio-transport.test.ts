/** Our transport in place of the MCP SDK's: the same client, the same servers, and nothing left. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { readUntil } from "../helpers/read-until.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { killWhatIsLeft, settle, waitForListed } from "../helpers/pids.ts";
import { everything, fixture, stubborn, type Server } from "../helpers/servers.ts";
import { root } from "../helpers/tiers.ts";
import { patiently } from "../helpers/until.ts";

/** Kinds of server that the SDK's own transport loses, by what was measured of it. */
const servers: [string, (pidFile: string) => Server][] = [
  ["an npx-wrapped server with a call in flight", (pidFile) => wrapped(pidFile)],
  ["a stub that ignores the end of its stdin, with helpers that hide", stubborn],
];

/** server-everything as npx starts it: npm's shell between, and the server listed by what it becomes. */
function wrapped(pidFile: string): Server {
  const { command, args, call } = everything(pidFile);
  const line = [command, ...args].map((word) => `'${word}'`).join(" ");
  return { command: "npx", args: ["--no-install", "-c", line], processes: 1, ...(call === undefined ? {} : { call }) };
}

/** How a host ends without closing is nothing that a version of its Client could change. */
const endings = { v1: ["close"], v2: ["close", "exit", "kill"] } as const;

interface Ended {
  survivors: number;
}

async function play(
  sdk: "v1" | "v2",
  transport: "own" | "contained",
  makeServer: (pidFile: string) => Server,
  ending: "close" | "exit" | "kill",
): Promise<Ended> {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-transport-"));
  const pidFile = join(directory, "pids");
  writeFileSync(pidFile, "");
  const server = makeServer(pidFile);
  const host = spawn(process.execPath, [fixture("library-host.ts"), JSON.stringify({ sdk, transport, server })], {
    cwd: root,
    stdio: ["pipe", "pipe", "ignore"],
  });
  try {
    await readUntil(host.stdout, "ready");
    await waitForListed(pidFile, server.processes, 30_000);
    if (ending === "close") {
      host.stdin.write("close\n");
      await readUntil(host.stdout, "closed");
      const { survivors } = await settle(pidFile, transport === "own" ? 1000 : 0);
      return { survivors: survivors.length };
    }
    if (ending === "exit") host.stdin.write("exit\n");
    else host.kill("SIGKILL");
    await once(host, "exit");
    const { survivors } = await settle(pidFile, transport === "own" ? 1000 : 10_000);
    return { survivors: survivors.length };
  } finally {
    if (host.exitCode === null && host.signalCode === null) {
      host.kill("SIGKILL");
      await once(host, "exit");
    }
    await killWhatIsLeft(pidFile);
    rmSync(directory, { recursive: true, force: true });
  }
}

describe("ContainedStdioTransport", { timeout: patiently(180_000), concurrency: 3 }, () => {
  leavesNothing();
  it("the check can fail: the SDK's own transport leaves processes of the stub", async () => {
    assert.ok((await play("v1", "own", stubborn, "close")).survivors > 0);
    assert.ok((await play("v1", "own", stubborn, "kill")).survivors > 0);
  });
  for (const sdk of ["v1", "v2"] as const) {
    for (const [what, makeServer] of servers) {
      for (const ending of endings[sdk]) {
        it(`with the SDK's Client ${sdk} nothing is left of ${what} after ${ending}`, async () => {
          assert.deepEqual(await play(sdk, "contained", makeServer, ending), { survivors: 0 });
        });
      }
    }
  }
});
