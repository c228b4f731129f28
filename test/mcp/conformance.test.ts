/** The official conformance suite: what passes on a server alone passes through the gateway, alone and pooled. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, it } from "node:test";
import { Gateway } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { fixture } from "../helpers/servers.ts";
import { root, tiersToTest } from "../helpers/tiers.ts";
import { TokenRelay } from "../helpers/token-relay.ts";

leavesNothing();
const [tier = "subreaper"] = tiersToTest();
const boundMs = 120_000;
const suite = join(root, "node_modules/@modelcontextprotocol/conformance/dist/index.js");
const server = { command: process.execPath, args: [fixture("conformance-server.ts")] };

/** Each check of the suite by its name, and whether it passed. */
async function scenarios(url: string): Promise<Map<string, boolean>> {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-conformance-"));
  const child = spawn(process.execPath, [suite, "server", "--url", url], {
    cwd: directory,
    stdio: ["ignore", "pipe", "inherit"],
    timeout: boundMs,
  });
  const lines = createInterface({ input: child.stdout });
  const found = new Map<string, boolean>();
  lines.on("line", (line) => {
    const [, mark, name] = /^([✓✗]) ([a-z0-9-]+): \d+ passed, \d+ failed/.exec(line) ?? [];
    if (name !== undefined) found.set(name, mark === "✓");
  });
  await once(child, "close");
  rmSync(directory, { recursive: true, force: true });
  return found;
}

const passedOf = (found: Map<string, boolean>) => [...found].filter(([, passed]) => passed).map(([name]) => name);

async function direct(): Promise<string[]> {
  const child = spawn(process.execPath, [fixture("conformance-server.ts"), "--http"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  try {
    const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
    return passedOf(await scenarios(`http://127.0.0.1:${line}/`));
  } finally {
    const ended = once(child, "close");
    child.kill("SIGKILL");
    child.stdin.destroy();
    await ended;
  }
}

describe("the conformance suite", { timeout: 240_000 }, () => {
  it("passes through the gateway what passes on the server alone: per session, pooled", async () => {
    await using home = new Home(tier, { mcpServers: { own: server, pooled: { ...server, share: "pool" } } });
    await using gateway = await Gateway.start(home);
    await using relay = await TokenRelay.start(gateway.url, gateway.token);
    const through = async (path: string) => passedOf(await scenarios(`${relay.url}/mcp/${path}`));
    // The fixture alone has a process of its own, and so has either server behind the gateway.
    const [alone, own, pooled] = await Promise.all([direct(), through("own"), through("pooled")]);
    assert.ok(alone.length >= 25, `only ${alone.length} pass on the fixture alone: ${alone.join(" ")}`);
    for (const [path, passed] of Object.entries({ own, pooled })) {
      assert.deepEqual(
        alone.filter((name) => !passed.includes(name)),
        [],
        path,
      );
      console.log(`    ${path}: ${passed.length} scenarios pass; the fixture alone: ${alone.length}`);
    }
  });
});
