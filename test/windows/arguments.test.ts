/** Words and variables of started programs, as Windows hands them over. */
import { after, before, describe, it } from "node:test";
import { patiently } from "../helpers/until.ts";
import { needsWine } from "./cache.ts";
import { playInside } from "./inside.ts";
import { WindowsMachine } from "./machine.ts";

describe("arguments on Windows, under wine", { skip: needsWine(), timeout: patiently(300_000) }, () => {
  let machine: WindowsMachine;
  before(async () => {
    machine = await WindowsMachine.start();
  });
  after(() => machine[Symbol.asyncDispose]());

  it("arrive as they are", (t) => playInside(machine, t, "arguments.ts", { testsMin: 4 }));
});
