/** The named scenes hold, and break once a mended fault is put back. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isWhole } from "../helpers/long.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { knownFaults, playKnownFaults } from "./known-faults.ts";
import { mutantsOf } from "./mutants.ts";
import { readPatched } from "./patched.ts";
import { playPromise, promiseScenes } from "./promises.ts";

leavesNothing();

/** Faults played here: each costs a process. `npm run simulate -- --known-faults` plays all. */
const playedHere = isWhole ? 2 : 1;

describe("a named scene", () => {
  for (const name of Object.keys(promiseScenes)) it(name, () => playPromise(name, "kernel"));
});

describe("a mended fault", () => {
  it("can be put back into the source of today", () => {
    for (const { patches } of knownFaults)
      for (const { file } of patches) assert.notEqual(readPatched(patches, file), readPatched([], file));
  });

  it("names a scene that exists", () => {
    const names = knownFaults.flatMap(({ scenes }) => scenes);
    assert.deepEqual(
      names.filter((name) => promiseScenes[name] === undefined),
      [],
    );
  });

  it("is found by its scene", async () => {
    const lines: string[] = [];
    const missed = await playKnownFaults((line) => lines.push(line), knownFaults.slice(0, playedHere));
    assert.equal(missed, 0, lines.join("\n"));
  });
});

describe("a mutant", () => {
  it("is one change of one place", () => {
    const text = "async function a() { if (b < c) await d(); e(); h(); f ??= 1; g(); }";
    const told = mutantsOf(text).map(({ kind, at, find, put }) => {
      assert.equal(text.slice(at, at + find.length), find);
      return `${kind}: ${find} -> ${put}`;
    });
    assert.deepEqual(told.toSorted(), [
      "deleted await: await d() -> d()",
      "dropped statement: await d(); -> ;",
      "dropped statement: e(); -> ;",
      "dropped statement: f ??= 1; -> ;",
      "dropped statement: g(); -> ;",
      "dropped statement: h(); -> ;",
      "inverted condition: b < c -> !(b < c)",
      "other operator: b < c -> b <= c",
      "swapped statements: e(); h(); -> h(); e();",
      "unconditional write: f ??= 1 -> f = 1",
    ]);
  });

  it("keeps the parentheses of what it changes", () => {
    assert.deepEqual(
      mutantsOf("(a && b) || (c());").map(({ put }) => put),
      [";", "(a && b) && (c())", "a || b"],
    );
  });

  it("is not drawn where it changes only words, or whether a bound in time includes its last instant", () => {
    const leftOut = (text: string) => mutantsOf(text).map(({ kind, leftOut: why }) => `${kind}: ${why ?? "drawn"}`);
    assert.deepEqual(leftOut('this.#log("a", b < c);'), ["dropped statement: words", "other operator: words"]);
    assert.deepEqual(leftOut('throw new HoldfastError("a", b ? "c" : "d");'), ["inverted condition: words"]);
    assert.deepEqual(leftOut("const a = passedMs < boundMs;"), ["other operator: instant"]);
    assert.deepEqual(leftOut("const a = bytes < most;"), ["other operator: drawn"]);
    assert.deepEqual(leftOut("const a = () => { log(() => { b(); }); };").slice(-1), ["dropped statement: drawn"]);
  });
});
