/** No variable steers a shell of ours, and the command gets its environment as it was given. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { readUntil } from "../helpers/read-until.ts";
import { sample } from "../helpers/long.ts";
import { needs, needsNamespace } from "../helpers/needs.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { statOf } from "../helpers/pids.ts";
import { mainFile } from "../helpers/program.ts";
import { fixture } from "../helpers/servers.ts";
import { tiersToTest } from "../helpers/tiers.ts";
import { patiently } from "../helpers/until.ts";

const directory = mkdtempSync(join(tmpdir(), "holdfast-steering-"));
after(() => rmSync(directory, { recursive: true }));
const boundMs = 30_000;
/** What a variable does when a shell obeys it. */
const sign = join(directory, "steered");
const script = join(directory, "script");
writeFileSync(script, `echo script >>${sign}\n`);

/** Every builtin and program that our scripts use, as a function that leaves a sign and does its work. */
const functions = Object.fromEntries(
  "[ : . cd eval exec exit export kill read set shift trap unset wait echo"
    .split(" ")
    .map((name) => [`BASH_FUNC_${name}%%`, `() {  builtin echo ${name} >>${sign}\n builtin ${name} "$@"\n}`]),
);
const programs = Object.fromEntries(
  ["sleep", "grep", "find", "rmdir"].map((name) => [
    `BASH_FUNC_${name}%%`,
    `() {  builtin echo ${name} >>${sign}\n command ${name} "$@"\n}`,
  ]),
);
const steering: Record<string, string> = {
  ...functions,
  ...programs,
  BASH_ENV: script,
  ENV: script,
  SHELLOPTS: "braceexpand:xtrace",
  BASHOPTS: "expand_aliases",
  PS4: `$(echo trace >>${sign})`,
  PATH: `${directory}:/usr/bin:/bin`,
  IFS: "0/",
  CDPATH: "/tmp",
  "npm_config_//registry.example/:_authToken": "a name that plain shells drop",
};
for (const name of ["sleep", "grep"])
  writeFileSync(join(directory, name), `#!/bin/sh\necho ${name} >>${sign}\n`, { mode: 0o755 });

const odd = {
  "name with blanks": "1",
  "npm_config_//registry.example/:_authToken": "secret",
  "BASH_FUNC_x%%": "() { :; }",
  lines: "one\ntwo\n",
  empty: "",
  SHELLOPTS: "nonsense",
  _: "/an/underscore",
  PWD: "/nowhere",
  SHLVL: "41",
};

const shells = ["dash", "bash", "busybox"] as const;
const tiers = tiersToTest();
const ways = ["run", "library", ...tiers, ...tiers.map((tier) => `${tier}:terminal`)];

function start(shell: string, way: string, variables: Record<string, string>, words: string[]) {
  const env = { PATH: "/usr/bin:/bin", HOME: directory, TMPDIR: directory, ...variables };
  const line = ["--mount", "--propagation", "private", process.execPath, fixture("steered-host.ts"), shell, way];
  const { stdout, stderr, status } = spawnSync("unshare", [...line, ...words], { env, timeout: boundMs });
  return { printed: stdout.toString("latin1"), said: String(stderr), status, env };
}

describe("a variable of the command", { timeout: patiently(400_000) }, () => {
  leavesNothing();
  for (const [at, name] of shells.entries()) {
    const played = sample(ways, at);
    const shell = `/bin/${name}`;
    const skip = needsNamespace("mount") || needs(name);
    it(
      `does not steer a shell of ours where /bin/sh is ${shell}: functions, files, options, traces, PATH`,
      { skip },
      () => {
        for (const way of played) {
          const { status, said } = start(shell, way, steering, ["/bin/true"]);
          assert.equal(existsSync(sign) ? readFileSync(sign, "utf8") : "", "", way);
          assert.deepEqual([status, said], [0, ""], way);
        }
      },
    );

    it(`reaches it unchanged where /bin/sh is ${shell}, under whatever name`, { skip }, () => {
      for (const way of played.filter((each) => !each.endsWith("terminal"))) {
        const { printed, said, env, status } = start(shell, way, odd, ["/usr/bin/env", "-0"]);
        const got = printed.split("\0").filter((entry) => entry !== "" && !entry.startsWith("HOLDFAST_RUN="));
        const given = Object.entries(env).map(([key, value]) => `${key}=${value}`);
        assert.deepEqual(got.toSorted(), given.toSorted(), `${way}: ${said}`);
        assert.equal(status, 0);
      }
    });
  }

  it("is in no environment and no command line of a process between its owner and the command", async () => {
    const secret = "a-value-that-nobody-is-to-see";
    for (const way of ways.filter((each) => each !== "run")) {
      const env = { PATH: "/usr/bin:/bin", TMPDIR: directory, HOME: directory, SECRET: secret };
      const child = spawn(
        process.execPath,
        [fixture("steered-host.ts"), "-", way, "/bin/sh", "-c", "echo $$; read x"],
        {
          env,
          stdio: ["pipe", "pipe", "inherit"],
        },
      );
      const command = Number(await readUntil(child.stdout, "\n"));
      assert.match(readFileSync(`/proc/${command}/environ`, "latin1"), new RegExp(secret));
      const seen: number[] = [];
      for (let pid = statOf(command)?.ppid ?? 0; pid !== child.pid && pid > 1; pid = statOf(pid)?.ppid ?? 0) {
        seen.push(pid);
        for (const file of ["environ", "cmdline"])
          assert.doesNotMatch(readFileSync(`/proc/${pid}/${file}`, "latin1"), new RegExp(secret), `${way}: ${pid}`);
      }
      assert.ok(seen.length > 0, `${way} has something between`);
      process.kill(command, "SIGKILL");
      await once(child, "exit");
    }
  });

  it("named kill or trap, as a function that does nothing, neither holds up an end nor starts a thing", () => {
    for (const [name, body] of [
      ["kill", "() { :\n}"],
      ["trap", '() {  builtin trap "$@"; (exec setsid sleep 1000) &\n}'],
      ["read", "() {  return 1\n}"],
    ] as const) {
      const env = { PATH: "/usr/bin:/bin", HOME: directory, [`BASH_FUNC_${name}%%`]: body, HOLDFAST_TIER: "subreaper" };
      const words = [mainFile, "run", "--", "/bin/echo", "x"];
      const { stdout, status } = spawnSync(process.execPath, words, { env, timeout: boundMs });
      assert.deepEqual([String(stdout), status], ["x\n", 0], name);
    }
  });
});
