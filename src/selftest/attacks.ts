/** Trees that hide in every known way, each in its own container on one tier. */
import { accessSync, constants, mkdirSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { systemRandom } from "../random.ts";
import { abortAfter, systemClock } from "../clock.ts";
import { baseEnvironment } from "../platform/environment.ts";
import { platform } from "../platform/index.ts";
import type { Container, Epoch, Platform } from "../platform/types.ts";
import { killListed, readListed, settle } from "./listed.ts";
import type { Result, Stage, TierName } from "./types.ts";

interface Attack {
  /** Its name in attack.sh. */
  name: string;
  title: string;
  only?: TierName;
  /** Needs root. */
  isRoots?: boolean;
  /** Programs beyond a shell and the usual small ones. */
  programs?: string[];
}

export const attacks: readonly Attack[] = [
  { name: "group", title: "a process group of its own" },
  { name: "setsid", title: "a session of its own" },
  { name: "double-fork", title: "a double fork" },
  { name: "cleared", title: "an empty environment" },
  { name: "cleared-double-fork", title: "both of these" },
  { name: "disowned", title: "nohup and disown" },
  { name: "own-subreaper", title: "a subreaper of its own" },
  { name: "stopped", title: "a stopped process" },
  { name: "deaf", title: "ignored signals" },
  { name: "chain", title: "an endless chain of forks" },
  { name: "zombie-parent", title: "zombies without a waiting parent" },
  { name: "holds-stdout", title: "the main process leaving first" },
  { name: "pid-namespace", title: "a pid namespace", isRoots: true, programs: ["unshare"] },
  { name: "other-uid", title: "another user's rights", isRoots: true, programs: ["setpriv"] },
  { name: "frozen", title: "a frozen cgroup of its own", only: "cgroup", programs: ["awk"] },
];

const script = fileURLToPath(new URL("attack.sh", import.meta.url));
const endBoundMs = 5000;
const readyBoundMs = 10_000;
const settleBoundMs = 1000;
/** Lifetime of the programs, in case the self-test is killed. */
export const leftBehindSeconds = 120;

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

function whyNot({ only, isRoots, programs = [] }: Attack, tier: TierName): string | undefined {
  if (only !== undefined && only !== tier) return `only on the ${only} tier`;
  if (isRoots === true && process.getuid?.() !== 0) return "needs root";
  return missingOnPath(["bash", ...programs]);
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
  name: string,
  place: string,
): Promise<Omit<Result, "kind" | "name" | "tier">> {
  const file = join(place, `${name}.pids`);
  writeFileSync(file, "");
  const launcher = platform.witness.reaperProgram(place);
  try {
    const args = [script, name, file, launcher, String(leftBehindSeconds)];
    const { stdout } = await container.spawn({ command: "bash", args, env: baseEnvironment(), stderr: "ignore" });
    await isReady(stdout);
    const began = systemClock.monotonic();
    const unended = await container.end(endBoundMs);
    const survivors = await settle(file, settleBoundMs, []);
    const ms = Math.round(systemClock.monotonic() - began);
    const left = survivors.map(({ role }) => role);
    const isHeld = left.length === 0 && unended.length === 0;
    if (left.length === 0) left.push(...unended.map(({ pid }) => `pid ${pid}`));
    return { verdict: isHeld ? "held" : "left", processes: readListed(file).length, left, ms };
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
        stage.onResult({ ...says, ...(await playOne(container, attack.name, place)) });
      }
    }
  } finally {
    if (epoch !== undefined) {
      await platform.witness.endOwner(ownerId, endBoundMs);
      epoch.close();
    }
  }
}
