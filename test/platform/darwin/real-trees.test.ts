/** The chain tier of macOS ends real forking trees, over a kernel that plays XNU on /proc. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { systemClock } from "../../../src/clock.ts";
import { ChainContainer } from "../../../src/platform/darwin/container.ts";
import { Darwin, type DarwinSystem } from "../../../src/platform/darwin/darwin.ts";
import { spawnCommand } from "../../../src/platform/darwin/spawning.ts";
import { installProgram } from "../../../src/platform/linux/programs.ts";
import { systemRandom } from "../../../src/random.ts";
import { needs, needsNamespace, needsRoot } from "../../helpers/needs.ts";
import { leavesNothing } from "../../helpers/no-leaks.ts";
import { readListed, survivorsOf } from "../../helpers/pids.ts";
import { ProcXnu } from "../../helpers/proc-xnu.ts";
import { readUntil } from "../../helpers/read-until.ts";
import { attackScript } from "../../helpers/servers.ts";

leavesNothing();

/** Programs of macOS itself: their environment is withheld, and with it the marker. */
const systemPrograms = ["bash", "dash", "sh", "sleep", "setsid", "env", "unshare", "setpriv"];

/** Ways of hiding, each a case of attack.sh, with the processes at least. */
const held: [name: string, processes: number, skip?: string | false][] = [
  ["group", 2],
  ["setsid", 2],
  ["cleared", 2],
  ["disowned", 2],
  ["stopped", 2],
  ["deaf", 2],
  ["pid-namespace", 2, needsNamespace("pid")],
  ["holds-stdout", 2],
  ["zombie-parent", 2],
  ["deep", 201],
  ["other-uid", 2, needsRoot("another user's process") || needs("setpriv")],
];
/** Large: played once. */
const wide = { name: "wide", processes: 1001 };
/** Held by the marker alone: what forked it came and went between two looks. */
const heldByMarker: [name: string, processes: number][] = [["double-fork", 2]];
/** Neither parent, session nor marker may be seen: best effort, as in the contract over the simulated XNU. */
const tried: [name: string, processes: number][] = [
  ["cleared-double-fork", 2],
  ["own-subreaper", 3],
  ["chain", 20],
  ["chains", 40],
];

const boundMs = 20_000;

/** Looks without anything new after which a list is quiet, and the time between two. */
const quietLooks = 6;
const lookMs = 50;

/** A chain that got away is between two listed processes at any time, so quiet must last; its length is bounded. */
async function endAllListed(file: string): Promise<void> {
  for (let quiet = 0, listed = -1; quiet < quietLooks;) {
    const living = survivorsOf(file);
    for (const { pid } of living) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It has ended.
      }
    }
    const now = readListed(file).length;
    quiet = living.length === 0 && now === listed ? quiet + 1 : 0;
    listed = now;
    await delay(lookMs);
  }
}

/** Starts a tree, ends it, and returns how many were counted and which of them live. */
async function play(attack: string, restricted: readonly string[]) {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-chain-"));
  const file = join(directory, "pids");
  writeFileSync(file, "");
  const xnu = new ProcXnu({ restricted });
  const system: DarwinSystem = {
    xnu: () => xnu,
    clock: systemClock,
    random: systemRandom,
    pidMax: Number(readFileSync("/proc/sys/kernel/pid_max", "utf8")),
    spawn: spawnCommand,
    startGuardian: () => assert.fail("no run here has a guardian of its own"),
  };
  const ownerId = randomBytes(8).toString("hex");
  const container = new ChainContainer({ darwin: new Darwin(system), ownerId, runId: "r1-00000001" });
  try {
    const args = [attackScript, attack, file, installProgram(directory, "launcher")];
    const env = { PATH: process.env["PATH"] ?? "" };
    const spawned = await container.spawn({ command: "bash", args, env, stdin: "ignore", stderr: "inherit" });
    await readUntil(spawned.stdout, "ready");
    const isSeen = !container.looksEmpty();
    const left = await container.end(boundMs);
    await spawned.exit;
    const [survivors, count] = [survivorsOf(file), readListed(file).length];
    await delay(lookMs);
    // A chain in motion shows itself by its next process only.
    return { isSeen, left, survivors, count, later: readListed(file).length - count };
  } finally {
    await endAllListed(file);
    await container.end(boundMs);
    rmSync(directory, { recursive: true });
  }
}

async function endsAll(attack: string, processes: number, restricted: readonly string[]): Promise<void> {
  const { isSeen, left, survivors, count, later } = await play(attack, restricted);
  assert.ok(count >= processes, `${count} processes, at least ${processes}`);
  assert.equal(isSeen, true, "it is alive before it is ended");
  assert.deepEqual(survivors, [], "survivors");
  assert.equal(later, 0, "processes that came after the end");
  assert.deepEqual(left, []);
}

/** What is seen is ended; what was not seen is told, and ended by this test. */
async function tries(context: TestContext, attack: string, processes: number): Promise<void> {
  const { left, survivors, count, later } = await play(attack, []);
  assert.ok(count >= processes, `${count} processes, at least ${processes}`);
  assert.deepEqual(left, [], "nothing is left in sight");
  context.diagnostic(`${attack}: ${survivors.length} of ${count} processes were not seen, ${later} came later`);
}

const skip = process.platform !== "linux" ? "there is no /proc" : needs("bash");

describe("the chain tier, over /proc", { skip }, () => {
  for (const [name, processes, why = false] of held) {
    it(`ends a tree that hides by: ${name}`, { skip: why }, () => endsAll(name, processes, []));
    it(`ends it by who forked whom and by session, without any marker: ${name}`, { skip: why }, () =>
      endsAll(name, processes, systemPrograms),
    );
  }
  it(`ends it by who forked whom and by session, without any marker: ${wide.name}`, () =>
    endsAll(wide.name, wide.processes, systemPrograms));
  for (const [name, processes] of heldByMarker)
    it(`ends a tree that hides by: ${name}`, () => endsAll(name, processes, []));
  for (const [name, processes] of tried)
    it(`ends what it sees of: ${name}`, (context) => tries(context, name, processes));
});
