/** The official conformance suite: what passes on a server alone passes through the gateway, alone, pooled and on a node. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, it } from "node:test";
import { Gateway } from "../helpers/gateway.ts";
import { joinNode } from "../nodes/helpers/join-node.ts";
import { Home } from "../helpers/home.ts";
import { isWhole } from "../helpers/long.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { fixture } from "../helpers/servers.ts";
import { anyTier, root } from "../helpers/tiers.ts";
import { TokenRelay } from "../helpers/token-relay.ts";
import { patiently } from "../helpers/until.ts";

leavesNothing();
const tier = anyTier();
const boundMs = 120_000;
/** On the node it is pooled too; and servers of one session each are met by the suite of 2026-07-28. */
const paths = isWhole ? ["own", "pooled", "node"] : ["node"];
const suite = join(root, "node_modules/@modelcontextprotocol/conformance/dist/index.js");
const server = { command: process.execPath, args: [fixture("conformance-server.ts")] };

/** The first suite that knows revision 2026-07-28 is a version to come. */
const nextSuite = join(root, "node_modules/conformance-next/dist/index.js");

/** Each check of the suite by its name, and whether it passed. */
async function scenarios(url: string, program = suite, more: string[] = []): Promise<Map<string, boolean>> {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-conformance-"));
  const child = spawn(process.execPath, [program, "server", "--url", url, ...more], {
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
  const [code] = (await once(child, "close")) as [number | null];
  // One scenario alone is told by the exit code.
  if (more.includes("--scenario")) found.set(more.at(-1) ?? "", code === 0);
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

describe("the conformance suite", { timeout: patiently(240_000) }, () => {
  it(`passes through the gateway what passes on the server alone: ${paths.join(", ")}`, async () => {
    // On a node pooled as well: a start for each of the forty sessions is what the first of them has.
    const mcpServers = {
      own: server,
      pooled: { ...server, share: "pool" },
      node: { ...server, share: "pool", host: "there" },
    };
    await using home = new Home(tier, { mcpServers });
    await using gateway = await Gateway.start(home);
    await using _node = await joinNode(gateway, "there");
    await using relay = await TokenRelay.start(gateway.url, gateway.token);
    const through = async (path: string) => passedOf(await scenarios(`${relay.url}/mcp/${path}`));
    // The fixture alone has a process of its own, and so has either server behind the gateway.
    const [alone, ...passedBy] = await Promise.all([direct(), ...paths.map(through)]);
    assert.ok(alone.length >= 25, `only ${alone.length} pass on the fixture alone: ${alone.join(" ")}`);
    for (const [at, path] of paths.entries()) {
      const passed = passedBy[at] ?? [];
      assert.deepEqual(
        alone.filter((name) => !passed.includes(name)),
        [],
        path,
      );
      console.log(`    ${path}: ${passed.length} scenarios pass; the fixture alone: ${alone.length}`);
    }
  });

  it("passes in revision 2026-07-28 in front of the same server, which knows sessions only", async () => {
    await using home = new Home(tier, { mcpServers: { own: server } });
    await using gateway = await Gateway.start(home);
    await using relay = await TokenRelay.start(gateway.url, gateway.token);
    const revision = ["--spec-version", "2026-07-28"];
    const url = `${relay.url}/mcp/own`;
    const runs = [
      ["--suite", "active"],
      ["--scenario", "caching"],
      ["--scenario", "http-header-validation"],
      ["--scenario", "http-custom-header-server-validation"],
    ];
    const found = await Promise.all(runs.map((more) => scenarios(url, nextSuite, [...revision, ...more])));
    const all = new Map(found.flatMap((each) => [...each]));
    // What is tried with another Host is answered by the relay in between.
    all.delete("dns-rebinding-protection");
    assert.ok(all.size >= 22, `only ${all.size} were tried`);
    assert.deepEqual(passedOf(all), [...all.keys()]);
    console.log(`    ${all.size} scenarios of revision 2026-07-28 pass`);
  });
});
