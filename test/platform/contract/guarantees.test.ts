/** The table of guarantees says what was seen when the contract was played. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { it } from "node:test";
import type { Backend } from "./backend.ts";
import { macosColumns } from "./guarantees-of-macos.ts";
import { guaranteeTable, replaceTable } from "./guarantees.ts";
import { simulatedBackend } from "./simulated.ts";
import { contractRows, hiding } from "./suite.ts";

const seeds = { count: 2, first: 1 };
const kernel = simulatedBackend("kernel", seeds);
/** Its trees have more processes than there are, so that no row about one can hold. */
const losing: Backend = { ...kernel, trees: kernel.trees.map((tree) => ({ ...tree, processes: 1000 })) };
const group = `${hiding}group`;

it("a row is held when it was played and held, best effort when it was lost, and gives its reason once", async () => {
  const bestEffort = Object.fromEntries(losing.trees.map(({ name }) => [hiding + name, "it is too large"]));
  const table = await guaranteeTable([
    { tier: "one", backend: kernel },
    { tier: "two", backend: { ...losing, bestEffort } },
    { tier: "three", backend: { ...simulatedBackend("scan", seeds), proof: "scan" } },
  ]);
  assert.deepEqual(table.slice(0, 4), [
    "| Promise | `one` | `two` | `three` |",
    "|---|---|---|---|",
    "| proof of empty | kernel | kernel | scan |",
    "| ends what hides by a process group of its own | held | best effort (1) | held |",
  ]);
  assert.ok(table.includes("| ends what hides by a frozen cgroup of its own | held | best effort (1) | not played |"));
  assert.deepEqual(table.slice(-2), ["", "1. it is too large"]);
});

it("no row is called held that was lost, or best effort that holds", async () => {
  await assert.rejects(guaranteeTable([{ tier: "x", backend: losing }]), /^Error: x: .* is broken$/);
  const excused: Backend = { ...kernel, bestEffort: { [group]: "of no reason" } };
  await assert.rejects(guaranteeTable([{ tier: "x", backend: excused }]), /^Error: x: .*hides by: group: holds$/);
});

it("a row that does not exist cannot be excused", () => {
  assert.throws(() => contractRows({ ...kernel, bestEffort: { typo: "" } }), /excuses rows that do not exist/);
});

it("docs/platforms.md says of macOS what its tiers hold in the contract's play; `node scripts/guarantees.ts` writes it", async () => {
  const page = readFileSync(new URL("../../../docs/platforms.md", import.meta.url), "utf8");
  assert.equal(page, replaceTable(page, await guaranteeTable(macosColumns)));
  const other = page.replace("| held", "| best effort (9)");
  assert.notEqual(other, page);
  assert.equal(replaceTable(other, await guaranteeTable(macosColumns)), page);
});
