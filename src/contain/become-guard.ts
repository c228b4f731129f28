/**
 * `holdfast run`: this process becomes the fence of one command by execve, and no Node stays behind. It works without a
 * gateway and without rights: two small shells, each a subreaper, each ending the tree when the other dies; and a cgroup
 * where one may be made.
 */
import { randomBytes } from "node:crypto";
import { isatty } from "node:tty";
import { HoldfastError } from "../errors.ts";
import { closeDescriptor, hasHungUp, inheritablePipe, openPidfd, renumber } from "./ffi.ts";
import type { TreeLimits } from "./limit-watch.ts";
import { markerOf } from "./marker.ts";
import { pageBytes, readProcess } from "./processes.ts";
import { installProgram, programImage } from "./programs.ts";
import { makeRunGroup } from "./run-group.ts";
import { scriptPath, shellFor } from "./shell.ts";

/** As run.sh names them; dash knows single-digit descriptors only. */
const descriptors = { self: 5, killWith: 6, lifeRead: 7, lifeWrite: 8, caller: 9 };

export interface GuardRequest {
  /** The program as the caller named it; the shell finds it along PATH again. */
  command: string;
  args: readonly string[];
  /** From SIGTERM to the kill. */
  termGraceMs: number;
  /** Another process whose end ends the tree too. */
  killWith?: number | undefined;
  limits: TreeLimits;
  /** Where the two little programs may be kept. */
  programDirectory: string;
}

/** The caller's pidfd. Throws when the caller is gone already, and on kernels that have none. */
function watchCaller(): number {
  const caller = process.ppid;
  const pidfd = openPidfd(caller);
  // Handed to another parent meanwhile, or both pipes without a peer: whoever called is not there any more.
  const orphaned = process.ppid !== caller || (hasHungUp(0) && hasHungUp(1));
  if (orphaned) throw new HoldfastError("gateway_lost", "the process that called is gone; nothing was started");
  if (pidfd < 0)
    throw new HoldfastError("unsupported_platform", "holdfast run needs pidfds, which Linux has since 5.3");
  return pidfd;
}

/** Never returns. Throws when something is missing; then nothing was started. */
export function becomeGuard(request: GuardRequest): never {
  if (process.platform !== "linux" || process.execve === undefined) {
    throw new HoldfastError(
      "unsupported_platform",
      `holdfast run works on Linux; there is no fence for ${process.platform} yet`,
    );
  }
  const environment = Object.fromEntries(Object.entries(process.env).map(([name, value]) => [name, value ?? ""]));
  const shell = shellFor(environment);
  const launcher = installProgram(request.programDirectory, "launcher");
  const sentinel = installProgram(request.programDirectory, "sentinel");
  const marker = markerOf("run", `${process.pid.toString(36)}${randomBytes(6).toString("hex")}`);
  const caller = watchCaller();
  const self = openPidfd(process.pid);
  const group = runGroup(request);
  const killWith = request.killWith === undefined ? undefined : pidfdOf(request.killWith);
  // From here on nothing of Node may be used but execve: these numbers may have been its own.
  const [lifeRead, lifeWrite] = inheritablePipe();
  const terminal = isatty(0) || isatty(1) || isatty(2) ? "1" : "0";
  const words = [
    launcher,
    shell,
    scriptPath("run.sh"),
    scriptPath("tree.sh"),
    scriptPath("run-guard.sh"),
    launcher,
    sentinel,
    ...group,
    marker,
    String(request.termGraceMs),
    terminal,
    String(request.limits.processesMax ?? 0),
    String(Math.ceil((request.limits.memoryBytesMax ?? 0) / pageBytes)),
    request.command,
    ...request.args,
  ];
  renumber(lifeRead, descriptors.lifeRead);
  renumber(lifeWrite, descriptors.lifeWrite);
  renumber(caller, descriptors.caller);
  renumber(self, descriptors.self);
  if (killWith !== undefined) renumber(killWith, descriptors.killWith);
  // A second write end that stays open somewhere would keep the life line from ever ending.
  closeDescriptor(lifeRead);
  closeDescriptor(lifeWrite);
  process.execve(launcher, words, { ...environment, SHELL_OF_GUARD: shell });
  throw new HoldfastError("internal", "execve returned");
}

/** Words of run.sh: the joiner and the cgroup; "-" for each where there is none. HOLDFAST_TIER can insist. */
function runGroup({ programDirectory, limits }: GuardRequest): [string, string] {
  const only = process.env["HOLDFAST_TIER"];
  if (only === "subreaper" || programImage(process.arch, "joiner") === undefined) return ["-", "-"];
  const joiner = installProgram(programDirectory, "joiner");
  const made = makeRunGroup(limits);
  if ("leaf" in made) return [joiner, made.leaf];
  if (only === "cgroup") throw new HoldfastError("unsupported_platform", `no cgroup tier here: ${made.reason}`);
  return ["-", "-"];
}

function pidfdOf(pid: number): number {
  const pidfd = readProcess(pid) === undefined ? -1 : openPidfd(pid);
  if (pidfd < 0) throw new HoldfastError("usage", `--kill-with ${pid}: there is no such process`);
  return pidfd;
}
