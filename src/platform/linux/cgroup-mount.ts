/** Locates cgroup v2 on this machine, and this process in it. It need not be /sys/fs/cgroup (hybrid). */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Decodes the octal escapes of /proc/self/mountinfo. */
function unescapeMount(path: string): string {
  return path.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** Mount points of cgroup2 file systems, each with its part of the hierarchy. */
export function findCgroupMounts(mountinfo: string): { point: string; root: string }[] {
  return mountinfo.split("\n").flatMap((line) => {
    const [left, right] = line.split(" - ");
    if (right === undefined || !right.startsWith("cgroup2 ")) return [];
    const fields = left?.split(" ") ?? [];
    return [{ point: unescapeMount(fields[4] ?? ""), root: unescapeMount(fields[3] ?? "/") }];
  });
}

/** Path of the v2 cgroup in /proc/<pid>/cgroup (the line `0::`), or undefined on a machine with v1 only. */
export function findOwnCgroup(text: string): string | undefined {
  const line = text.split("\n").find((entry) => entry.startsWith("0::"));
  return line?.slice(3);
}

/** The directory of this process's cgroup, or undefined with the reason. */
export function ownCgroupDirectory(): { directory: string } | { reason: string } {
  try {
    const mounts = findCgroupMounts(readFileSync("/proc/self/mountinfo", "utf8"));
    if (mounts.length === 0) return { reason: "cgroup v2 is not mounted" };
    const own = findOwnCgroup(readFileSync("/proc/self/cgroup", "utf8"));
    if (own === undefined) return { reason: "this process is in no v2 cgroup" };
    // Inside a cgroup namespace a path may begin with /..: then our own cgroup is outside the mount.
    if (own.startsWith("/..")) return { reason: "this process's cgroup is outside the mounted part" };
    const directories = mounts.map(({ point, root }) =>
      join(point, root !== "/" && own.startsWith(root) ? own.slice(root.length) : own),
    );
    // mountinfo also lists mounts hidden below others.
    const directory = directories.find((each) => existsSync(join(each, "cgroup.procs")));
    return directory === undefined ? { reason: `no cgroup at ${directories.join(" or ")}` } : { directory };
  } catch (error) {
    return { reason: `cannot read where cgroups are: ${error instanceof Error ? error.message : String(error)}` };
  }
}
