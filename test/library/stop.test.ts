/** `stop()` of the library: asked more than once, and after something was left. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Container, ProcessInfo, Spawned } from "../../src/platform/types.ts";
import { contain, Contained, containedTrees } from "../../src/library/contain.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { readUntil } from "../helpers/read-until.ts";
import { patiently } from "../helpers/until.ts";

/** Ends half a second after SIGTERM, in order. */
const orderly = ["-c", 'trap "sleep 0.5; echo saved; exit 3" TERM; echo up; while :; do sleep 0.05; done'];

describe("stop()", { timeout: patiently(30_000) }, () => {
  leavesNothing();

  const again: Record<string, (contained: Contained) => Promise<unknown>> = {
    "a second stop()": (contained) => contained.stop(),
    "many of them": (contained) => Promise.all(Array.from({ length: 20 }, () => contained.stop())),
    "its disposal": (contained) => contained[Symbol.asyncDispose](),
  };
  for (const [name, ask] of Object.entries(again)) {
    it(`leaves a command its grace whatever is asked besides: ${name}`, async () => {
      const contained = await contain("sh", orderly, { stdinGraceMs: 0, termGraceMs: 10_000 });
      await readUntil(contained.stdout, "up");
      const printed = readUntil(contained.stdout, "saved");
      const first = contained.stop();
      await Promise.all([first, ask(contained)]);
      await printed;
      assert.deepEqual(await contained.exited, { code: 3, signal: null });
    });
  }

  it("is hurried by kill() only", async () => {
    const contained = await contain("sh", orderly, { stdinGraceMs: 60_000, termGraceMs: 60_000 });
    const stopping = contained.stop();
    await contained.kill();
    await stopping;
    assert.deepEqual(contained.members(), []);
  });

  it("looks again after something was left, and forgets the tree once it is gone", async () => {
    const left = { pid: 4711, state: "uninterruptible" } as ProcessInfo;
    const looks = [[left], [left], []];
    const container = { looksEmpty: () => true, end: async () => looks.shift() ?? [] } as unknown as Container;
    const exit = Promise.resolve({ code: 0, signal: null });
    const process = { stdin: null, stdout: null, stderr: null, exit, mainPid: () => 1 } as unknown as Spawned;
    const contained = new Contained(container, process, {});
    await assert.rejects(contained.empty, /4711 \(state D\)/);
    await assert.rejects(contained.stop(), /4711 \(state D\)/);
    assert.ok(containedTrees().includes(contained));
    await contained.stop();
    assert.ok(!containedTrees().includes(contained));
    await contained.stop();
    assert.equal(looks.length, 0);
  });
});
