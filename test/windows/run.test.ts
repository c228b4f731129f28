/** `holdfast run` on Windows. */
import { after, before, describe, it } from "node:test";
import { patiently } from "../helpers/until.ts";
import { needsWine } from "./cache.ts";
import { playInside } from "./inside.ts";
import { WindowsMachine } from "./machine.ts";
import { programVariable } from "./program.ts";

describe("holdfast run on Windows, under wine", { skip: needsWine(), timeout: patiently(300_000) }, () => {
  let machine: WindowsMachine;
  before(async () => {
    machine = await WindowsMachine.start();
  });
  after(() => machine[Symbol.asyncDispose]());

  it("owns the tree of its command", (t) =>
    playInside(machine, t, "run.ts", { testsMin: 16, env: programVariable, boundMs: 240_000 }));
});
