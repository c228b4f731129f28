/** Trees that hide in every known way, each in its own container on one tier. */
import { accessSync, constants, mkdirSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import type { Readable } from "node:stream";
import { systemRandom } from "../random.ts";
import { abortAfter, systemClock } from "../clock.ts";
import { baseEnvironment } from "../platform/environment.ts";
import { platform } from "../platform/index.ts";
import type { Container, Epoch, Platform } from "../platform/types.ts";
import { killListed, readListed, settle } from "./listed.ts";
import { ownTrees } from "./trees.ts";
import type { Result, Stage, TierName } from "./types.ts";
import type { Attack } from "./ways-to-hide.ts";

export const { attacks } = ownTrees;

const endBoundMs = 5000;
const readyBoundMs = 20_000;
const settleBoundMs = 1000;

export const lateReason = "not played within the time limit (--time-limit)";

/** Replaced by tests, to see that a container that ends nothing is found out. */
export type Open = Platform["open"];

function isOnPath(program: string): boolean {
  return (process.env["PATH"] ?? "").split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK);
      return true;
    } catch {
      return false; // not here
    }
  });
}

function whyNot({ only, isRoots, programs = [], lacking }: Attack, tier: TierName): string | undefined {
  if (lacking !== undefined) return lacking;
  if (only !== undefined && only !== tier) return `only on the ${only} tier`;
  if (isRoots === true && process.getuid?.() !== 0) return "needs root";
  return missingOnPath([...ownTrees.attackPrograms, ...programs]);
}

/** Names the missing programs; undefined when all are on PATH. */
export function missingOnPath(programs: readonly string[]): string | undefined {
  const missing = programs.filter((program) => !isOnPath(program));
  return missing.length === 0 ? undefined : `no ${missing.join(", ")} on PATH`;
}

/** Resolves when the tree reports that it is complete. */
async function isReady(stdout: Readable | null): Promise<void> {
  let text = "";
  const late = abortAfter(systemClock, readyBoundMs).signal;
  const stop = () => stdout?.destroy(new Error(`the tree was not complete within ${readyBoundMs / 1000} s`));
  late.addEventListener("abort", stop, { once: true });
  try {
    for await (const chunk of stdout?.iterator({ destroyOnReturn: false }) ?? []) {
      text += String(chunk);
      if (text.includes("ready")) return;
    }
    throw new Error("the tree ended before it was complete");
  } finally {
    late.removeEventListener("abort", stop);
  }
}

async function playOne(
  container: Container,
  { name, bestEffort }: Attack,
  place: string,
  tier: TierName,
): Promise<Omit<Result, "kind" | "name" | "tier">> {
  const file = join(place, `${name}.pids`);
  writeFileSync(file, "");
  const [command = "", ...args] = ownTrees.attack(name, file, place);
  try {
    const asked = systemClock.monotonic();
    const { stdout } = await container.spawn({ command, args, env: baseEnvironment(), stderr: "ignore" });
    const startMs = Math.round(systemClock.monotonic() - asked);
    await isReady(stdout);
    const began = systemClock.monotonic();
    const unended = await container.end(endBoundMs);
    const survivors = await settle(file, settleBoundMs, []);
    const ms = Math.round(systemClock.monotonic() - began);
    const left = survivors.map(({ role }) => role);
    const isHeld = left.length === 0 && unended.length === 0;
    if (left.length === 0) left.push(...unended.map(({ pid }) => `pid ${pid}`));
    const lost = bestEffort === tier ? "best effort" : "left";
    return { verdict: isHeld ? "held" : lost, processes: readListed(file).length, left, ms, startMs };
  } catch (cause) {
    await container.end(endBoundMs);
    return { verdict: "failed", processes: 0, left: [], ms: 0, reason: (cause as Error).message };
  } finally {
    await killListed(file);
  }
}

/**
 * Plays every attack on one tier, one at a time, since each is a race. `problem`: why the machine lacks the tier; then
 * nothing is played.
 */
export async function playAttacks(
  tier: TierName,
  stage: Stage,
  open: Open = platform.open,
  problem?: string,
): Promise<void> {
  const place = join(stage.directory, `attacks-${tier}`);
  mkdirSync(place);
  const ownerId = systemRandom.bytes(8).toString("hex");
  let epoch: Epoch | undefined;
  let reason = problem;
  try {
    if (problem === undefined) epoch = open(ownerId, 1, { directory: place, only: tier }).epoch;
  } catch (cause) {
    reason = (cause as Error).message;
  }
  let count = 0;
  try {
    for (const attack of attacks) {
      stage.signal.throwIfAborted();
      const says = { kind: "attack" as const, name: attack.title, tier };
      const why = whyNot(attack, tier) ?? reason;
      const nothing = { processes: 0, left: [], ms: 0 };
      if (epoch === undefined || why !== undefined) {
        stage.onResult({ ...says, ...nothing, verdict: "not available", reason: why ?? "no containment" });
      } else if (systemClock.monotonic() > stage.deadline) {
        stage.onResult({ ...says, ...nothing, verdict: "failed", reason: lateReason });
      } else {
        count += 1;
        const container = epoch.create(`r1-${count.toString(16).padStart(8, "0")}`);
        stage.onResult({ ...says, ...(await playOne(container, attack, place, tier)) });
      }
    }
  } finally {
    if (epoch !== undefined) {
      await platform.witness.endOwner(ownerId, endBoundMs);
      epoch.close();
    }
  }
}
