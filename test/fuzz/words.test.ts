/** Words: of the command line, of a shell on another machine, of ssh's own, of the guardian there. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { describe } from "node:test";
import { CommanderError } from "commander";
import * as fc from "fast-check";
import { makeProgram } from "../../src/cli/command-line.ts";
import { parseRunArguments } from "../../src/cli/run.ts";
import { HoldfastError } from "../../src/errors.ts";
import { parseHost, parseSshArguments, readDestination, withoutJumps } from "../../src/ssh/destination.ts";
import { readMessage } from "../../src/ssh/remote/guardian-messages.ts";
import { quote } from "../../src/ssh/remote/quote.ts";
import { bootstrap, RemoteScripts } from "../../src/ssh/remote/script.ts";
import { property } from "./helpers/property.ts";

const someText = fc.oneof(
  fc.constantFrom(
    "",
    "1",
    "-1",
    "0x10",
    "1e3",
    " 80",
    "99999",
    "--",
    "-",
    "--help",
    "-h",
    "-x",
    "--no-such",
    "--port=1",
    "--json=1",
    "ünï",
    "\n",
    "\u001b[2J",
    "a=b",
    "=",
  ),
  fc.string({ maxLength: 6 }),
);

interface Known {
  path: string[];
  options: string[];
}
function knownOf(command: ReturnType<typeof makeProgram>, path: string[] = []): Known[] {
  const options = command.options.flatMap(({ short, long }) =>
    [short, long].filter((each) => each !== undefined && each !== null),
  );
  return [{ path, options }, ...command.commands.flatMap((each) => knownOf(each, [...path, each.name()]))];
}
const program = (onRun: () => void) => {
  let said = "";
  const made = makeProgram(() => async () => onRun(), {
    writeOut: (text: string) => void (said += text),
    writeErr: (text: string) => void (said += text),
  });
  return { made, said: () => said };
};
const known = knownOf(program(() => {}).made);
const line = fc.constantFrom(...known).chain(({ path, options }) => {
  const word = fc.oneof(
    someText,
    options.length === 0 ? fc.constant("x") : fc.constantFrom(...options),
    fc.constantFrom("list", "run", "x"),
  );
  return fc.array(word, { maxLength: 5 }).map((more) => [...path, ...more]);
});

describe("the command line", () => {
  property("of any words runs one command, or says why not and how to go on", 400, line, async (words) => {
    let runs = 0;
    const { made, said } = program(() => runs++);
    try {
      await made.parseAsync(["node", "holdfast", ...words]);
      assert.equal(runs, 1);
    } catch (thrown) {
      // `run` is parsed by hand, and reached here behind global options only.
      if (thrown instanceof HoldfastError && thrown.message.startsWith("run takes no global")) return;
      assert.ok(thrown instanceof CommanderError, String(thrown));
      assert.equal(runs, 0);
      assert.ok(said() !== "", "something is said");
      if (thrown.exitCode !== 0) assert.match(said(), /^error: |^Usage: /m);
    }
    assert.doesNotMatch(said(), /\n {4}at /);
  });
  const numbers = fc.oneof(
    someText,
    fc.integer().map(String),
    fc.constantFrom("", " ", "0", "65535", "65536", "1.5", "١"),
  );
  property("takes a port for what it says alone", 300, numbers, async (text) => {
    let runs = 0;
    const { made } = program(() => runs++);
    const isPort = /^\d{1,5}$/.test(text) && Number(text) <= 65_535;
    await made
      .parseAsync(["node", "holdfast", "gateway", `--port=${text}`])
      .catch((thrown: unknown) => assert.ok(thrown instanceof CommanderError));
    assert.equal(runs, isPort ? 1 : 0, JSON.stringify(text));
  });

  const runWord = fc.oneof(
    someText,
    fc.constantFrom(
      "--term-grace",
      "--term-grace=5",
      "--kill-with",
      "--limit-pids=3",
      "--limit-memory",
      "5",
      "--term-grace=5=6",
      "cmd",
    ),
  );
  property(
    "of `holdfast run` is options, then the command as it is written",
    500,
    fc.array(runWord, { maxLength: 6 }),
    (words) => {
      let read;
      try {
        read = parseRunArguments(words);
      } catch (thrown) {
        return assert.ok(
          thrown instanceof HoldfastError && thrown.code === "usage" && thrown.message.startsWith("run: "),
          String(thrown),
        );
      }
      if (read === "help") return assert.ok(words.includes("-h") || words.includes("--help"));
      const rest = words.slice(-read.wordCount);
      assert.equal(rest[0], read.command);
      const before = words.slice(0, -read.wordCount).filter((word) => word !== "--");
      for (const word of before)
        assert.match(word, /^(?:--(?:term-grace|kill-with|limit-pids|limit-memory)(?:=\d{1,15})?|\d{1,15})$/);
      assert.ok(Number.isSafeInteger(read.termGraceMs));
    },
  );
});

// No NUL, which no argument can have.
const shellWord = fc
  .oneof(
    fc.string({ unit: "binary", maxLength: 12 }),
    fc
      .array(fc.constantFrom("'", '"', "\\", "$", "`", "\n", "!", "*", "~", " ", "-", "$(x)", "é", "\u007f", "%s"), {
        maxLength: 8,
      })
      .map((parts) => parts.join("")),
  )
  .map((word) => word.replaceAll("\0", ""));

describe("a word for a shell on another machine", () => {
  property("comes back byte for byte", 6, fc.array(shellWord, { minLength: 1, maxLength: 200 }), (words) => {
    const printed = execFileSync("sh", { input: `printf '%s\\0' ${words.map(quote).join(" ")}\n` });
    assert.deepEqual(
      printed.toString("utf8").split("\0").slice(0, -1),
      words.map((word) => Buffer.from(word).toString()),
    );
  });
  const environment = fc.dictionary(fc.constantFrom("A", "B_1", "_x"), shellWord, { noNullPrototype: true });
  property(
    "in the script of a run is read by sh as it was, and the bootstrap as a command for any login shell",
    5,
    fc.tuple(fc.array(shellWord, { minLength: 1, maxLength: 5 }), environment, shellWord),
    ([argv, env, cwd]) => {
      const script = new RemoteScripts().run({
        mark: "/o/e.l/r",
        graceMs: 1,
        base: "",
        reaper: "",
        env,
        cwd,
        command: { argv },
      });
      execFileSync("sh", ["-n"], { input: script });
      assert.match(bootstrap(script), /^[^\n!\\]*$/);
      const functions = script
        .toString("utf8")
        .replace(
          /exec sh "\$@"[^]*$/,
          `eval "$(printf '%s' "$HOLDFAST_SCRIPT" | sed -n '/^set_environment() {$/,$p' | sed '/^run_it/,$d' | head -c 0)"; printf '%s' "$HOLDFAST_SCRIPT"`,
        );
      const inner = execFileSync("sh", { input: functions }).toString("utf8");
      for (const word of argv) assert.ok(inner.includes(quote(word)), JSON.stringify(word));
      execFileSync("sh", ["-n"], { input: inner });
    },
  );
});

describe("ssh's own words", () => {
  const option = fc.oneof(
    fc.constantFrom(
      "-4",
      "-T",
      "-tt",
      "-p",
      "22",
      "-p22",
      "-J",
      "jump",
      "-oA=b c",
      "-o",
      "-vi",
      "key",
      "-L",
      "--",
      "-",
      "-A",
      "me@host",
      "host",
      "ls",
      "-l",
    ),
    shellWord,
  );
  property(
    "that reach a host are the same after their name in the ledger is read",
    500,
    fc.array(option, { maxLength: 6 }),
    (args) => {
      const read = parseSshArguments(args);
      if (read === undefined) return;
      const { destination, line: command } = read;
      assert.deepEqual(readDestination(destination.name).words, destination.words);
      assert.ok(!destination.words.at(-1)!.startsWith("-"));
      assert.ok(args.join(" ").endsWith(command));
      assert.ok(!withoutJumps(destination.words).includes("-J"));
    },
  );
  property(
    "of a config are one host, never an option",
    300,
    fc.oneof(fc.string(), fc.constantFrom("-oProxyCommand=x", "me@host", "a b", "h")),
    (host) => {
      try {
        const { words, name } = parseHost(`ssh:${host}`);
        assert.deepEqual(words, [host]);
        assert.ok(!host.startsWith("-") && !/\s/.test(host));
        assert.deepEqual(readDestination(name).words, words);
      } catch (thrown) {
        assert.ok(thrown instanceof HoldfastError && thrown.code === "config_invalid", String(thrown));
      }
    },
  );
});

describe("a line of a guardian on another machine", () => {
  const claim = fc.oneof(
    fc.constantFrom(
      "holdfast-far",
      "ready",
      "no-proc",
      "cgroup",
      "subreaper",
      "marker",
      "157",
      "167",
      "-",
      "0",
      "7",
      "/sys/fs/cgroup/x",
      "beat",
      "empty",
      "left",
      "1",
      "r1",
    ),
    fc.string({ maxLength: 5 }),
  );
  const greeting = fc.tuple(
    fc.constantFrom("holdfast-far"),
    fc.constantFrom("ready"),
    fc.constantFrom("cgroup", "subreaper", "marker"),
    fc.constantFrom("157", "-", "1"),
    fc.constantFrom("0", "x"),
    fc.constantFrom("-", "/sys/fs/cgroup/x", "x"),
  );
  property(
    "is one that the script can send, or none",
    800,
    fc.tuple(
      fc.oneof(fc.array(claim, { maxLength: 7 }), greeting, fc.constantFrom(["beat", "7"], ["beat", "7", "8"])),
      fc.constantFrom("", "cgroup", "subreaper", "marker"),
    ),
    ([words, only]) => {
      const message = readMessage(words.join(" "), only);
      if (message?.type === "heartbeat") assert.equal(words.length, 2);
      if (message?.type === "heartbeat") assert.ok(Number.isSafeInteger(message.number) && message.number > 0);
      if (message?.type === "ended") assert.match(message.left, /^(?:[1-9]\d*(?: [1-9]\d*)*|a cgroup)?$/);
      if (message?.type !== "ready") return;
      assert.ok(["cgroup", "subreaper", "marker"].includes(message.tier));
      if (only === "marker") assert.equal(message.tier, "marker");
      assert.ok(message.reaper === "" || /^1[56]7$/.test(message.reaper));
      assert.ok(message.base === "" || /^\/\S*$/.test(message.base));
      assert.equal(message.tier === "cgroup", message.base !== "");
      assert.ok(Number.isSafeInteger(message.swept));
    },
  );
});
