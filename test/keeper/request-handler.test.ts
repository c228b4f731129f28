/** The keeper's answers to a front that asks for what it may not have: refused, logged, and nothing started. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { Office } from "./helpers/office.ts";

const params = { server: "cat", sessionId: "s", onFrontLoss: "kill", blob: "" };

describe("the keeper's request handler", () => {
  leavesNothing();
  const asks: [string, Record<string, unknown>, string][] = [
    ["an argv of its own", { ...params, command: "touch", args: ["/tmp/x"] }, "request_refused"],
    ["another state file", { ...params, ledger: "/tmp/other.sqlite" }, "request_refused"],
    ["an unknown server", { ...params, server: "nobody" }, "server_unknown"],
    ["a server that is switched off", { ...params, server: "off" }, "server_unknown"],
    ["a server by a name of the language", { ...params, server: "__proto__" }, "server_unknown"],
  ];
  for (const [what, asked, code] of asks) {
    it(`refuses and logs a front that asks for ${what}, and starts nothing`, async () => {
      await using office = new Office();
      const answer = await office.ask({ type: "run.start", request: 7, params: asked } as { request: number });
      assert.equal(answer.type, "refusal");
      assert.equal((answer as { code: string }).code, code);
      assert.match(office.log, /front\.refused/);
      assert.equal(office.table.size, 0);
      assert.deepEqual(office.ledger.open(), []);
    });
  }

  it("starts a configured server, with its row written and its id unguessable", async () => {
    await using office = new Office();
    const answer = await office.ask({ type: "run.start", request: 1, params } as { request: number });
    assert.equal(answer.type, "reply");
    const [row] = office.ledger.open();
    assert.equal(row?.state, "running");
    assert.match(row?.id ?? "", /^r1-[0-9a-f]{8}$/);
  });

  it("the row is there before the process", async () => {
    await using office = new Office();
    const { epoch } = office.fence;
    const create = epoch.create.bind(epoch);
    let stateAtSpawn: string | undefined;
    epoch.create = (runId) => {
      const container = create(runId);
      const spawn = container.spawn.bind(container);
      container.spawn = (request) => {
        stateAtSpawn = office.ledger.open().find((row) => row.id === runId)?.state;
        return spawn(request);
      };
      return container;
    };
    await office.ask({ type: "run.start", request: 1, params } as { request: number });
    assert.equal(stateAtSpawn, "starting");
  });
});
