/** `holdfast selftest`, as people run it: what it says is what was played, and it finds out a containment that ends nothing. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readdirSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { attacks } from "../../src/selftest/attacks.ts";
import { endTitles } from "../../src/selftest/ends.ts";
import type { Result } from "../../src/selftest/types.ts";
import { isRoot, needs } from "../helpers/needs.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { pidsByEnvironment } from "../helpers/pids.ts";
import { mainFile } from "../helpers/program.ts";
import { launchOn, root, tierSkip } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";

interface Report {
  isHeld: boolean;
  isRoot: boolean;
  results: Result[];
}

let place = "";

/** Its own temporary directory, by which everything that it starts can be found. */
const environment = (given: NodeJS.ProcessEnv = {}) => ({ ...process.env, ...given, TMPDIR: place });

function play(words: string[], given: { env?: NodeJS.ProcessEnv; uid?: number; gid?: number } = {}) {
  const [command = "", ...rest] = words;
  const { env, ...identity } = given;
  const options = { ...identity, cwd: "/", env: environment(env), encoding: "utf8" as const, timeout: 280_000 };
  return spawnSync(command, rest, options);
}

async function leftNothing(): Promise<void> {
  await until("no process is left", () => pidsByEnvironment((text) => text.includes(place)).length === 0, {
    boundMs: 5000,
  });
  assert.deepEqual(readdirSync(place), []);
}

const patient = ["selftest", "--time-limit", "240"];

describe("holdfast selftest", { timeout: patiently(300_000), skip: needs("bash") }, () => {
  leavesNothing();
  beforeEach(() => {
    place = realpathSync(mkdtempSync(join(tmpdir(), "holdfast-selftest-test-")));
    chmodSync(place, 0o777); // a run as another user must be able to work in it
  });
  afterEach(() => rmSync(place, { recursive: true, force: true }));

  it("plays every attack and every end on each tier of this machine, and holds them", async () => {
    const { status, stdout, stderr } = play([process.execPath, mainFile, ...patient, "--json"]);
    const { isHeld, results } = JSON.parse(stdout) as Report;
    assert.equal(status, 0, stderr);
    assert.equal(isHeld, true);
    assert.equal(results.length, (attacks.length + endTitles.length) * 2);
    assert.equal(stderr.trimEnd().split("\n").length, results.length, "a line of progress for each");
    for (const tier of ["cgroup", "subreaper"] as const) {
      const played = results.filter((result) => result.tier === tier && result.verdict !== "not available");
      if (tierSkip(tier) === false) assert.ok(played.length >= attacks.length - 3 + endTitles.length, tier);
      for (const { name, processes } of played) assert.ok(processes >= 2, `${name}: ${processes}`);
    }
    await leftNothing();
  });

  it(
    "says the same to a user without rights, of the tier that is theirs",
    { skip: !isRoot && "needs root" },
    async () => {
      const { prefix, identity, env } = launchOn("subreaper");
      const given = { ...identity, env: { ...env, HOME: "/nonexistent" } };
      const { status, stdout, stderr } = play([...prefix, process.execPath, mainFile, ...patient], given);
      assert.equal(status, 0, stdout + stderr);
      assert.match(stdout, /^holdfast \S+, Linux \S+ \w+, .*an ordinary user, (?:no )?systemd, tiers: no cgroup \(/);
      assert.match(stdout, /^\| a session of its own +\| not available +\| held, \d+ ms +\|$/m);
      assert.match(stdout, /^\| kill -9 of the keeper +\| not available +\| held, \d+ ms +\|$/m);
      const why = stdout.match(/^cgroup, not available: no cgroup tier here.*$/gm) ?? [];
      assert.equal(why.length, 1, stdout);
      assert.match(why.join(), / \(\d+ rows\)$/, "one reason, without a list of all the rows that it holds for");
      assert.match(stdout, /^Held: /m);
      await leftNothing();
    },
  );

  it("exits with 1 and names the rows when a container says empty and is not", async () => {
    // A containment that starts what it is told to, and takes it for ended without ending it.
    const rigged = `
      import { platform } from ${JSON.stringify(join(root, "src/platform/index.ts"))};
      import { selftest } from ${JSON.stringify(join(root, "src/cli/selftest.ts"))};
      const open = (owner, epoch, { directory }) => {
        const opened = platform.open(owner, epoch, { directory, only: "subreaper" });
        const create = opened.epoch.create.bind(opened.epoch);
        opened.epoch.create = (id) => Object.assign(create(id), { end: async () => [] });
        return opened;
      };
      process.exitCode = await selftest({ json: false, timeLimitSeconds: 8 }, open);`;
    const { status, stdout, stderr } = play([process.execPath, "--input-type=module", "-e", rigged]);
    assert.equal(status, 1, stderr);
    assert.match(stdout, /^\| a process group of its own +\| LEFT 2 of 2 +\|/m);
    assert.match(stdout, /^NOT HELD: /m);
    await leftNothing();
  });

  it("exits with 1 for what was not played within its time", () => {
    const { status, stdout } = play([process.execPath, mainFile, "selftest", "--time-limit", "0"]);
    assert.equal(status, 1);
    assert.match(stdout, /^\| a session of its own .*\| FAILED/m);
    assert.match(stdout, /^subreaper, failed: not played within the time limit \(--time-limit\) \(\d+ rows\)$/m);
  });

  it(
    "asks for more time, not for a report, when nothing but time was missing",
    { skip: !isRoot && "needs root" },
    () => {
      const { prefix, identity, env } = launchOn("subreaper");
      const given = { ...identity, env };
      for (const seconds of ["0", "1"]) {
        const words = [...prefix, process.execPath, mainFile, "selftest", "--time-limit", seconds];
        const { status, stdout } = play(words, given);
        assert.equal(status, 1, stdout);
        assert.match(stdout, /^NOT FINISHED: .*--time-limit/m);
        assert.doesNotMatch(stdout, /report/);
      }
    },
  );

  it("names the programs that it misses, and takes none of what needs them for a failure", () => {
    const { status, stdout, stderr } = play([process.execPath, mainFile, ...patient], { env: { PATH: place } });
    assert.equal(status, 1, stderr);
    assert.match(stdout, /not available: no bash on PATH/);
    assert.match(stdout, /not available: no sh, setsid, nohup, env, grep, sleep on PATH/);
    assert.match(stdout, /^Nothing was tried: /m);
    assert.doesNotMatch(stdout, /FAILED/);
  });

  it("that is interrupted ends what it started and exits with 130", async () => {
    const child = spawn(process.execPath, [mainFile, ...patient], {
      cwd: "/",
      env: environment(),
      stdio: ["ignore", "ignore", "pipe"],
    });
    let said = "";
    child.stderr.on("data", (chunk: Buffer) => (said += String(chunk)));
    await until("a gateway is under test", () => said.includes("the owner ends by"), { boundMs: 120_000, everyMs: 20 });
    child.kill("SIGINT");
    const [code] = (await once(child, "exit")) as [number | null];
    assert.equal(code, 130, said);
    await leftNothing();
  });
});
