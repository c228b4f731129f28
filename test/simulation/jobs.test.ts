/** Storms and points spread over processes show what they show in one. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { after, describe, it } from "node:test";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { spread } from "./jobs.ts";
import { playStorms } from "./play.ts";

leavesNothing();

interface Bounds {
  readonly giveUp?: AbortController;
  readonly patienceMs?: number | undefined;
}

describe("work spread over processes", () => {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-spread-"));
  after(() => rmSync(directory, { recursive: true }));
  /** Answers a piece with itself, ends for 3, and never answers 0. */
  const module = pathToFileURL(join(directory, "child.mjs"));
  writeFileSync(
    module,
    `process.on("message", ({ number }) => {
      if (number === 3) process.exit(9);
      if (number !== 0) process.send(number);
    });`,
  );
  const play = async (numbers: readonly number[], { giveUp, patienceMs }: Bounds = {}) => {
    const told: string[] = [];
    const pieces = numbers.map((number) => ({ number }));
    const take = (result: number | string) => {
      told.push(String(result));
      giveUp?.abort();
    };
    const failed = (piece: { number: number }, how: string) => `${piece.number} ${how}`;
    await spread({ module, pieces, jobs: 2, take, failed, patienceMs, signal: giveUp?.signal });
    return told.toSorted((one, other) => one.localeCompare(other));
  };

  it("is done whole although a process ends, and says at which piece", async () => {
    assert.deepEqual(await play([1, 2, 3, 4, 5]), ["1", "2", "3 ended with 9", "4", "5"]);
  });

  it("is done whole although a process never answers, and says at which piece", async () => {
    assert.deepEqual(await play([1, 0, 2, 0, 4], { patienceMs: 1000 }), [
      "0 gave no answer for 1000 ms",
      "0 gave no answer for 1000 ms",
      "1",
      "2",
      "4",
    ]);
  });

  it("is given up at once, with what is done by then", async () => {
    assert.deepEqual(await play([1, 0, 0], { giveUp: new AbortController() }), ["1"]);
  });

  it("shows the same as in one process", async () => {
    const storms = async (jobs: number) => {
      const tell = () => {};
      const { seconds, ...rest } = await playStorms({ firstSeed: 21, count: 3, minutes: 1, seconds: 60, jobs, tell });
      assert.ok(seconds > 0);
      return rest;
    };
    assert.deepEqual(await storms(2), await storms(1));
  });
});
