/** The platform's contract, played inside. */
import { it } from "node:test";
import { patiently } from "../helpers/until.ts";
import { needsWine } from "./cache.ts";
import { playInside } from "./inside.ts";
import { WindowsMachine } from "./machine.ts";

it(
  "Windows keeps the platform's contract under wine",
  { skip: needsWine(), timeout: patiently(300_000) },
  async (t) => {
    await using machine = await WindowsMachine.start();
    await playInside(machine, t, "contract.ts", { testsMin: 25, boundMs: 280_000 });
  },
);
