/** `holdfast selftest` on Windows, under wine: nothing is left in any row, and it finds out a containment that ends nothing. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { Result } from "../../src/selftest/types.ts";
import { shellAttacks } from "../../src/selftest/ways-to-hide.ts";
import { patiently } from "../helpers/until.ts";
import { needsWine } from "./cache.ts";
import { main } from "./gateway.ts";
import { WindowsMachine } from "./machine.ts";

interface Report {
  readonly under: string;
  readonly isHeld: boolean;
  readonly results: Result[];
}

/** Rows that Windows has no way for. */
const lacking = [
  "a session of its own",
  "nohup and disown",
  "a subreaper of its own",
  "zombies without a waiting parent",
  "a pid namespace",
  "another user's rights",
  "a frozen cgroup of its own",
  "SIGTERM to the gateway",
];
const ends = [
  "its idle lease",
  "the client's DELETE",
  "an operator's command",
  "kill -9 of the front, then stop",
  "restart --all",
  "kill -9 of the keeper",
  "kill -9 of keeper and front",
  "kill -9 of all at once, then a start",
  "the end of its terminal",
  "kill -9 of the caller of holdfast run",
  "kill -9 of holdfast run",
  "holdfast stop",
];
const attacksMin = 10;
const boundMs = 240_000;

describe("holdfast selftest on Windows, under wine", { skip: needsWine(), timeout: patiently(300_000) }, () => {
  let machine: WindowsMachine;
  before(async () => {
    machine = await WindowsMachine.start();
  });
  after(() => machine[Symbol.asyncDispose]());

  const temporary = () => readdirSync(join(machine.drive, "selftest"));
  const env = { TEMP: String.raw`C:\selftest`, TMP: String.raw`C:\selftest` };
  const make = "require('node:fs').mkdirSync('C:/selftest', { recursive: true })";

  it("leaves nothing in any row that this system has, and names the others with the reason", async () => {
    assert.equal((await machine.node(["-e", make]).ended(20_000)).code, 0);
    const words = [main, "selftest", "--json", "--time-limit", String(patiently(200))];
    const { code, output } = await machine.node(words, { env }).ended(patiently(boundMs));
    const { under, isHeld, results } = JSON.parse(output.slice(output.indexOf("\n{") + 1)) as Report;
    const named = (verdict: string) => results.filter((result) => result.verdict === verdict).map(({ name }) => name);
    assert.match(under, /^wine \d/, "a report from here does not pass for one from Windows");
    assert.deepEqual(named("not available").toSorted(), lacking.toSorted());
    assert.ok(
      results.every(({ verdict, reason }) => verdict === "held" || reason !== undefined),
      output,
    );
    assert.deepEqual(named("left"), [], output);
    assert.deepEqual(named("failed"), [], output);
    assert.deepEqual([code, isHeld], [0, true], output);
    const held = results.filter(({ verdict }) => verdict === "held");
    const heldEnds = held.filter(({ kind }) => kind === "end").map(({ name }) => name);
    assert.deepEqual(heldEnds.toSorted(), ends.toSorted());
    assert.ok(held.length - ends.length >= attacksMin);
    for (const { name, processes } of held) assert.ok(processes >= 2, `${name}: ${processes}`);
    for (const { title } of shellAttacks)
      assert.ok(
        results.some(({ name }) => name === title),
        title,
      );
    assert.deepEqual(machine.live(), []);
    assert.deepEqual(temporary(), []);
  });

  it("exits with 1 and names the rows when a container says empty and is not", async () => {
    // A containment that starts what it is told to, and takes it for ended without ending it.
    const rigged = `
      import { platform } from "file:///C:/holdfast/src/platform/index.ts";
      import { selftest } from "file:///C:/holdfast/src/cli/selftest.ts";
      const open = (owner, epoch, options) => {
        const opened = platform.open(owner, epoch, options);
        const create = opened.epoch.create.bind(opened.epoch);
        opened.epoch.create = (id) => Object.assign(create(id), { end: async () => [] });
        return opened;
      };
      process.exit(await selftest({ json: false, timeLimitSeconds: 8 }, open));`;
    const words = ["--input-type=module", "-e", rigged];
    const { code, output } = await machine.node(words, { env }).ended(patiently(boundMs));
    assert.equal(code, 1, output);
    assert.match(output, /^\| a process group of its own +\| LEFT 2 of 2 +\|/m);
    assert.match(output, /^NOT HELD: /m);
    assert.deepEqual(machine.live(), []);
    assert.deepEqual(temporary(), []);
  });
});
