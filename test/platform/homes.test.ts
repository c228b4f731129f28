/** No home that can be written to, or executed from, is needed; and no home holds a start up. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { makeDirectory } from "../../src/make-directory.ts";
import { readUntil } from "../helpers/read-until.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { mainFile } from "../helpers/program.ts";
import { launchOn, root, tiersToTest } from "../helpers/tiers.ts";
import { patiently } from "../helpers/until.ts";

const directory = mkdtempSync(join(tmpdir(), "holdfast-homes-"));
after(() => rmSync(directory, { recursive: true }));
const boundMs = 20_000;
const mountPoint = join(directory, "home");
mkdirSync(mountPoint);

/** A home, and the words of shell that make it in a mount namespace. */
const homes: Record<string, [home: string, prepare: string]> = {
  "is read-only": [mountPoint, `mount -t tmpfs -o ro none ${mountPoint}`],
  "is mounted noexec": [mountPoint, `mount -t tmpfs -o noexec none ${mountPoint}`],
  "is full": [
    mountPoint,
    `mount -t tmpfs -o size=4k none ${mountPoint}; dd if=/dev/zero of=${mountPoint}/x 2>/dev/null || :`,
  ],
  "is missing": [`${mountPoint}/no/such`, `mount -t tmpfs -o ro none ${mountPoint}`],
  "is not a directory": ["/etc/passwd", ":"],
  "is below a file": ["/etc/passwd/home", ":"],
  "is procfs": ["/proc", ":"],
  "is sysfs": ["/sys", ":"],
  "is /dev/null": ["/dev/null", ":"],
};

function start(home: string, prepare: string, words: string[], env: Record<string, string> = {}) {
  const line = ["--mount", "sh", "-c", `${prepare}; exec "$@"`, "sh", ...words];
  const { XDG_CACHE_HOME: _cache, XDG_STATE_HOME: _state, XDG_RUNTIME_DIR: _runtime, ...rest } = process.env;
  const spawned = spawnSync("unshare", line, {
    env: { ...rest, HOME: home, ...env },
    encoding: "utf8",
    timeout: boundMs,
  });
  return [spawned.stdout, spawned.stderr, spawned.status];
}

describe("a home", { timeout: patiently(300_000) }, () => {
  leavesNothing();
  const library = `import { contain } from ${JSON.stringify(pathToFileURL(join(root, "src/index.ts")).href)};
    const contained = await contain("echo", ["held"], { stdout: "inherit" }); await contained.empty;`;

  for (const [what, [home, prepare]] of Object.entries(homes)) {
    it(`that ${what} is enough for holdfast run, on both tiers, and for the library`, () => {
      for (const tier of tiersToTest()) {
        const words = [process.execPath, mainFile, "run", "--", "echo", "held"];
        assert.deepEqual(start(home, prepare, words, { HOLDFAST_TIER: tier }), ["held\n", "", 0], tier);
      }
      const words = [process.execPath, "--input-type=module", "-e", library];
      assert.deepEqual(start(home, prepare, words), ["held\n", "", 0]);
    });
  }

  it("that is / is enough for a user without rights", () => {
    if (!tiersToTest().includes("subreaper")) return;
    const { prefix, identity, env } = launchOn("subreaper");
    const [command, ...rest] = [...prefix, process.execPath, mainFile, "run", "--", "echo", "held"];
    const { XDG_CACHE_HOME: _, ...own } = process.env;
    const options = {
      ...identity,
      cwd: "/",
      env: { ...own, ...env, HOME: "/" },
      encoding: "utf8",
      timeout: boundMs,
    } as const;
    const { stdout, stderr, status } = spawnSync(command, rest, options);
    assert.deepEqual([stdout, stderr, status], ["held\n", "", 0]);
  });

  it("that no variable and no user database knows is not needed by any command", () => {
    if (process.getuid?.() !== 0) return;
    const { prefix, env } = launchOn("subreaper");
    if (prefix.length > 0) return; // a private checkout, which a stranger cannot read
    const { XDG_CACHE_HOME: _cache, XDG_STATE_HOME: _state, HOME: _home, ...own } = process.env;
    const stranger = { uid: 54321, gid: 54321, cwd: "/", env: { ...own, ...env }, encoding: "utf8" } as const;
    for (const words of [["run", "--", "echo", "held"], ["wrap", "--dry-run"], ["tokens", "list"], ["--version"]]) {
      const { stdout, stderr } = spawnSync(process.execPath, [mainFile, ...words], { ...stranger, timeout: boundMs });
      assert.doesNotMatch(stderr, /defect|homedir/, words.join(" "));
      if (words[0] === "run") assert.equal(stdout, "held\n", stderr);
    }
  });

  it("on procfs is refused by a gateway that was told to keep its state there, and does not hang it", () => {
    const config = join(root, "examples/holdfast.json");
    for (const state of ["/proc/holdfast", "/proc/self/a/b/c", "/sys/holdfast", "/etc/passwd/state"]) {
      const words = [process.execPath, mainFile, "gateway", "--state", state, "--config", config, "--port", "0"];
      const [, said, status] = start(directory, ":", words);
      assert.equal(status, 1, String(said));
      assert.match(String(said), new RegExp(`state directory ${state} cannot be used: .*--state DIR`));
    }
  });
});

describe("makeDirectory", () => {
  it("makes what is missing, is content with what is there, and gives up where nothing can be made", () => {
    makeDirectory(join(directory, "a/b/c"));
    makeDirectory(join(directory, "a/b/c"));
    assert.throws(() => makeDirectory("/proc/holdfast/a/b"));
    assert.throws(() => makeDirectory("/etc/passwd"), { code: "EEXIST" });
    assert.throws(() => makeDirectory("/etc/passwd/a"), { code: "ENOTDIR" });
    assert.throws(() => makeDirectory(join(directory, "x/".repeat(100))), /cannot be made/);
  });
});

describe("a caller outside of the pid namespace", { timeout: patiently(60_000) }, () => {
  leavesNothing();
  const unshare = ["--pid", "--fork", "--mount-proc", process.execPath, mainFile, "run", "--"];

  it("is no obstacle: the command runs and its code is passed on", () => {
    for (const tier of tiersToTest()) {
      const env = { ...process.env, HOLDFAST_TIER: tier };
      const options = { env, encoding: "utf8", timeout: boundMs } as const;
      const echo = spawnSync("unshare", [...unshare, "echo", "held"], options);
      assert.deepEqual([echo.stdout, echo.stderr, echo.status], ["held\n", "", 0], tier);
      assert.equal(spawnSync("unshare", [...unshare, "sh", "-c", "exit 7"], options).status, 7);
    }
  });

  it("ends the tree by its own end, kill -9 included, a command deaf to SIGTERM too", async () => {
    for (const tier of tiersToTest()) {
      const script = "trap '' TERM HUP; setsid sleep 1000 & echo ready; sleep 1000";
      const child = spawn("unshare", [...unshare, "sh", "-c", script], {
        env: { ...process.env, HOLDFAST_TIER: tier },
        stdio: ["pipe", "pipe", "inherit"],
      });
      await readUntil(child.stdout, "ready");
      const closed = once(child.stdout.resume(), "close", { signal: AbortSignal.timeout(boundMs) });
      child.kill("SIGKILL");
      // Whoever of the tree lives holds this stream.
      await closed;
    }
  });
});
