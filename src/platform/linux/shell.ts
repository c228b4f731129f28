/** The shell for our scripts, their environment, and their location. */
import { fileURLToPath } from "node:url";
import { markerVariable } from "../marker.ts";

/** Any POSIX shell: dash, bash and busybox are tested. */
export const shell = "/bin/sh";

export function scriptPath(
  name: "guard.sh" | "guardian.sh" | "outer.sh" | "run-guard.sh" | "run.sh" | "tree.sh",
): string {
  return fileURLToPath(new URL(name === "tree.sh" ? "../tree.sh" : name, import.meta.url));
}

/** Directories of sleep, grep, find and rmdir; the last one on NixOS. */
const systemPath = "/usr/bin:/bin:/usr/sbin:/sbin:/run/current-system/sw/bin";

/**
 * The whole environment of our shells. From the caller it takes only the marker of an outer Holdfast: variables can make a
 * shell load functions, options, traces and libraries.
 */
export function shellEnvironment(added: Readonly<Record<string, string>> = {}): Record<string, string> {
  return { PATH: systemPath, LC_ALL: "C", ...added };
}

/** The initial marker of this process, for a shell that it becomes. */
export function outerMarker(): Record<string, string> {
  const marker = process.env[markerVariable];
  return marker === undefined ? {} : { [markerVariable]: marker };
}

/** Whether this command line starts a program or script of a guard, of this version or an earlier one. */
export function isHelper([program = "", script = ""]: readonly string[]): boolean {
  if (/\/bin\/(?:executor|cgroup-launcher|launcher|pidfd-waiter|joiner|sentinel)$|^\/proc\/\d+\/fd\/\d+$/.test(program))
    return true;
  const isShell = /(?:^|\/)(?:\w*sh|busybox)$/.test(program);
  return isShell && /\/(?:contain|platform\/linux)\/(?:run|run-guard|guard|outer)\.sh$/.test(script);
}
