/** A worker that starts the same helper again and again is named by the doctor as long as a gateway holds it. Takes 20 s and next to no work. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { GrowingRun } from "../../src/cli/doctor.ts";
import { Background } from "../helpers/background.ts";
import { Gateway, runCommand } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { bestTier } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";

/** The gateway looks every 5 s, and three looks must have found more than ever. */
const growthBoundMs = 45_000;

async function growing(home: Home): Promise<GrowingRun[] | null> {
  const { code, stdout, stderr } = await runCommand(home, ["doctor", "--json"]);
  assert.equal(code, 0, stderr);
  return (JSON.parse(stdout) as { growing: GrowingRun[] | null }).growing;
}

export function growingRunsAreNamed(): void {
  describe("a run that keeps growing", { timeout: patiently(90_000) }, () => {
    it("shows in doctor while its gateway runs, and a steady one does not", async () => {
      await using home = new Home(bestTier());
      home.configure({ exec: { enabled: true }, stop: { stdinGraceMs: 100, termGraceMs: 300 } });
      assert.equal(await growing(home), null, "without a gateway");
      {
        await using gateway = await Gateway.start(home);
        const background = new Background(gateway);
        await background.start({ kind: "exec", command: "for n in 1 2 3 4 5 6 7 8 9 10; do sleep 1000 & done; wait" });
        assert.deepEqual(await growing(home), []);
        const command = "n=0; while [ $n -lt 120 ]; do sleep 1000 & n=$((n+1)); sleep 0.3; done; wait";
        const { id } = await background.start({ kind: "exec", command });
        const isTold = async () =>
          (await background.call("run.list", {})).some((run) => run.id === id && run.background?.growing !== null);
        await until("the gateway has seen it", isTold, { boundMs: growthBoundMs, everyMs: 250 });
        const told = await growing(home);
        assert.deepEqual(
          told?.map((run) => run.id),
          [id],
        );
        assert.match(told?.[0]?.what ?? "", /^\d+ processes, \d+ of them sleep 1000$/);
        const { stdout } = await runCommand(home, ["doctor"]);
        assert.match(stdout, new RegExp(`^Run ${id} of the gateway keeps growing: \\d+ processes`, "m"));
      }
      assert.equal(await growing(home), null, "after its end");
    });
  });
}
