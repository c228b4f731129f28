/** The library on Windows. */
import { it } from "node:test";
import { patiently } from "../helpers/until.ts";
import { needsWine } from "./cache.ts";
import { playInside } from "./inside.ts";
import { WindowsMachine } from "./machine.ts";

it(
  "the library owns its trees on Windows, under wine",
  { skip: needsWine(), timeout: patiently(300_000) },
  async (t) => {
    await using machine = await WindowsMachine.start();
    await playInside(machine, t, "library.ts", { testsMin: 8 });
  },
);
