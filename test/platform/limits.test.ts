/** A tree that grows past its limit is ended as a whole, and the record says why. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { describe, it } from "node:test";
import { describeExcess, excessIn } from "../../src/keeper/limit-watch.ts";
import type { ProcessInfo, TreeLimits } from "../../src/platform/types.ts";
import { readUntil } from "../helpers/read-until.ts";
import { Gateway } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { killWhatIsLeft, waitForZero } from "../helpers/pids.ts";
import { mainFile } from "../helpers/program.ts";
import { attackScript } from "../helpers/servers.ts";
import { tiersToTest } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";

const boundMs = 20_000;
/** Holds so many bytes of memory that nothing else has. */
const glutton = (bytes: number) => ["-e", `globalThis.held = Buffer.alloc(${bytes}, 1); setInterval(() => {}, 1000)`];

const excess = (tree: ProcessInfo[], limits: TreeLimits) => {
  const found = excessIn(tree, limits);
  return found === undefined ? undefined : describeExcess(found);
};

it("a limit is exceeded by more than it, not by it", () => {
  const member = { rssBytes: 10 } as ProcessInfo;
  assert.equal(excess([member, member], { processesMax: 2, memoryBytesMax: 20 }), undefined);
  assert.match(excess([member, member, member], { processesMax: 2 }) ?? "", /3 processes, at most 2/);
  assert.match(excess([member, member], { memoryBytesMax: 19 }) ?? "", /20 bytes/);
  assert.equal(excess([member], {}), undefined);
});

describe("limits of a run", { timeout: patiently(120_000), concurrency: 3 }, () => {
  leavesNothing();
  for (const tier of tiersToTest()) {
    for (const [what, limits, words] of [
      ["forks past its processes", { processesMax: 50 }, (file: string) => ["bash", attackScript, "wide", file, "-"]],
      ["eats past its memory", { memoryBytesMax: 150_000_000 }, () => [process.execPath, ...glutton(200_000_000)]],
    ] as const) {
      it(`on the ${tier} tier a server that ${what} is ended whole, as limit-exceeded, and its caller is told`, async () => {
        await using home = new Home(tier);
        const [command = "", ...args] = words(home.pidFile);
        home.configure({
          mcpServers: { greedy: { command, args, limits } },
          stop: { stdinGraceMs: 100, termGraceMs: 100 },
        });
        await using gateway = await Gateway.start(home);
        using client = gateway.mcp("greedy");
        // It never answers; the call ends because the run does.
        await assert.rejects(client.initialize());
        const ended = await until(
          "the record",
          async () => {
            const runs = (await gateway.rpc("run.list", { all: true })) as { state: string; endReason: string }[];
            return runs.find(({ state }) => state === "exited");
          },
          { boundMs },
        );
        assert.equal(ended.endReason, "limit-exceeded");
        await waitForZero(home.pidFile, 1000);
      });
    }
  }
});

describe("holdfast run with limits", { timeout: patiently(120_000) }, () => {
  leavesNothing();
  for (const [what, options, words] of [
    ["processes", ["--limit-pids", "50"], (file: string) => ["bash", attackScript, "wide", file, "-"]],
    ["memory", ["--limit-memory", "150000000"], () => [process.execPath, ...glutton(200_000_000)]],
  ] as const) {
    it(`ends a tree that exceeds its ${what}, and says so on stderr`, async () => {
      const directory = mkdtempSync(join(tmpdir(), "holdfast-limits-"));
      const file = join(directory, "pids");
      writeFileSync(file, "");
      try {
        const child = spawn(process.execPath, [mainFile, "run", ...options, "--", ...words(file)]);
        const [said] = await Promise.all([text(child.stderr), once(child, "exit")]);
        assert.match(said, /holdfast run: limit exceeded/);
        assert.equal(child.exitCode, 137);
        await waitForZero(file, 1000);
      } finally {
        await killWhatIsLeft(file);
        rmSync(directory, { recursive: true });
      }
    });
  }

  it("a tree within its limits ends as fast as without them", async () => {
    const child = spawn(process.execPath, [
      mainFile,
      "run",
      "--limit-pids",
      "50",
      "--term-grace",
      "20000",
      "--",
      "sh",
      "-c",
      "echo up; exec sleep 1000",
    ]);
    await readUntil(child.stdout, "up");
    const began = performance.now();
    child.kill("SIGTERM");
    await once(child, "exit");
    assert.equal(child.exitCode, 143);
    assert.ok(performance.now() - began < 10_000, "the grace was not waited out");
  });
});
