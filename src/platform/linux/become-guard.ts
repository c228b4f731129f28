/**
 * `holdfast run`: this process becomes the fence of one command by execve, leaving no Node behind. It needs neither gateway nor
 * rights: two small shells, both subreapers, each ending the tree when the other dies; plus a cgroup where available.
 */
import { constants } from "node:os";
import { isatty } from "node:tty";
import { systemRandom } from "../../random.ts";
import { HoldfastError } from "../../errors.ts";
import { ignoredByCaller, ownArguments, ownEnvironment } from "./caller.ts";
import { environmentEntries, openCommandImage } from "./command-image.ts";
import { closeDescriptor, hasHungUp, inheritablePipe, openPidfd, renumber, signalAtParentsEnd } from "./ffi.ts";
import type { TreeLimits } from "../types.ts";
import { guardVariable, markerOf, markerVariable } from "../marker.ts";
import { pageBytes, readProcess } from "./processes.ts";
import { installProgram, keepProgramsOverExec, programDirectory, programImage } from "./programs.ts";
import { makeRunGroup } from "./run-group.ts";
import { outerMarker, scriptPath, shell, shellEnvironment } from "./shell.ts";

/** As named in run.sh; dash supports single-digit descriptors only. */
const descriptors = { image: 3, self: 5, killWith: 6, lifeRead: 7, lifeWrite: 8, caller: 9 };

interface GuardRequest {
  /** Number of last arguments that form the command; passed on byte for byte. */
  wordCount: number;
  /** From SIGTERM to the kill. */
  termGraceMs: number;
  /** Another process whose end ends the tree too. */
  killWith?: number | undefined;
  limits: TreeLimits;
}

/**
 * The caller's pidfd. Throws when the caller is already gone, and on kernels without pidfds. A caller outside our pid namespace
 * has no number here: then the kernel sends SIGTERM at its end, and undefined is returned.
 */
function watchCaller(): number | undefined {
  const caller = process.ppid;
  if (caller === 0) {
    signalAtParentsEnd(constants.signals.SIGTERM);
    return undefined;
  }
  const pidfd = openPidfd(caller);
  // Reparented, or both pipes without a peer: the caller is gone.
  const orphaned = process.ppid !== caller || (hasHungUp(0) && hasHungUp(1));
  if (orphaned) throw new HoldfastError("gateway_lost", "the process that called is gone; nothing was started");
  if (pidfd < 0) throw needsPidfds();
  return pidfd;
}

function needsPidfds(): HoldfastError {
  return new HoldfastError("unsupported_platform", "holdfast run needs pidfds, which Linux has since 5.3");
}

/** Never returns. Throws when something is missing, with nothing started. */
export function becomeGuard(request: GuardRequest): never {
  if (process.execve === undefined)
    throw new HoldfastError("unsupported_platform", "holdfast run needs process.execve, which Node.js has since 22.15");
  const directory = programDirectory();
  const command = ownArguments(request.wordCount);
  const [launcher = "", waiter = "", executor = ""] = (["launcher", "pidfd-waiter", "executor"] as const).map((name) =>
    installProgram(directory, name),
  );
  const marker = markerOf("run", `${process.pid.toString(36)}${systemRandom.bytes(6).toString("hex")}`);
  const caller = watchCaller();
  const self = openPidfd(process.pid);
  if (self < 0) throw needsPidfds();
  const group = runGroup(request);
  const killWith = request.killWith === undefined ? undefined : pidfdOf(request.killWith);
  const deaf = ignoredByCaller();
  const image = openCommandImage({
    argv: command,
    environment: environmentEntries(ownEnvironment(), { [guardVariable]: undefined, [markerVariable]: marker }),
    ignoredSignals: deaf.map((name) => constants.signals[`SIG${name}` as const]),
  });
  keepProgramsOverExec();
  // From here on only execve may be used of Node: these descriptor numbers may have been its own.
  const [lifeRead, lifeWrite] = inheritablePipe();
  const terminal = isatty(0) || isatty(1) || isatty(2) ? "1" : "0";
  const words = [
    launcher,
    shell,
    scriptPath("run.sh"),
    scriptPath("tree.sh"),
    scriptPath("run-guard.sh"),
    launcher,
    waiter,
    executor,
    ...group,
    marker,
    String(request.termGraceMs),
    terminal,
    deaf.join(" "),
    String(request.limits.processesMax ?? 0),
    String(Math.ceil((request.limits.memoryBytesMax ?? 0) / pageBytes())),
    String(pageBytes() / 1024),
    // Shown by ps only.
    ...command.map(String),
  ];
  renumber(image, descriptors.image);
  renumber(lifeRead, descriptors.lifeRead);
  renumber(lifeWrite, descriptors.lifeWrite);
  // The pidfd waiter waits for two processes; without a number for the caller both are this one.
  renumber(caller ?? self, descriptors.caller);
  renumber(self, descriptors.self);
  if (killWith !== undefined) renumber(killWith, descriptors.killWith);
  // A second open write end would keep the life line from ending.
  closeDescriptor(lifeRead);
  closeDescriptor(lifeWrite);
  process.execve(launcher, words, shellEnvironment(outerMarker()));
  throw new HoldfastError("internal", "execve returned");
}

/** Arguments of run.sh: the cgroup launcher and the cgroup, or "-" for each. HOLDFAST_TIER can require it. */
function runGroup({ limits }: GuardRequest): [string, string] {
  const only = process.env["HOLDFAST_TIER"];
  if (only === "subreaper" || programImage(process.arch, "cgroup-launcher") === undefined) return ["-", "-"];
  const cgroupLauncher = installProgram(programDirectory(), "cgroup-launcher");
  const made = makeRunGroup(limits);
  if ("leaf" in made) return [cgroupLauncher, made.leaf];
  if (only === "cgroup") throw new HoldfastError("unsupported_platform", `no cgroup tier here: ${made.reason}`);
  return ["-", "-"];
}

function pidfdOf(pid: number): number {
  const pidfd = readProcess(pid) === undefined ? -1 : openPidfd(pid);
  if (pidfd < 0) throw new HoldfastError("usage", `--kill-with ${pid}: there is no such process`);
  return pidfd;
}
