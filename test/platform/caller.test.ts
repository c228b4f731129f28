/** What a caller gives is what the command gets: bytes that are not UTF-8, and signals that are ignored. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, rmSync } from "node:fs";
import type { Duplex } from "node:stream";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { ownArguments, ownEnvironment } from "../../src/platform/linux/caller.ts";
import { openCommandImage } from "../../src/platform/linux/command-image.ts";
import { pageBytes, pageSizeIn } from "../../src/platform/linux/processes.ts";
import { scriptPath } from "../../src/platform/linux/shell.ts";
import { installGuardPrograms } from "../../src/platform/linux/subreaper.ts";
import { readUntil } from "../helpers/read-until.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { mainFile } from "../helpers/program.ts";
import { root, tiersToTest } from "../helpers/tiers.ts";
import { patiently } from "../helpers/until.ts";

const boundMs = 20_000;
const directory = mkdtempSync(join(tmpdir(), "holdfast-caller-"));
after(() => rmSync(directory, { recursive: true }));

/** Runs a line of a shell in which $RUN is `holdfast run --`; the output is one character for each byte. */
function shellLine(shell: string, line: string, tier: string) {
  const { stdout, stderr, status } = spawnSync(shell, ["-c", line], {
    env: { PATH: "/usr/bin:/bin", HOME: directory, HOLDFAST_TIER: tier, RUN: `${process.execPath} ${mainFile} run --` },
    stdio: ["ignore", "pipe", "pipe"],
    encoding: "latin1",
    timeout: boundMs,
  });
  assert.equal(stderr, "");
  assert.equal(status, 0);
  return stdout;
}

