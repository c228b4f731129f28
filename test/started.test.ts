/** A run of the tests that is interrupted, or whose tests leave something behind, ends all of what it started. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, it } from "node:test";
import { Started } from "../scripts/started.ts";
import { killWhatIsLeft, survivorsOf, waitForListed } from "./helpers/pids.ts";
import { root } from "./helpers/tiers.ts";

let place = "";
const list = () => join(place, "pids");
before(() => {
  place = mkdtempSync(join(tmpdir(), "holdfast-started-"));
});
after(async () => {
  await killWhatIsLeft(list());
  rmSync(place, { recursive: true });
});

/** A line of shell that lists itself and stays; `$1` is the list, `$2` its role. */
const stays = `set -- $(cut -d' ' -f22 "/proc/$$/stat") "$1" "$2"; echo "$$ $1 $3" >> "$2"; exec sleep 100000`;
const stay = (role: string) => JSON.stringify(["sh", "-c", stays, "sh", list(), role]);
const test = (body: string) => {
  const file = join(place, "some.test.mjs");
  writeFileSync(
    file,
    `import { spawn } from "node:child_process";
    import { tmpdir } from "node:os";
    import { it } from "node:test";
    const start = ([command, ...args], options = {}) =>
      spawn(command, args, { stdio: "ignore", detached: true, ...options }).unref();
    it("starts", async () => { ${body} });`,
  );
  writeFileSync(list(), "");
  const env: NodeJS.ProcessEnv = { ...process.env, HOLDFAST_TEST_STRICT: "" };
  delete env["NODE_TEST_CONTEXT"];
  return { words: [join(root, "scripts/test.ts"), file], env };
};
/** Its parent is gone when it is looked for; it has nothing of the run's environment, but stands in its directory. */
const forgotten = `start(["env", "-i", "sh", "-c", ${JSON.stringify(`("$@") & `)}, "sh", ...${stay("forgotten")}], { cwd: tmpdir() });`;

it("an interrupted run leaves nothing, whoever its parent is by then", async () => {
  const body = `start(${stay("child")}); start(["sh", "-c", '"$@" & exit 0', "sh", ...${stay("orphan")}]); ${forgotten}
    await new Promise((resolve) => setTimeout(resolve, 100_000));`;
  const { words, env } = test(body);
  const run = spawn(process.execPath, words, { stdio: "ignore", env });
  await waitForListed(list(), 3, 30_000);
  run.kill("SIGTERM");
  const [code] = (await once(run, "exit")) as [number | null];
  assert.deepEqual([code, survivorsOf(list())], [1, []]);
});

it("a test that leaves something behind fails the run, which names and ends it", () => {
  const { words, env } = test(
    `${forgotten} while (!(await import("node:fs")).readFileSync(${JSON.stringify(list())}).length);`,
  );
  const { status, stderr } = spawnSync(process.execPath, words, { encoding: "utf8", env, timeout: 60_000 });
  assert.equal(status, 1);
  assert.match(stderr, /a test left behind: pid \d+, sleep 100000/);
  assert.equal(readFileSync(list(), "utf8").split("\n").length, 2);
  assert.deepEqual(survivorsOf(list()), []);
});

it("what ignores SIGTERM is killed", async () => {
  writeFileSync(list(), "");
  const child = spawn("sh", ["-c", `trap "" TERM; ${stays}`, "sh", list(), "deaf"], { stdio: "ignore", cwd: place });
  await waitForListed(list(), 1, 30_000);
  const exited = once(child, "exit");
  assert.deepEqual(await new Started(place, child.pid ?? 0).end(100, 5000), []);
  assert.deepEqual(await exited, [null, "SIGKILL"]);
});
