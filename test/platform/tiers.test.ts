/** The tier is found by trying, on machines of every kind; imitated in mount namespaces, where only root can be. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { findCgroupMounts, findOwnCgroup } from "../../src/platform/linux/cgroup-mount.ts";
import { needs, needsNamespace } from "../helpers/needs.ts";
import { fixture } from "../helpers/servers.ts";
import { launchOn, tierSkip } from "../helpers/tiers.ts";
import { patiently } from "../helpers/until.ts";

interface Found {
  tier: string;
  refused: string[];
  code: number;
  left: number;
}

/** Runs the probe after some words of shell in a mount namespace of its own. */
function tierAfter(prepare: string): Found {
  const script = `set -e; ${prepare}; exec "$@"`;
  const { stdout, stderr, status } = spawnSync(
    "unshare",
    ["--mount", "sh", "-c", script, "sh", process.execPath, fixture("print-tier.ts")],
    { encoding: "utf8", timeout: 30_000 },
  );
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout) as Found;
}

const cgroup2 = "m=$(awk '/ - cgroup2 /{print $5; exit}' /proc/self/mountinfo)";

describe("the tier that a machine gives", { timeout: patiently(120_000) }, () => {
  const skip = tierSkip("cgroup") || needsNamespace("mount") || needs("awk", "mount");
  it("is cgroup where cgroup v2 can be written, wherever it is mounted (hybrid)", { skip }, () => {
    assert.deepEqual(tierAfter("true"), { tier: "cgroup", refused: [], code: 0, left: 0 });
    // As on a machine with v2 only, and on WSL2: the file system is /sys/fs/cgroup itself.
    const unified = tierAfter("mount -t tmpfs none /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup");
    assert.deepEqual(unified, { tier: "cgroup", refused: [], code: 0, left: 0 });
  });

  it("is subreaper where cgroupfs is read-only, as in most containers, and the reason is said", { skip }, () => {
    const found = tierAfter(`${cgroup2}; mount -o remount,bind,ro "$m"`);
    assert.equal(found.tier, "subreaper");
    assert.match(found.refused.join(), /read-only/i);
    assert.deepEqual([found.code, found.left], [0, 0]);
  });

  it("is subreaper where there is cgroup v1 only", { skip }, () => {
    const found = tierAfter(`${cgroup2}; umount "$m"`);
    assert.equal(found.tier, "subreaper");
    assert.match(found.refused.join(), /not mounted/);
    assert.deepEqual([found.code, found.left], [0, 0]);
  });

  it("is subreaper for a user without rights, and leaves no half-made fence", { skip: tierSkip("subreaper") }, () => {
    const { prefix, identity, env } = launchOn("subreaper");
    const [command, ...rest] = [...prefix, process.execPath, fixture("print-tier.ts")];
    const { stdout, stderr } = spawnSync(command, rest, {
      encoding: "utf8",
      cwd: "/",
      ...identity,
      env: { ...process.env, ...env, TMPDIR: "/tmp" }, // one that this user may write, too
    });
    const found = JSON.parse(stdout || stderr) as Found;
    assert.equal(found.tier, "subreaper");
    assert.match(found.refused.join(), /EACCES|EROFS|permission|read-only/i);
    assert.deepEqual([found.code, found.left], [0, 0]);
    const [mount] = findCgroupMounts(readFileSync("/proc/self/mountinfo", "utf8"));
    assert.equal(existsSync(`${mount?.point ?? ""}/holdfast-0123456789abcdef.${process.pid}`), false);
  });

  it("is read from mountinfo with escapes, optional fields and other file systems around it", () => {
    const mountinfo = [
      "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755",
      "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd",
      String.raw`41 31 0:38 /docker/abc /mnt/with\040blank rw,relatime shared:9 master:3 - cgroup2 cgroup2 rw`,
    ].join("\n");
    assert.deepEqual(findCgroupMounts(mountinfo), [{ point: "/mnt/with blank", root: "/docker/abc" }]);
    assert.deepEqual(findCgroupMounts(mountinfo.split("\n").slice(0, 2).join("\n")), []);
    assert.equal(findOwnCgroup("9:name=systemd:/\n0::/user.slice/x\n"), "/user.slice/x");
    assert.equal(findOwnCgroup("9:name=systemd:/\n"), undefined);
  });
});
