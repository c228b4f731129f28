/** The schema of the API is one: its page says what it says, and every answer has the shape that it promises. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { apiPage } from "../../scripts/api-page/render.ts";
import { rpcScopes } from "../../src/protocol/api/define.ts";
import { api, type MethodName } from "../../src/protocol/api/index.ts";
import { Gateway } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { fixture } from "../helpers/servers.ts";
import { bestTier, root } from "../helpers/tiers.ts";
import { patiently } from "../helpers/until.ts";

leavesNothing();

describe("the schema of the API", () => {
  it("is what docs/api.md says", () => {
    const page = readFileSync(join(root, "docs/api.md"), "utf8");
    assert.equal(page, apiPage(), "run `node scripts/api-page.ts` and look at the difference");
  });

  it("gives every method a scope and a sentence", () => {
    for (const [name, { scope, summary }] of Object.entries(api)) {
      assert.ok(rpcScopes.includes(scope), name);
      assert.match(summary, /^[A-Z].*\.$/, name);
    }
  });
});

describe("with a gateway", { timeout: patiently(60_000) }, () => {
  let home: Home;
  let gateway: Gateway;
  before(async () => {
    const mcpServers = { polite: { command: process.execPath, args: [fixture("polite-server.ts")] } };
    home = new Home(bestTier(), { mcpServers });
    gateway = await Gateway.start(home);
    await gateway.mcp("polite").initialize();
  });
  after(async () => {
    await gateway.stop();
    await home[Symbol.asyncDispose]();
  });

  it("every answer has exactly the fields that the schema names", async () => {
    for (const name of ["gateway.status", "run.list", "session.list"] satisfies MethodName[]) {
      const answer = await gateway.rpc(name);
      assert.ok(!Array.isArray(answer) || answer.length > 0, `${name} has something to show`);
      // The schema takes fields away that it does not know: what it gives back must be all there was.
      assert.deepEqual(api[name].result.parse(answer), answer, name);
    }
  });
});
