/** The executor becomes a command as a shell would, byte for byte, and nothing else passes through it. */
import assert from "node:assert/strict";
import { spawnSync, type StdioOptions } from "node:child_process";
import { closeSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { text } from "node:stream/consumers";
import { CgroupFence } from "../../src/platform/linux/cgroup.ts";
import { openCommandImage, type Command, type ImageFormat } from "../../src/platform/linux/command-image.ts";
import { executorScript } from "../../src/platform/linux/executor.ts";
import { installProgram, programImage } from "../../src/platform/linux/programs.ts";
import { joinPrograms } from "../../src/platform/linux/open.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { cgroupMount, tiersToTest } from "../helpers/tiers.ts";
import { patiently } from "../helpers/until.ts";

const directory = mkdtempSync(join(tmpdir(), "holdfast-executor-"));
after(() => rmSync(directory, { recursive: true }));
const put = (name: string, content: string, mode: number) => {
  mkdirSync(join(directory, name, ".."), { recursive: true });
  writeFileSync(join(directory, name), content, { mode });
};
put("first/tool", "not for us to run", 0o644);
put("second/tool", "#!/bin/sh\necho second $0 $1\n", 0o755);
put("plain/script", "echo plain $0 $1\n", 0o755);
put("closed/only", "", 0o644);
put("here", "#!/bin/sh\necho here $1\n", 0o755);
mkdirSync(join(directory, "plain/folder"));

const arm64 = join(directory, "executor-arm64");
writeFileSync(arm64, programImage("arm64", "executor") ?? "", { mode: 0o755 });
const ways: [string, string[], ImageFormat][] = [
  ["the program", [installProgram(directory, "executor")], "binary"],
  ["the script for other processors", [process.execPath, executorScript], "json"],
];
if (spawnSync("qemu-aarch64-static", ["--version"]).status === 0)
  ways.push(["the program for arm64, under qemu", ["qemu-aarch64-static", arm64], "binary"]);

const bytes = (characters: string) => Buffer.from(characters, "latin1");

for (const [way, [file = "", ...before], format] of ways) {
  const run = (command: Command) => {
    const image = openCommandImage(command, format);
    const stdio: StdioOptions = ["ignore", "pipe", "pipe", "ignore", "ignore", image];
    try {
      return spawnSync(file, [...before, "5"], { stdio, cwd: directory, env: { STRANGE: "1" } });
    } finally {
      closeSync(image);
    }
  };
  const inPath = (path: string, ...argv: string[]) => {
    const { stdout, stderr, status } = run({ argv, environment: { PATH: path } });
    return [String(stdout), String(stderr), status];
  };

  describe(`the executor as ${way}`, { timeout: patiently(60_000) }, () => {
    leavesNothing();

    it("finds a command along the command's own PATH, as a shell does", () => {
      const path = `${directory}/none:${directory}/first:${directory}/second`;
      assert.deepEqual(inPath(path, "tool", "x"), [`second ${directory}/second/tool x\n`, "", 0]);
      assert.deepEqual(
        inPath("/nowhere:", "here", "x"),
        ["here x\n", "", 0],
        "an empty entry is the working directory",
      );
      assert.deepEqual(inPath("second", "tool", "x"), ["second second/tool x\n", "", 0]);
      assert.deepEqual(inPath("", "./second/tool", "x"), ["second ./second/tool x\n", "", 0]);
    });

    it("runs a file without #! by /bin/sh", () => {
      assert.deepEqual(inPath(`${directory}/plain`, "script", "x"), [`plain ${directory}/plain/script x\n`, "", 0]);
    });

    it("ends with 127 for what is not there and 126 for what cannot be run, and says which", () => {
      assert.deepEqual(inPath("/usr/bin:/bin", "no-such"), ["", "holdfast: no-such: command not found\n", 127]);
      assert.deepEqual(inPath("/etc/passwd", "tool"), ["", "holdfast: tool: command not found\n", 127]);
      assert.deepEqual(inPath("/usr/bin", ""), ["", "holdfast: : command not found\n", 127]);
      const refused = (name: string) =>
        `holdfast: ${name}: cannot be run (permission denied, a directory, or not a program)\n`;
      assert.deepEqual(inPath(`${directory}/closed`, "only"), ["", refused("only"), 126]);
      assert.deepEqual(inPath(`${directory}/plain`, "folder"), ["", refused("folder"), 126]);
    });

    it("hands on the environment of the image and no other, odd names and values with lines included", () => {
      const environment = { PATH: "/usr/bin:/bin", "a b": "", "BASH_FUNC_f%%": "() { :\n}", "npm_config_//x/:_t": "ü" };
      const { stdout } = run({ argv: ["env", "-0"], environment });
      const expected = Object.entries(environment).map(([name, value]) => `${name}=${value}\0`);
      assert.equal(String(stdout), expected.join(""));
    });

    it("lets no descriptor through", () => {
      const { stdout } = run({ argv: ["ls", "/proc/self/fd"], environment: { PATH: "/usr/bin:/bin" } });
      assert.equal(String(stdout), "0\n1\n2\n3\n", "3 is the directory that ls reads");
    });

    if (format === "json") return;

    it("hands on arguments and entries as the bytes they are: duplicates, no UTF-8, no sign of equality", () => {
      const entries = ["PATH=/usr/bin:/bin", "A=\xff\xfe", "A=second", "\xe9=1", "bare", "=C:=x"].map(bytes);
      const printed = run({ argv: ["cat", "/proc/self/environ"], environment: entries }).stdout;
      assert.equal(printed.toString("latin1"), entries.map((entry) => `${entry.toString("latin1")}\0`).join(""));
      const argv = ["cat", "/proc/self/cmdline", bytes("/no\xff\x80")];
      const { stdout, stderr } = run({ argv, environment: { PATH: "/usr/bin:/bin", LC_ALL: "C" } });
      assert.equal(stdout.toString("latin1"), "cat\0/proc/self/cmdline\0/no\xff\x80\0");
      assert.match(String(stderr), /No such file/);
    });

    it("has the command ignore the signals of the image, and no other", () => {
      const { SIGHUP, SIGINT, SIGUSR2 } = constants.signals;
      for (const ignoredSignals of [[], [SIGHUP], [SIGHUP, SIGINT, SIGUSR2]]) {
        const environment = { PATH: "/usr/bin:/bin" };
        const { stdout } = run({ argv: ["grep", "SigIgn", "/proc/self/status"], environment, ignoredSignals });
        const mask = ignoredSignals.reduce((sum, signal) => sum + 2 ** (signal - 1), 0);
        assert.equal(String(stdout), `SigIgn:\t${mask.toString(16).padStart(16, "0")}\n`);
      }
    });
  });
}

it("an argument with a NUL character is refused, since no program can be given it", () => {
  for (const command of [
    { argv: ["a\0b"], environment: {} },
    { argv: ["a"], environment: { A: "\0" } },
  ])
    assert.throws(() => openCommandImage(command), { code: "spawn_failed" });
});

describe("a processor that no programs are written for", { timeout: patiently(60_000) }, () => {
  leavesNothing();

  it("has the cgroup tier all the same: the command is in its cgroup, with its environment", async () => {
    if (!tiersToTest().includes("cgroup")) return;
    const programs = joinPrograms(directory, "riscv64");
    assert.equal(programs.cgroupLauncher, undefined);
    const opened = CgroupFence.open("otherprocessor01", 1, programs);
    assert.ok(opened instanceof CgroupFence, JSON.stringify(opened));
    try {
      const container = opened.create("r1-00000001");
      const env = { PATH: "/usr/bin:/bin", "BASH_FUNC_exec%%": "() { /usr/bin/id; }" };
      const contained = await container.spawn({ command: "sh", args: ["-c", "cat /proc/self/cgroup; env -0"], env });
      const printed = await text(contained.stdout!);
      assert.match(printed, /holdfast-otherprocessor01\.1\/runs\/r1-00000001$/m);
      assert.match(printed, /HOLDFAST_RUN=\S*\/otherprocessor01\/r1-00000001\0/);
      await contained.exit;
      assert.deepEqual(await container.end(5000), []);
    } finally {
      opened.close();
    }
    assert.ok(cgroupMount() !== undefined);
  });
});
