/** One `holdfast run` from the outside: a wrapped command in a directory of its own. Whatever goes wrong, nothing is left. */
import assert from "node:assert/strict";
import { spawn, type ChildProcess, type StdioOptions } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readUntil } from "./read-until.ts";
import { killWhatIsLeft, statOf } from "./pids.ts";
import { mainFile } from "./program.ts";
import { attackScript } from "./servers.ts";
import { bestTier, cgroupMount, type TierName } from "./tiers.ts";
import { until } from "./until.ts";

export { mainFile as main };
export const wrapper = [process.execPath, mainFile, "run"];

/** One wrapped command in a directory of its own; whatever goes wrong, nothing is left. */
export class Wrapped implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), "holdfast-run-"));
  readonly pidFile = join(this.directory, "pids");
  readonly children: ChildProcess[] = [];

  readonly tier: TierName;

  /** `tier`: the one that it must take; the best of this machine by default. */
  constructor(tier: TierName = bestTier()) {
    this.tier = tier;
    writeFileSync(this.pidFile, "");
  }

  start(command: string, args: string[], env: Record<string, string> = {}, stdio: StdioOptions = "pipe"): ChildProcess {
    const own = { XDG_CACHE_HOME: this.directory, HOLDFAST_TIER: this.tier };
    const child = spawn(command, args, { env: { ...process.env, ...own, ...env }, stdio });
    this.children.push(child);
    return child;
  }

  /** holdfast run [options] -- command */
  run(words: string[], options: string[] = []): ChildProcess {
    const [command = "", ...rest] = wrapper;
    return this.start(command, [...rest, ...options, "--", ...words]);
  }

  /** A tree that hides in the named way, wrapped; resolves when it is there. */
  async attack(name: string, options: string[] = []): Promise<ChildProcess> {
    const child = this.run(
      ["bash", attackScript, name, this.pidFile, join(this.directory, "holdfast/bin/launcher")],
      options,
    );
    await readUntil(child.stdout, "ready");
    return child;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.children) {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGKILL");
        await once(child, "exit");
      }
    }
    const left = await killWhatIsLeft(this.pidFile);
    // Who was killed leaves the last of it to the monitor.
    for (const { pid } of this.children)
      await until(`no cgroup of ${pid}`, () => groupsOf(pid ?? 0).length === 0, { boundMs: 5000 });
    rmSync(this.directory, { recursive: true, force: true });
    assert.equal(left, 0, "processes were left");
  }
}

export async function exitOf(child: ChildProcess): Promise<number | string | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  return child.signalCode ?? child.exitCode;
}

/** The guard below the pid that the caller knows. */
export function guardOf(pid: number): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").trim().split(" ").map(Number);
  const guard = children.find((each) => readFileSync(`/proc/${each}/cmdline`, "latin1").includes("run-guard.sh"));
  assert.ok(guard !== undefined, "there is a guard");
  return guard;
}

/** Cgroups of the wrapper with this pid. */
export function groupsOf(pid: number): string[] {
  const own = cgroupMount()?.own;
  if (own === undefined || !existsSync(own)) return [];
  return readdirSync(own)
    .filter((name) => name.startsWith(`holdfast-run-${pid}.`))
    .map((name) => join(own, name));
}

/** The processes between the pid that the caller knows and the command: all of Holdfast's own below it. */
export function ownBelow(pid: number): { pid: number; command: string }[] {
  const found: { pid: number; command: string }[] = [];
  for (const name of readdirSync("/proc")) {
    if (!/^[1-9]/.test(name)) continue;
    let parent = statOf(Number(name))?.ppid;
    while (parent !== undefined && parent > 1 && parent !== pid) parent = statOf(parent)?.ppid;
    if (parent !== pid) continue;
    const command = readFileSync(`/proc/${name}/cmdline`, "latin1").replaceAll("\0", " ");
    if (/run-guard\.sh|\/pidfd-waiter |\/cgroup-launcher /.test(command)) found.push({ pid: Number(name), command });
  }
  return found;
}
