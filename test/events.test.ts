/** The names of events are fixed: one table, and the docs page says the same. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";
import { eventNames, isLifecycleName, lifecycleMeanings } from "../src/events.ts";
import { root } from "./helpers/tiers.ts";

const page = readFileSync(join(root, "docs/events.md"), "utf8");

it("every lifecycle event is on the page, with its meaning, and no other is", () => {
  const rows = [...page.matchAll(/^- `([a-z.]+)` `[^`]+`: (.*)$/gm)].map(([, name = "", meaning = ""]) => [
    name,
    meaning.split(/[;,:(]/)[0]?.trim(),
  ]);
  const table = Object.entries(lifecycleMeanings).map(([name, meaning]) => [name, meaning.split(/[;,:(]/)[0]?.trim()]);
  assert.deepEqual(rows, table);
});

it("every diagnostic of the log is on the page", () => {
  const [, diagnostics = ""] = page.split("## Diagnostics");
  const missing = eventNames.filter((name) => !isLifecycleName(name) && !diagnostics.includes(`\`${name}\``));
  assert.deepEqual(missing, []);
});
