/**
 * The two containment tiers of Linux, and how a test gets each of them on one machine: `cgroup` is what root has where
 * cgroup v2 is writable, `subreaper` is what an unprivileged user has. What a tier holds is skipped, with the reason, where
 * the machine does not give it, or where HOLDFAST_TEST_TIERS names the other one.
 */
import { spawnSync } from "node:child_process";
import { accessSync, chownSync, constants, readFileSync } from "node:fs";
import { it } from "node:test";
import { fileURLToPath } from "node:url";
import { isRoot } from "./needs.ts";

export type TierName = "cgroup" | "subreaper";
const allTiers: TierName[] = ["cgroup", "subreaper"];

export const root = fileURLToPath(new URL("../..", import.meta.url));

/** The user that owns nothing on any system. */
const nobody = 65534;

/** The tiers that HOLDFAST_TEST_TIERS names; all of them without it. */
function namedTiers(): TierName[] {
  const named = process.env["HOLDFAST_TEST_TIERS"];
  if (named === undefined || named === "") return allTiers;
  const names = named.split(",").map((name) => name.trim());
  const unknown = names.filter((name) => !allTiers.some((tier) => tier === name));
  if (unknown.length > 0) throw new Error(`HOLDFAST_TEST_TIERS: no such tier: ${unknown.join(", ")}`);
  return allTiers.filter((tier) => names.includes(tier));
}

/** Why tests of this tier are skipped here; false when they are not. */
export function tierSkip(tier: TierName): string | false {
  if (!namedTiers().includes(tier)) return "HOLDFAST_TEST_TIERS names another tier";
  return tierProblem(tier) ?? false;
}

const toldTiers = new Set<TierName>();

/** The tiers to test here. Each other one becomes a skipped test of the file, once, so that it is not passed over in silence. */
export function tiersToTest(): TierName[] {
  for (const tier of allTiers) {
    const skip = tierSkip(tier);
    if (skip === false || toldTiers.has(tier)) continue;
    toldTiers.add(tier);
    it(`on the ${tier} tier`, { skip });
  }
  return allTiers.filter((tier) => tierSkip(tier) === false);
}

/** Where cgroup v2 is mounted, and this process's own group there; undefined without cgroup v2. */
export function cgroupMount(): { mount: string; own: string } | undefined {
  if (process.platform !== "linux") return undefined;
  const line = readFileSync("/proc/self/mountinfo", "latin1")
    .split("\n")
    .find((entry) => entry.includes(" - cgroup2 "));
  const mount = line?.split(" ")[4];
  const path = /^0::(.*)$/m.exec(readFileSync("/proc/self/cgroup", "latin1"))?.[1];
  return mount === undefined || path === undefined ? undefined : { mount, own: mount + path };
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Why this machine cannot give the tier; undefined when it can. */
export function tierProblem(tier: TierName): string | undefined {
  const group = cgroupMount();
  const hasCgroup = group !== undefined && isWritable(group.own);
  if (tier === "cgroup" && !hasCgroup)
    return "the cgroup tier needs a writable cgroup v2: run as root, or in a delegated unit";
  return undefined;
}

/** How to start a program on a tier: the words to put before it, the user to become, and what to add to its environment. */
export interface TierLaunch {
  prefix: string[];
  identity: { uid?: number; gid?: number };
  env: Record<string, string>;
}

let unprivileged: TierLaunch | undefined;

function unprivilegedLaunch(): TierLaunch {
  const identity = { uid: nobody, gid: nobody };
  const isReadable = [process.execPath, `${root}package.json`].every(
    (path) => spawnSync("test", ["-r", path], { ...identity, cwd: "/" }).status === 0,
  );
  if (isReadable) return { prefix: [], identity, env: {} };
  // A checkout in a private directory: the right to read it, and no other, goes along.
  const rights = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"];
  return {
    prefix: ["setpriv", `--reuid=${nobody}`, `--regid=${nobody}`, "--clear-groups", ...rights],
    identity: {},
    env: {},
  };
}

export function launchOn(tier: TierName): TierLaunch {
  if (tier === "cgroup") return { prefix: [], identity: {}, env: {} };
  // A user in a delegated unit cannot become one who has no cgroups, so the gateway is told not to take them.
  if (!isRoot) return { prefix: [], identity: {}, env: { HOLDFAST_TIER: tier } };
  unprivileged ??= unprivilegedLaunch();
  return unprivileged;
}

/** Gives a path to the user that the tier runs as. */
export function giveTo(tier: TierName, path: string): void {
  if (tier === "subreaper" && isRoot) chownSync(path, nobody, nobody);
}

/** The first of the tiers to test, for a test that needs no more than one. */
export function anyTier(): TierName {
  return tierSkip("cgroup") === false ? "cgroup" : "subreaper";
}

/** The tier that a gateway started here by hand would choose. */
export function bestTier(): TierName {
  return tierProblem("cgroup") === undefined ? "cgroup" : "subreaper";
}
