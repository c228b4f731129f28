/** Handles, played inside. */
import { it } from "node:test";
import { patiently } from "../helpers/until.ts";
import { needsWine } from "./cache.ts";
import { playInside } from "./inside.ts";
import { WindowsMachine } from "./machine.ts";

it("handles stay where they belong under wine", { skip: needsWine(), timeout: patiently(200_000) }, async (t) => {
  await using machine = await WindowsMachine.start();
  await playInside(machine, t, "handles.ts", { testsMin: 2 });
});
