/**
 * Sixty trees at a time, made from a seed, again and again: `doctor --reap` ends exactly those whose host was killed.
 * HOLDFAST_TEST_SEED plays one seed again.
 */
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { describe, it } from "node:test";
import type { Report } from "../../src/doctor/examine.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { readListed, type Listed } from "../helpers/pids.ts";
import { fixture } from "../helpers/servers.ts";
import { Random } from "../mcp/helpers/random.ts";
import { growingRunsAreNamed } from "./growing.ts";
import { Machine, machineProblem, type Planned } from "./helpers/machine.ts";
import { many } from "../helpers/long.ts";

const rounds = many(3, 20);
const perHost = 30;
/** The live host is replaced every so many rounds, by kill -9: what it held are orphans then. */
const liveRounds = many(2, 5);
const seed = Number(process.env["HOLDFAST_TEST_SEED"] ?? Math.floor(Math.random() * 2 ** 31));

const stub = fixture("doctor/mcp-stub.sh");
const kinds = ["node", "npx", "sh -c", "attached", "alone", "wrapper died", "real node"] as const;
type Kind = (typeof kinds)[number];
/** Of a server that is alone nobody can be left under a live host: it has ended itself. */
const liveKinds = kinds.filter((kind) => kind !== "alone");

/** How one server is started; it lists itself under the role, and its helper under `<role>-helper`. */
function wordsFor(machine: Machine, kind: Kind, role: string): string[] {
  const node = machine.bin("node");
  const direct = [node, stub, machine.list, role];
  const quoted = direct.join(" ");
  const words: Record<Kind, string[]> = {
    node: direct,
    npx: [machine.bin("npx"), "-c", `sh -c '${quoted}; :'; :`],
    "sh -c": ["sh", "-c", `${quoted}; :`],
    attached: [...direct, kind],
    alone: [...direct, kind],
    "wrapper died": ["sh", "-c", `exec 4<&0; (${quoted} <&4 4<&- &)`],
    "real node": [process.execPath, fixture("doctor/mcp-server.ts"), machine.list, role],
  };
  return words[kind];
}

interface World {
  machine: Machine;
  random: Random;
  /** Roles whose host lives. */
  live: Set<string>;
  next: number;
}

/** Starts a host with so many servers of kinds and stdio chosen at random. */
async function plantHost(world: World, some: readonly Kind[]): Promise<{ host: ChildProcess; roles: string[] }> {
  const { machine, random } = world;
  const roles: string[] = [];
  const plan: Planned[] = [];
  let listed = 0;
  // Each kind at least once; a real Node.js only once, for it costs fifty times what a shell does.
  const chosen = [...some, ...Array.from({ length: perHost - some.length }, () => random.pick(some.slice(0, -1)))];
  for (const kind of random.shuffle(chosen)) {
    const role = `r${(world.next += 1)}`;
    roles.push(role);
    listed += kind === "attached" ? 2 : 1;
    plan.push({
      how: random.pick(["socket", "socket", "socket", "one", "one", "pipe"] as const),
      words: wordsFor(machine, kind, role),
    });
  }
  const host = await machine.plant(plan, listed);
  for (const role of roles) world.live.add(role);
  return { host, roles };
}

const roleOf = ({ role }: Listed) => role.replace(/-helper$/, "");

/** What is wrong with a report, one line each. */
function mistakes({ live }: World, report: Report, planted: readonly Listed[]): string[] {
  return planted.flatMap((one) => {
    const tree = report.trees.find(({ processes }) => processes.some(({ pid }) => pid === one.pid));
    if (tree === undefined) return [`${one.role} (pid ${one.pid}) is in no tree`];
    const isLive = live.has(roleOf(one));
    const isRight = isLive ? tree.verdict === "in-use" || tree.verdict === "idle" : tree.verdict === "owner-dead";
    if (isRight) return [];
    const kin = planted.filter((other) => roleOf(other) === roleOf(one)).map(({ role, pid }) => `${role} ${pid}`);
    const shown = [...tree.evidence, ...tree.doubts, `root ${tree.root.pid}`, `of its kin live ${kin.join(", ")}`];
    return [
      `${one.role} (pid ${one.pid}, host ${isLive ? "lives" : "dead"}) is "${tree.verdict}": ${shown.join("; ")}`,
    ];
  });
}

// The second only waits, so it takes no time beside the first.
describe("the doctor over a while", { concurrency: 2 }, () => {
  leavesNothing();
  describe("doctor --reap", () => {
    const problem = machineProblem();
    it(
      `ends exactly the orphans of sixty trees, ${rounds} times in a row (seed ${seed})`,
      { skip: problem },
      async () => {
        await using machine = await Machine.start();
        const world: World = { machine, random: new Random(seed), live: new Set(), next: 0 };
        let live: Awaited<ReturnType<typeof plantHost>> | undefined;
        let ended = 0;
        for (let round = 0; round < rounds; round += 1) {
          const doomed = [await plantHost(world, kinds)];
          if (round % liveRounds === 0) {
            if (live !== undefined) doomed.push(live);
            live = await plantHost(world, liveKinds);
          }
          for (const { host, roles } of doomed) {
            await machine.kill(host);
            for (const role of roles) world.live.delete(role);
          }
          const planted = readListed(machine.list).filter((one) => machine.isLive(one));
          const orphans = planted.filter((one) => !world.live.has(roleOf(one)));
          assert.ok(
            orphans.length >= perHost && planted.length - orphans.length >= perHost,
            `round ${round}: too few planted`,
          );
          const report = await machine.examine("--reap", "--yes");
          assert.deepEqual(mistakes(world, report, planted), [], `round ${round} of seed ${seed}`);
          const left = orphans.filter((one) => machine.isLive(one));
          assert.deepEqual(left, [], `round ${round} of seed ${seed}: orphans that still live`);
          const lost = planted.filter((one) => world.live.has(roleOf(one)) && !machine.isLive(one));
          assert.deepEqual(lost, [], `round ${round} of seed ${seed}: ended although their host lives`);
          assert.equal(report.reaped.survivors.length, 0);
          ended += report.reaped.ended.length;
        }
        assert.ok(ended >= rounds * perHost, `${ended} trees ended`);
      },
    );
  });

  growingRunsAreNamed();
});