describe("bytes that are not UTF-8", { timeout: patiently(120_000) }, () => {
  leavesNothing();

  it("pass holdfast run in arguments, variables and names of variables", () => {
    for (const tier of tiersToTest()) {
      for (const odd of ["\\xff", "a\\xe9b", "\\xc3\\x28\\n\\xed\\xa0\\x80"]) {
        const bytes = odd.replaceAll(/\\x(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
        const expected = bytes.replaceAll("\\n", "\n");
        assert.equal(shellLine("bash", `$RUN printf '%s|' $'${odd}' x`, tier), `${expected}|x|`);
        const printed = shellLine("bash", `env $'V=${odd}' $'N${odd}=1' $RUN env -0`, tier).split("\0");
        assert.ok(printed.includes(`V=${expected}`), odd);
        assert.ok(printed.includes(`N${expected}=1`), odd);
      }
    }
  });

  it("pass contain() in the environment that it takes over, beside what the host has changed", () => {
    const script = `import { contain } from ${JSON.stringify(pathToFileURL(join(root, "src/index.ts")).href)};
      process.env.CHANGED = "second"; process.env.ADDED = "1"; delete process.env.GONE;
      const contained = await contain("env", ["-0"], { stdout: "inherit" }); await contained.empty;`;
    const line = `env $'V=\\xff\\xfe' CHANGED=first GONE=1 ${process.execPath} --input-type=module -e '${script}'`;
    const printed = shellLine("bash", line, "subreaper").split("\0");
    for (const entry of ["V=\xff\xfe", "CHANGED=second", "ADDED=1"]) assert.ok(printed.includes(entry), entry);
    assert.equal(printed.filter((entry) => /^(?:CHANGED|GONE)=/.test(entry)).length, 1);
  });

  it("are looked for in this process's own arguments and environment, which are text here", () => {
    assert.deepEqual(ownArguments(0), []);
    assert.ok(process.argv.at(-1)?.endsWith(String(ownArguments(1)[0])));
    const entries = ownEnvironment().map(String);
    for (const [name, value] of Object.entries(process.env)) assert.ok(entries.includes(`${name}=${value}`), name);
    assert.equal(entries.length, Object.keys(process.env).length);
  });
});

describe("a signal that the caller ignores", { timeout: patiently(120_000) }, () => {
  leavesNothing();
  const hup = 1;
  const interrupt = 2;
  const user2 = 12;
  const cases: [string, string, number[]][] = [
    ["bash", "nohup $RUN grep SigIgn /proc/self/status", [hup]],
    ["sh", "trap '' HUP; $RUN grep SigIgn /proc/self/status; :", [hup]],
    ["sh", "trap '' INT USR2; $RUN grep SigIgn /proc/self/status; :", [interrupt, user2]],
    ["sh", "$RUN grep SigIgn /proc/self/status; :", []],
  ];
  for (const [shell, line, signals] of cases) {
    it(`is ignored by the command: ${line}`, () => {
      const mask = signals.reduce((sum, signal) => sum + 2 ** (signal - 1), 0);
      for (const tier of tiersToTest())
        assert.equal(shellLine(shell, line, tier), `SigIgn:\t${mask.toString(16).padStart(16, "0")}\n`, tier);
    });
  }

  it("does not end the tree: a hangup of holdfast run under nohup is none", async () => {
    for (const tier of tiersToTest()) {
      const line = `nohup ${process.execPath} ${mainFile} run -- sh -c 'echo ready; read x; echo still here'`;
      const env = { PATH: "/usr/bin:/bin", HOME: directory, HOLDFAST_TIER: tier };
      const child = spawn("bash", ["-c", line], { env, stdio: ["pipe", "pipe", "ignore"] });
      await readUntil(child.stdout, "ready");
      child.kill("SIGHUP");
      child.stdin.write("go\n");
      await readUntil(child.stdout, "still here");
      child.stdin.end();
      await once(child, "exit");
      assert.equal(child.exitCode, 0);
    }
  });
});

describe("the size of a page", { timeout: patiently(60_000) }, () => {
  leavesNothing();

  it("is what the kernel says, whatever it is", () => {
    const vector = (...pairs: [bigint, bigint][]) => Buffer.from(new BigUint64Array(pairs.flat()).buffer);
    for (const size of [4096, 16_384, 65_536]) {
      assert.equal(pageSizeIn(vector([33n, 7n], [6n, BigInt(size)], [0n, 0n])), size);
    }
    assert.equal(pageSizeIn(Buffer.alloc(0)), 4096);
    const { stdout } = spawnSync("getconf", ["PAGESIZE"], { encoding: "utf8" });
    assert.equal(pageBytes(), Number(stdout));
  });

  it("is the unit of what a guard says of memory", async () => {
    const { launcher, executor } = installGuardPrograms(directory);
    const image = openCommandImage({ argv: ["sleep", "1000"], environment: { PATH: "/usr/bin:/bin" } });
    const tree = scriptPath("tree.sh");
    // No cgroup; a grace of 100 ms; more than 10 pages are too many; a page has 64 KiB.
    const words = [
      launcher,
      "/bin/sh",
      scriptPath("run-guard.sh"),
      tree,
      executor,
      "-",
      "-",
      "/page/test",
      "100",
      "0",
      "10",
      "64",
    ];
    const started = 'exec 8>/dev/null; "$@" & wait $!';
    const child = spawn("/bin/sh", ["-c", started, "sh", ...words, "sleep", "1000"], {
      stdio: ["ignore", "ignore", "pipe", image, "ignore", "ignore", "ignore", "pipe"],
    });
    closeSync(image);
    const [, , stderr, , , , , life] = child.stdio as unknown as Duplex[];
    life?.on("error", () => {}); // the guard is gone
    const said = await readUntil(stderr, "ended");
    const [, pages] = /1 processes, (\d+) KiB/.exec(said) ?? [];
    assert.ok(Number(pages) > 640 && Number(pages) % 64 === 0, said);
    if (child.exitCode === null) await once(child, "exit");
    for (const stream of [stderr, life]) stream?.destroy();
  });
});
