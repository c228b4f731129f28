/** The small parts that background runs are made of, each with its promise. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { BackgroundSpec } from "../../src/protocol/background.ts";
import { systemClock } from "../../src/clock.ts";
import { platform } from "../../src/platform/index.ts";
import { GrowthWatch } from "../../src/keeper/background/growth.ts";
import { KeyedMutex } from "../../src/keyed-mutex.ts";
import { Pace } from "../../src/keeper/background/pace.ts";
import { resolveSpec } from "../../src/keeper/background/policy.ts";
import { configSchema } from "../../src/config/schema.ts";
import { HoldfastError } from "../../src/errors.ts";
import { bytesOfKeys } from "../../src/runs/keys.ts";
import { PlainText, unfinishedBytes, withoutEscapes } from "../../src/runs/text.ts";
import { Fence } from "../helpers/fence.ts";
import { backgroundSpec } from "../helpers/background-spec.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { bestTier } from "../helpers/tiers.ts";
import { until } from "../helpers/until.ts";

leavesNothing();

const spec = backgroundSpec({ cwd: "/" });

const rules = (exec: object) => configSchema.parse({ exec: { enabled: true, ...exec } }).exec;

function refusal(given: Partial<BackgroundSpec>, exec: object): { code: string; message: string } {
  try {
    resolveSpec({ ...spec, ...given }, rules(exec), { PATH: "/usr/bin:/bin", HOME: "/" });
  } catch (thrown) {
    if (thrown instanceof HoldfastError) return { code: thrown.code, message: thrown.message };
    throw thrown;
  }
  return assert.fail("it was let through");
}

describe("the policy", () => {
  it("refuses everything until it is enabled", () => {
    assert.equal(refusal({}, { enabled: false }).code, "exec_disabled");
  });

  it("knows a program by what it is, not by what it is called", () => {
    const allowed = { allowCommands: ["ls", "/bin/echo"] };
    assert.match(
      resolveSpec({ ...spec, argv: ["ls"] }, rules(allowed), { PATH: "/usr/bin:/bin" }).command,
      /^\/.*\/ls$/,
    );
    const { code, message } = refusal({ argv: ["sh", "-c", "ls"] }, allowed);
    assert.equal(code, "exec_refused");
    assert.match(message, /sh .*exec\.allowCommands \(ls, \/bin\/echo\)/);
    assert.match(refusal({ argv: ["ls"], env: { PATH: "/tmp" } }, allowed).message, /PATH may not be set/);
    assert.match(refusal({ argv: ["ls"], env: { LD_PRELOAD: "/tmp/x.so" } }, allowed).message, /LD_PRELOAD/);
  });

  it("refuses variables that steer shells, loaders and runtimes while it names commands, in a config and on a node", () => {
    const names = "BASH_ENV ENV SHELLOPTS BASHOPTS PS4 PROMPT_COMMAND IFS CDPATH LD_PRELOAD LD_LIBRARY_PATH LD_AUDIT";
    const more = "GLIBC_TUNABLES NODE_OPTIONS NODE_PATH PYTHONPATH PYTHONSTARTUP PERL5OPT RUBYOPT JAVA_TOOL_OPTIONS";
    const helpers = "GIT_SSH_COMMAND GIT_EXTERNAL_DIFF GIT_CONFIG_COUNT LESSOPEN MAKEFLAGS";
    const loaders = "DOTNET_STARTUP_HOOKS npm_config_node_options npm_config_script_shell OPENSSL_CONF OPENSSL_MODULES";
    const odd = ["BASH_FUNC_exec%%", "BASH_FUNC_ls()", "BASH_FUNC_a b%%"];
    for (const name of [...names.split(" "), ...more.split(" "), ...`${helpers} ${loaders}`.split(" "), ...odd]) {
      const given = { argv: ["ls"], env: { [name]: "() { /usr/bin/id; builtin exit; }" } };
      for (const section of ["exec", "node"] as const) {
        const lists = { ...rules({ allowCommands: ["ls"] }), section };
        assert.throws(
          () => resolveSpec({ ...spec, ...given }, lists, { PATH: "/usr/bin:/bin" }),
          ({ code, message }: HoldfastError) =>
            code === "exec_refused" && message.includes(name) && message.includes("allowCommands"),
          name,
        );
      }
      assert.equal(resolveSpec({ ...spec, ...given }, rules({}), { PATH: "/usr/bin:/bin" }).env[name], given.env[name]);
    }
    const harmless = { LS_COLORS: "x", LDFLAGS: "-O2", PSQL: "1", ENVIRONMENT: "test", "npm_config_//x/:_t": "1" };
    resolveSpec({ ...spec, argv: ["ls"], env: harmless }, rules({ allowCommands: ["ls"] }), { PATH: "/usr/bin:/bin" });
  });

  it("follows links out of an allowed directory, and refuses where they lead", () => {
    const root = mkdtempSync(join(tmpdir(), "holdfast-policy-"));
    try {
      for (const name of ["in", "in/deep", "inside-out"]) mkdirSync(join(root, name));
      symlinkSync("/etc", join(root, "in/out"));
      const allowed = { allowDirectories: [join(root, "in")] };
      assert.equal(resolveSpec({ ...spec, cwd: join(root, "in/deep") }, rules(allowed)).cwd, join(root, "in/deep"));
      for (const cwd of [join(root, "in/out"), join(root, "inside-out"), "/", join(root, "in/..")]) {
        const { code, message } = refusal({ cwd }, allowed);
        assert.equal(code, "exec_refused", cwd);
        assert.match(message, /exec\.allowDirectories/);
      }
    } finally {
      rmSync(root, { recursive: true });
    }
  });

  const bad: [string, Partial<BackgroundSpec>, RegExp][] = [
    ["a directory that is not there", { cwd: "/nowhere/at/all" }, /^cwd: \/nowhere\/at\/all is not a directory/],
    ["a relative directory", { cwd: "tmp" }, /not an absolute path/],
    ["a command with a NUL", { argv: ["echo", "a\0b"] }, /NUL/],
    ["an empty command", { argv: [""] }, /empty/],
    ["10,000 columns", { kind: "pty", size: { columns: 10_000, rows: 24 } }, /1 to 1000 columns .* not 10000 × 24/],
    ["an environment of 10 MB", { env: { BIG: "x".repeat(10_000_000) } }, /env is 10000005 bytes long/],
    ["a command of 10 MB", { argv: ["echo", "x".repeat(10_000_000)] }, /command is \d+ bytes long/],
    ["a variable that is none", { env: { "A=B": "1" } }, /not a variable/],
    ["our own marker", { env: { HOLDFAST_RUN: "/x/y" } }, /Holdfast's own/],
  ];
  for (const [name, given, message] of bad) {
    it(`names what is wrong: ${name}`, () => {
      const refused = refusal(given, {});
      assert.equal(refused.code, "invalid_params");
      assert.match(refused.message, message);
      assert.ok(refused.message.length < 500, "the message does not repeat it all");
    });
  }

  it("says of a program that is not there that it is not", () => {
    assert.deepEqual(refusal({ argv: ["no-such-program"] }, {}).code, "spawn_failed");
  });
});

describe("keys", () => {
  it("are the bytes that a terminal sends", () => {
    assert.equal(
      bytesOfKeys(["C-c", "Enter", "a", "Up", "M-x", "Escape", "C-Space", "é", "^"]),
      "\x03\ra\x1b[A\x1bx\x1b\0é^",
    );
    assert.equal(bytesOfKeys(["Up", "Home"], true), "\x1bOA\x1bOH");
  });

  it("that are none are named", () => {
    for (const key of ["Entr", "C-", "C-ab", "M-Foo", "ab"])
      assert.throws(
        () => bytesOfKeys(["a", key]),
        (thrown: HoldfastError) => thrown.code === "keys_invalid" && thrown.message.includes(key),
      );
  });
});

describe("text", () => {
  it("that a sequence follows is not cut in it, though a character before it has no end", () => {
    for (const between of ["\u001b[31m", "\u0018", "\u009b1m"]) {
      const plain = new PlainText();
      const bytes = Buffer.concat([Buffer.of(0xe2, 0x82), Buffer.from(between)]);
      plain.push(bytes);
      assert.deepEqual(plain.read(false), { text: "\ufffd", takenBytes: bytes.length });
    }
    assert.equal(withoutEscapes(Buffer.from("\xe2\u001b[m\x82\xac", "latin1")), "\ufffd\ufffd\ufffd");
  });

  it("is cut where a character ends", () => {
    for (const [text, cut, unfinished] of [
      ["aé", 1, 1],
      ["a€", 1, 2],
      ["a€", 2, 1],
      ["😀", 1, 3],
      ["😀", 3, 1],
      ["abc", 0, 0],
      ["é", 0, 0],
    ] as const) {
      const bytes = Buffer.from(text);
      assert.equal(unfinishedBytes(bytes.subarray(0, bytes.length - cut)), unfinished, `${text} without ${cut}`);
    }
    assert.equal(unfinishedBytes(Buffer.from([0x80, 0x80, 0x80, 0x80])), 0, "what is no text is not waited for");
  });
});

describe("a lane", () => {
  it("lets one at a time pass, and of those that wait the newest only", async () => {
    const mutex = new KeyedMutex();
    const first = Promise.withResolvers<void>();
    const passed: number[] = [];
    const go = (number: number, held: Promise<void> = Promise.resolve()) =>
      mutex.run("key", async () => {
        passed.push(number);
        await held;
        return number;
      });
    const begun = go(0, first.promise);
    await until("the first has the lane", () => passed.length === 1, { boundMs: 1000 });
    const all = [begun, ...Array.from({ length: 99 }, (_, index) => go(index + 1))];
    const settled = Promise.allSettled(all);
    first.resolve();
    const outcomes = await settled;
    assert.deepEqual(passed, [0, 99]);
    assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 2);
    assert.equal(await go(100), 100, "the lane is free again");
  });
});

describe("the pace", () => {
  it("holds a run to its reader, and lets go when it has read, or did not for its time", async () => {
    let printed = 0;
    const calls: string[] = [];
    using pace = new Pace({
      clock: systemClock,
      behindMax: 100,
      readerBoundMs: 200,
      printed: () => printed,
      pause: () => calls.push("pause"),
      resume: () => calls.push("resume"),
    });
    const print = (bytes: number) => {
      printed += bytes;
      pace.printedMore();
    };
    print(100);
    assert.deepEqual(calls, []);
    print(1);
    print(50);
    assert.deepEqual(calls, ["pause"]);
    pace.readTo(40);
    assert.deepEqual(calls, ["pause"]);
    pace.readTo(60);
    assert.deepEqual(calls, ["pause", "resume"]);
    print(100);
    const began = performance.now();
    await until("the run goes on", () => calls.length === 4, { boundMs: 5000 });
    assert.ok(performance.now() - began >= 190, "a reader that is away for less is waited for");
  });
});

describe("the watch on growth", () => {
  it("names a tree that starts the same helper again and again, and no other", async () => {
    await using fence = new Fence(bestTier());
    const [growing] = await fence.run("bash", ["-c", "for n in $(seq 60); do sleep 1000 & sleep 0.05; done; wait"]);
    const [steady] = await fence.run("bash", ["-c", "for n in $(seq 20); do sleep 1000 & done; wait"]);
    await until("the steady one is grown", () => steady.list().length === 21, { boundMs: 5000 });
    const told = new Map<string, string>();
    const runs = () => [growing, steady].map((each) => ({ id: each.runId, members: () => each.list() }));
    using watch = new GrowthWatch(
      { clock: systemClock, processes: platform.processes, runs, onGrowing: (id, what) => told.set(id, what) },
      100,
    );
    assert.ok(watch);
    await until("it is named", () => told.has(growing.runId), { boundMs: 10_000 });
    assert.match(told.get(growing.runId) ?? "", /^\d+ processes, \d+ of them sleep 1000$/);
    await delay(300);
    assert.deepEqual([...told.keys()], [growing.runId]);
    assert.deepEqual(await growing.end(5000), []);
    assert.deepEqual(await steady.end(5000), []);
  });
});
