/** What does it cost to have Holdfast: time to listening, memory at rest, and what a container adds to a spawn. */
import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { platform } from "../src/platform/index.ts";
import type { Spawned } from "../src/platform/types.ts";
import { Gateway } from "../test/helpers/gateway.ts";
import { Home } from "../test/helpers/home.ts";
import { renderTable } from "../test/helpers/table.ts";
import { bestTier, tierProblem, type TierName } from "../test/helpers/tiers.ts";
import { median } from "./load.ts";
import { machineLine, megabytes, residentBytes } from "./machine.ts";

const starts = 9;
const spawns = 60;
/** Left out of the medians: the first ones compile the path. */
const warmUps = 10;
const endBoundMs = 2000;
const aims = { startMs: 500, residentMegabytes: 170 };
const command = { command: "/bin/echo", args: ["first byte"] };

interface Start {
  startMs: number;
  bytes: { keeper: number; front: number; guardian: number };
}

async function startOnce(tier: TierName): Promise<Start> {
  await using home = new Home(tier, {});
  await using gateway = await Gateway.start(home);
  const { keeper, front, guardian } = gateway.pids;
  const bytes = { keeper: residentBytes(keeper), front: residentBytes(front), guardian: residentBytes(guardian) };
  return { startMs: gateway.startMs, bytes };
}

async function benchStart(tier: TierName): Promise<void> {
  const found: Start[] = [];
  for (let index = 0; index < starts; index += 1) found.push(await startOnce(tier));
  const middle = (pick: (one: Start) => number) => median(found.map(pick));
  const sum = middle(({ bytes }) => bytes.keeper + bytes.front + bytes.guardian);
  const rows = [
    ["start to listening, ms", `${Math.round(middle(({ startMs }) => startMs))}`, `< ${aims.startMs}`],
    ["keeper RSS, MB", megabytes(middle(({ bytes }) => bytes.keeper)), ""],
    ["front RSS, MB", megabytes(middle(({ bytes }) => bytes.front)), ""],
    ["guardian RSS, MB", megabytes(middle(({ bytes }) => bytes.guardian)), ""],
    ["the three together, MB", megabytes(sum), `< ${aims.residentMegabytes}`],
  ];
  console.log(`\nstart: dist/, tier ${tier}, medians of ${starts} starts\n${machineLine()}\n`);
  console.log(renderTable(["", "median", "aim"], rows));
}

/** Milliseconds from the call to the first byte on stdout; afterwards the command is awaited. */
async function firstByteMs(start: () => Promise<Spawned> | ChildProcess): Promise<number> {
  const began = performance.now();
  const child = await start();
  await once(child.stdout!, "data");
  return performance.now() - began;
}

async function plainSpawn(): Promise<number> {
  let exited: Promise<unknown> = Promise.resolve();
  const ms = await firstByteMs(() => {
    const child = spawn(command.command, command.args, { stdio: ["pipe", "pipe", "pipe"] });
    exited = once(child, "close");
    return child;
  });
  await exited;
  return ms;
}

/** Spawns in containers of one tier; each is ended and proven empty before the next. */
async function containedSpawns(tier: TierName, directory: string): Promise<number[]> {
  const { epoch } = platform.open(randomBytes(8).toString("hex"), 1, { directory, only: tier });
  const env = { PATH: process.env["PATH"] ?? "" };
  const taken: number[] = [];
  try {
    for (let index = 0; index < spawns; index += 1) {
      const container = epoch.create(randomUUID());
      taken.push(await firstByteMs(() => container.spawn({ ...command, env })));
      const left = await container.end(endBoundMs);
      if (left.length > 0) throw new Error(`${left.length} processes are left in ${container.name}`);
    }
  } finally {
    epoch.close();
  }
  return taken;
}

async function benchSpawn(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-bench-"));
  try {
    const plain: number[] = [];
    for (let index = 0; index < spawns; index += 1) plain.push(await plainSpawn());
    const base = median(plain.slice(warmUps));
    const rows = [["child_process.spawn", base.toFixed(2), ""]];
    for (const tier of ["cgroup", "subreaper"] as const) {
      if (tier === "cgroup" && tierProblem(tier) !== undefined) continue;
      const middle = median((await containedSpawns(tier, directory)).slice(warmUps));
      rows.push([`container, ${tier}`, middle.toFixed(2), `+${(middle - base).toFixed(2)}`]);
    }
    console.log(`\nspawn to first byte, ms, medians of ${spawns - warmUps}\n${machineLine()}\n`);
    console.log(renderTable(["", "median", "more than plain"], rows));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

export async function run(): Promise<boolean> {
  await benchStart(bestTier());
  await benchSpawn();
  return true;
}
