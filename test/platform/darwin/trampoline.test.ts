/** What stands between launchd and a command: it waits for "go", passes everything on exactly, and starts nothing without it. */
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { text } from "node:stream/consumers";
import { commandScript, type ScriptedCommand } from "../../../src/platform/darwin/command-script.ts";
import { RealJobFiles } from "../../../src/platform/darwin/job-files.ts";
import type { JobPlace, JobRequest } from "../../../src/platform/darwin/job.ts";
import { readPlist } from "../../fixtures/launchd/read-plist.ts";
import { needs } from "../../helpers/needs.ts";
import { leavesNothing } from "../../helpers/no-leaks.ts";

const shells: [name: string, words: ["dash" | "busybox" | "bash", ...string[]]][] = [
  ["dash", ["dash"]],
  ["busybox sh", ["busybox", "sh"]],
  ["bash --posix", ["bash", "--posix"]],
];
const directory = mkdtempSync(join(tmpdir(), "holdfast trampoline's-"));
const files = new RealJobFiles(join(directory, "jobs"), []);
after(() => rmSync(directory, { recursive: true }));
let count = 0;

interface Begun {
  readonly place: JobPlace;
  readonly child: ChildProcess;
  readonly exit: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

/** As launchd starts it, with another shell in the place of /bin/sh. */
function begin(shell: readonly string[], streams: JobRequest["streams"] = ["pipe", "pipe", "pipe"]): Begun {
  count += 1;
  const place = files.make({ label: `holdfast.test.r1-${count}`, name: `r1-${count}`, streams });
  const { words } = readPlist(readFileSync(place.propertyList, "utf8"));
  const line = words.flatMap((word) => (word === "/bin/sh" ? shell : [word]));
  const env = { PATH: process.env["PATH"], XPC_SERVICE_NAME: "holdfast.test", SECRET: "of launchd" };
  const child = spawn(line[0] ?? "", line.slice(1), { env, stdio: "ignore", detached: true, cwd: "/" });
  const exit = once(child, "exit").then(([code, signal]) => ({ code, signal }));
  return { place, child, exit };
}

function scriptOf(changes: Partial<ScriptedCommand>): Buffer {
  const command = { command: "true", args: [], cwd: "/", env: { PATH: "/usr/bin:/bin" }, umask: 0o022, ...changes };
  return commandScript(command, { HOLDFAST_RUN: "/owner/r1-1" });
}

const nasty = [
  "",
  " ",
  "'",
  "''\\''",
  "$HOME `id` $(id) \\",
  "two\nlines\n",
  "-n",
  "*",
  "\u00e9\u{1f642}",
  "#x",
  "~",
  "a=b",
  "\t\r;&|<>(){}[]!?",
];

/** Prints its arguments, environment, directory and umask as JSON. */
const witness = `console.log(JSON.stringify({ args: process.argv.slice(1), env: process.env, cwd: process.cwd(), umask: process.umask() }))`;

for (const [name, shell] of shells)
  describe(`the trampoline under ${name}`, { skip: needs(shell[0]) }, () => {
    leavesNothing();

    it("becomes the command with its arguments, environment, directory and umask, and nothing else", async () => {
      const cwd = join(directory, `a 'b' $c \n${count}`);
      mkdirSync(cwd);
      const env = { ...Object.fromEntries(nasty.map((value, index) => [`V${index}`, value])), PATH: "/bin", IFS: "x" };
      const { place, child, exit } = begin(shell);
      assert.equal(await place.hello, child.pid);
      const { stdin, stdout, stderr } = place.openStreams();
      place.go(scriptOf({ command: process.execPath, args: ["-e", witness, "--", ...nasty], cwd, env, umask: 0o027 }));
      stdin?.end();
      const [output, errors] = await Promise.all([text(stdout!), text(stderr!)]);
      assert.equal(errors, "");
      const seen = JSON.parse(output) as { args: string[]; env: Record<string, string>; cwd: string; umask: number };
      assert.deepEqual(seen.args, nasty);
      // What a shell sets for every program that it becomes.
      delete seen.env["_"];
      delete seen.env["SHLVL"];
      assert.deepEqual(seen.env, { ...env, HOLDFAST_RUN: "/owner/r1-1" });
      assert.equal(seen.cwd, realpathSync(cwd));
      assert.equal(seen.umask, 0o027);
      assert.deepEqual(await exit, { code: 0, signal: null });
      place.remove();
    });

    it("starts nothing before it hears go", async () => {
      const witnessed = join(directory, `began-${count}`);
      const { place, child, exit } = begin(shell);
      await place.hello;
      assert.deepEqual(
        readdirSync(directory).filter((each) => each.startsWith("began")),
        [],
      );
      assert.equal(child.exitCode, null);
      const streams = place.openStreams();
      place.go(scriptOf({ command: "touch", args: [witnessed] }));
      assert.deepEqual(await exit, { code: 0, signal: null });
      for (const stream of Object.values(streams)) stream?.destroy();
      rmSync(witnessed);
      place.remove();
    });

    it("starts nothing and ends when the keeper gives up, before it or after", async () => {
      const late = begin(shell);
      late.place.remove(); // perhaps before it has opened anything
      assert.equal((await late.exit).code === 0, false);
      const early = begin(shell);
      await early.place.hello;
      early.place.remove();
      assert.deepEqual(await early.exit, { code: 70, signal: null });
    });

    it("runs no command that was cut short on its way, wherever that was", async () => {
      const witnessed = join(directory, `cut-${count}`);
      const script = scriptOf({ command: "touch", args: [witnessed] });
      const cuts = [1, script.indexOf("set --"), script.indexOf("set --") + 12, script.length - 8];
      for (const length of cuts) {
        const { place, exit } = begin(shell, ["ignore", "ignore", "ignore"]);
        await place.hello;
        place.go(script.subarray(0, length));
        const { code } = await exit;
        assert.ok(code !== 0, `cut to ${length} bytes: exit code ${code}`);
        assert.throws(() => readFileSync(witnessed), { code: "ENOENT" });
        place.remove();
      }
    });

    it("tells by the exit code that a program is missing, or a directory", async () => {
      for (const [changes, code] of [
        [{ command: "no-such-program" }, 127],
        [{ cwd: "/no/such/directory" }, 126],
      ] as const) {
        const { place, exit } = begin(shell, ["ignore", "ignore", "pipe"]);
        await place.hello;
        const { stderr } = place.openStreams();
        place.go(scriptOf(changes));
        assert.match(await text(stderr!), /no.such/);
        assert.equal((await exit).code, code);
        place.remove();
      }
    });

    it("carries large environments and streams, and its end as a signal", async () => {
      const value = "v".repeat(120_000);
      const { place, exit } = begin(shell);
      await place.hello;
      const { stdin, stdout, stderr } = place.openStreams();
      place.go(
        scriptOf({
          command: "sh",
          args: ["-c", 'echo "${#BIG}"; cat; kill -KILL $$'],
          env: { BIG: value, PATH: "/bin:/usr/bin" },
        }),
      );
      stdin?.end("x".repeat(500_000));
      assert.equal((await text(stdout!)).length, 7 + 500_000);
      assert.deepEqual(await exit, { code: null, signal: "SIGKILL" });
      stderr?.destroy();
      place.remove();
    });
  });

describe("the place of a job", () => {
  leavesNothing();

  it("shows no value of the environment in arguments and files, and is private", async () => {
    const { place, child, exit } = begin(["dash"], ["ignore", "pipe", "ignore"]);
    await place.hello;
    place.record({ coalition: 12n, boot: "here" });
    const home = join(place.propertyList, "..");
    const { stdout } = place.openStreams();
    const before = readdirSync(home);
    place.go(
      scriptOf({
        command: "sh",
        args: ["-c", "echo begun; exec sleep 100"],
        env: { TOKEN: "s3cret", PATH: "/bin:/usr/bin" },
      }),
    );
    await once(stdout!, "data");
    assert.deepEqual(before.toSorted(), ["control", "hello", "job.plist", "record", "stdout"]);
    for (const file of ["job.plist", "record"]) assert.ok(!readFileSync(join(home, file), "utf8").includes("s3cret"));
    assert.ok(!readFileSync(`/proc/${child.pid}/cmdline`, "utf8").includes("s3cret"));
    assert.equal(statSync(home).mode & 0o777, 0o700);
    for (const file of before) assert.equal(statSync(join(home, file)).mode & 0o777, 0o600, file);
    child.kill("SIGKILL");
    await exit;
    stdout!.destroy();
    place.remove();
    assert.deepEqual(files.names(), []);
  });

  it("keeps what is known of the job, and believes no record that was altered", () => {
    const place = files.make({ label: "holdfast.test.r2-1", name: "r2-1", streams: ["ignore", "ignore", "ignore"] });
    assert.equal(files.read("r2-1"), undefined);
    place.record({ coalition: 77n, boot: "boot" });
    assert.deepEqual(files.read("r2-1"), { coalition: 77n, boot: "boot" });
    const record = join(place.propertyList, "..", "record");
    for (const altered of [
      "",
      "{}",
      '{"coalition":77,"boot":"boot"}',
      '{"coalition":"-1","boot":"b"}',
      '{"coalition":"1"}',
      "null",
    ]) {
      writeFileSync(record, altered);
      assert.equal(files.read("r2-1"), undefined, altered);
    }
    place.remove();
    files.remove("../escape"); // a name that is none
    assert.deepEqual(files.names(), []);
  });

  for (const name of ["a.b", "1x", "", "UID", "BASH_VERSINFO", "a b", "x;y"])
    it(`refuses the variable ${JSON.stringify(name)}, which a shell cannot set`, () => {
      assert.throws(() => scriptOf({ env: { [name]: "value" } }), /cannot set the variable .*leave it out/);
    });

  it("takes the first of several entries of one name, as bytes", () => {
    const env = [Buffer.from("A=1\xff", "latin1"), Buffer.from("A=2"), Buffer.from("HOLDFAST_RUN=outer")];
    const lines = scriptOf({ env }).toString("latin1").split("\n");
    assert.deepEqual(
      lines.filter((line) => line.startsWith("export")),
      ["export A='1\xff'", "export HOLDFAST_RUN='/owner/r1-1'"],
    );
  });

  it("refuses a zero byte", () => {
    assert.throws(() => scriptOf({ args: ["a\0b"] }), /zero byte/);
  });
});
