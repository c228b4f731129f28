/** Files of Holdfast and of its clients on Windows. */
import { after, before, describe, it } from "node:test";
import { patiently } from "../helpers/until.ts";
import { needsWine } from "./cache.ts";
import { playInside } from "./inside.ts";
import { WindowsMachine } from "./machine.ts";

describe("files on Windows, under wine", { skip: needsWine(), timeout: patiently(300_000) }, () => {
  let machine: WindowsMachine;
  before(async () => {
    machine = await WindowsMachine.start();
  });
  after(() => machine[Symbol.asyncDispose]());

  it("lie where Windows has them, and are this user's", (t) => playInside(machine, t, "places.ts", { testsMin: 9 }));
});
