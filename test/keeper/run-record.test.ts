import assert from "node:assert/strict";
import { it } from "node:test";
import type { RunState } from "../../src/protocol/run.ts";
import { transition } from "../../src/keeper/run-record.ts";

const states: RunState[] = ["starting", "running", "stopping", "exited", "lost"];
const legal = new Set([
  "starting>running",
  "starting>stopping",
  "running>stopping",
  "running>lost",
  "stopping>exited",
  "stopping>lost",
  "lost>running",
  "lost>stopping",
  "lost>exited",
]);

it("a run moves along its table and nowhere else", () => {
  for (const from of states) {
    for (const to of states) {
      if (legal.has(`${from}>${to}`)) assert.equal(transition(from, to), to);
      else assert.throws(() => transition(from, to), /cannot go from/, `${from} to ${to}`);
    }
  }
});
