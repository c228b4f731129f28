/**
 * The two containment tiers of Linux, and how a test gets each of them on one machine: `cgroup` is what root has where
 * cgroup v2 is writable, `subreaper` is what an unprivileged user has. A tier that cannot be had fails the test: a skipped
 * tier would look like a held promise. HOLDFAST_TEST_TIERS names the only tiers to test where a machine has no more.
 */
import { spawnSync } from "node:child_process";
import { accessSync, chownSync, constants, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export type TierName = "cgroup" | "subreaper";
const allTiers: TierName[] = ["cgroup", "subreaper"];

export const root = fileURLToPath(new URL("../..", import.meta.url));

/** The user that owns nothing on any system. */
const nobody = 65534;
const isRoot = process.getuid?.() === 0;

/** The tiers that this run is to test. */
export function tiersToTest(): TierName[] {
  const named = process.env["HOLDFAST_TEST_TIERS"];
  if (named === undefined || named === "") return allTiers;
  const names = named.split(",").map((name) => name.trim());
  const unknown = names.filter((name) => !allTiers.some((tier) => tier === name));
  if (unknown.length > 0) throw new Error(`HOLDFAST_TEST_TIERS: no such tier: ${unknown.join(", ")}`);
  return allTiers.filter((tier) => names.includes(tier));
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

/** Why this machine cannot give the tier, in words for whoever reads the failed test; undefined when it can. */
export function tierProblem(tier: TierName): string | undefined {
  const group = cgroupMount();
  const hasCgroup = group !== undefined && isWritable(group.own);
  if (tier === "cgroup" && !hasCgroup)
    return "the cgroup tier needs a writable cgroup v2 (run as root, or in a delegated unit); to test without it set HOLDFAST_TEST_TIERS=subreaper";
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

/** The tier that a gateway started here by hand would choose. */
export function bestTier(): TierName {
  return tierProblem("cgroup") === undefined ? "cgroup" : "subreaper";
}
