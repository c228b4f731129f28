/** The machine on which the other Windows suites rest, with each node.exe. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { patiently } from "../helpers/until.ts";
import { needsWine, type NodeMajor } from "./cache.ts";
import { playInside } from "./inside.ts";
import { WindowsMachine } from "./machine.ts";

describe("a Windows machine under wine", { skip: needsWine(), timeout: patiently(300_000) }, () => {
  let machine: WindowsMachine;
  before(async () => {
    machine = await WindowsMachine.start();
  });
  after(() => machine[Symbol.asyncDispose]());

  for (const node of ["22", "24", "26"] satisfies NodeMajor[])
    it(`runs the checkout on Node.js ${node}, and its tier`, async (t) => {
      await playInside(machine, t, "machine.ts", { node, testsMin: 2 });
      await playInside(machine, t, "tier.ts", { node, testsMin: 2 });
    });

  it("sees a process of its own from outside, and its end", async () => {
    const program = machine.node(["-e", "setInterval(() => {}, 1000); console.log('up', 'token-4711')"]);
    await program.prints("up");
    assert.equal(machine.live("token-4711").length, 1);
    program.child.kill("SIGKILL");
    await program.ended(5000);
    assert.deepEqual(machine.live("token-4711"), []);
  });
});
