/**
 * Everything of a gateway was killed at once, and then its ledger is lost: what lives is found without it, by container, guard
 * and marker, and nothing of the lost life is taken for the new one's.
 */
import assert from "node:assert/strict";
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Gateway, runCommand } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { sample } from "../helpers/long.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { survivorsOf, waitForListed } from "../helpers/pids.ts";
import { asConfig, stubborn } from "../helpers/servers.ts";
import { tiersToTest, type TierName } from "../helpers/tiers.ts";
import { patiently } from "../helpers/until.ts";

const boundMs = 20_000;
const stop = { stdinGraceMs: 200, termGraceMs: 200 };

/** What lives, as far as the tier can know it: on the lower one nobody knows a process without environment. */
function living(home: Home): string[] {
  const known = survivorsOf(home.pidFile).filter(({ role }) => home.tier === "cgroup" || role !== "cleared");
  return known.map(({ role }) => role);
}

function logged(home: Home, event: string): Record<string, unknown>[] {
  const lines = readFileSync(join(home.stateDir, "log", "keeper.log"), "utf8")
    .trim()
    .split("\n");
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>).filter((line) => line["event"] === event);
}

/** A gateway with a server in use, all of which was killed but the server's tree. */
async function crashed(tier: TierName): Promise<{ home: Home; epoch: number }> {
  const home = new Home(tier, { stop });
  const server = stubborn(home.pidFile);
  home.configure({ stop, mcpServers: asConfig({ stubborn: server }) });
  const gateway = await Gateway.start(home);
  const client = gateway.mcp("stubborn");
  await client.initialize();
  await waitForListed(home.pidFile, server.processes, boundMs);
  client.vanish();
  gateway.killAtOnce([...Object.values(gateway.pids), ...home.marked("HOLDFAST_GUARD")]);
  await gateway.ended();
  assert.notDeepEqual(living(home), [], "its tree lives");
  return { home, epoch: gateway.epoch };
}

const ledgerFile = (home: Home) => join(home.stateDir, "ledger.sqlite");

const losses: Record<string, (home: Home) => void> = {
  "the ledger was moved away": (home) => renameSync(ledgerFile(home), join(home.directory, "away")),
  "the ledger's log was lost with the power": (home) => rmSync(`${ledgerFile(home)}-wal`),
};

for (const [at, tier] of tiersToTest().entries()) {
  describe(`a ledger lost on the ${tier} tier`, { timeout: patiently(180_000) }, () => {
    leavesNothing();

    for (const [what, lose] of sample(Object.entries(losses), at)) {
      it(`${what}: the next start ends what lives, resumes nothing, and says what is missing`, async () => {
        const { home: made, epoch } = await crashed(tier);
        await using home = made;
        lose(home);
        await using gateway = await Gateway.start(home);
        assert.deepEqual(living(home), [], "nothing of the lost life lives when the next one serves");
        assert.ok(gateway.epoch > epoch, `epoch ${gateway.epoch} comes after ${epoch}`);
        assert.deepEqual(await gateway.rpc("session.list"), []);
        assert.deepEqual(
          logged(home, "ledger.behind").map(({ knows, last }) => ({ knows, last })),
          [{ knows: epoch - 1, last: epoch }],
        );
        assert.ok(logged(home, "orphan.swept").length > 0);
      });
    }

    it("the ledger was overwritten: the start is refused with what to do, and once that is done ends what lives", async () => {
      const { home: made } = await crashed(tier);
      await using home = made;
      writeFileSync(ledgerFile(home), "no database".repeat(1000));
      // Its log would make it whole again.
      rmSync(`${ledgerFile(home)}-wal`);
      const { code, stderr } = await runCommand(home, ["gateway", "--config", home.configFile]);
      assert.notEqual(code, 0);
      assert.match(
        stderr,
        /ledger\.sqlite cannot be used as the ledger: file is not a database; move it away to begin a new/,
      );
      assert.notDeepEqual(living(home), []);
      renameSync(ledgerFile(home), join(home.directory, "away"));
      await using gateway = await Gateway.start(home);
      assert.deepEqual(living(home), []);
      assert.deepEqual(await gateway.rpc("session.list"), []);
    });
  });
}
