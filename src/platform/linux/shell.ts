/** The shell that our scripts run in, the environment that they get, and where they are. */
import { fileURLToPath } from "node:url";
import { markerVariable } from "../marker.ts";

/** Any POSIX shell: dash, bash and busybox are tested. */
export const shell = "/bin/sh";

export function scriptPath(
  name: "guard.sh" | "guardian.sh" | "outer.sh" | "run-guard.sh" | "run.sh" | "tree.sh",
): string {
  return fileURLToPath(new URL(name, import.meta.url));
}

/** Where sleep, grep, find and rmdir are; the last one on NixOS. */
const systemPath = "/usr/bin:/bin:/usr/sbin:/sbin:/run/current-system/sw/bin";

/**
 * The whole environment of every shell of ours. Nothing of the caller's is in it but the marker of an outer Holdfast: a
 * shell takes functions, options, traces and libraries to load from variables.
 */
export function shellEnvironment(added: Readonly<Record<string, string>> = {}): Record<string, string> {
  return { PATH: systemPath, LC_ALL: "C", ...added };
}

/** The marker that this process was started with, for a shell that it becomes. */
export function outerMarker(): Record<string, string> {
  const marker = process.env[markerVariable];
  return marker === undefined ? {} : { [markerVariable]: marker };
}

/** Whether these words start a program or a script of a guard, of this version or an earlier one. */
export function isHelper([program = "", script = ""]: readonly string[]): boolean {
  if (/\/bin\/(?:executor|cgroup-launcher|launcher|pidfd-waiter|joiner|sentinel)$|^\/proc\/\d+\/fd\/\d+$/.test(program))
    return true;
  const isShell = /(?:^|\/)(?:\w*sh|busybox)$/.test(program);
  return isShell && /\/(?:contain|platform\/linux)\/(?:run|run-guard|guard|outer)\.sh$/.test(script);
}
