/** On a machine that is, or says that it is, another system: every command ends with a clear sentence and its exit code. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import type { Command } from "commander";
import { makeProgram } from "../../src/cli/command-line.ts";
import { sample } from "../helpers/long.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { flagsToPlay, played } from "../helpers/played-system.ts";
import { mainFile } from "../helpers/program.ts";
import { patiently } from "../helpers/until.ts";

leavesNothing();
/** As many at a time: each is a start of Node.js. */
const atOnce = 4;
const boundMs = 60_000;

/** Typical arguments of each command; FILE is a client's config. */
const commands = `
  gateway --port 0; status; ps --all; stop; restart; restart --all; crashes
  sessions list; sessions end s1; tokens add alice; tokens list; tokens revoke alice
  mcp; mcp --no-pump --server a; mcp add b -- sh; mcp remove a; mcp list; mcp reload; mcp status
  mcp probe a; mcp refresh; mcp login a; mcp logout a
  add c -- sh -c cat; add d --url https://example.com/mcp; remove a; list; import; import FILE
  wrap; wrap --yes; wrap --dry-run FILE; wrap --gateway --yes FILE; unwrap --yes; unwrap --dry-run FILE
  export --client claude; connect; connect --client codex --url http://127.0.0.1:4653
  exec -- true; exec --background --pty -- true; attach r1; logs r1 -f
  process list; process poll r1; process log r1; process write r1 x; process send-keys r1 Enter
  process submit r1 x; process paste r1 x; process resize r1 80 24; process signal r1 SIGTERM
  process kill r1; process clear r1; process remove r1; process wait r1
  node run --host 127.0.0.1 --port 4653; node run --host 127.0.0.1 --once
  nodes list; nodes pending; nodes describe n; nodes approve n; nodes reject n; nodes revoke n
  nodes forget n; nodes rename n m; nodes invite; nodes run n -- true
  doctor; doctor --all --port 4653; doctor --reap --yes; selftest --time-limit 20; completion bash
  run -- true; run --term-grace 5 --limit-pids 9 -- sh -c cat; run -- no-such-program; run --help
  help; --version; no-such-command
`
  .split(/[;\n]/)
  .map((command) => command.trim())
  .filter((command) => command !== "");

/** What needs a fence, and so refuses where there is none; `wrap` does where it finds a file. */
const needsFence = /^(?:gateway|node run|selftest|doctor|run --(?! no-such|help)|(?:mcp )?add|import)/;
const needsFile = /^wrap --(?:yes|gateway)/;
const noFile = /found no config|cannot read/;

let place = "";
before(() => {
  place = mkdtempSync(join(tmpdir(), "holdfast-systems-"));
});
after(() => rmSync(place, { recursive: true }));

/** Client configs, a gateway's config and token, and the record of a gateway that died here. */
function furnish(home: string): void {
  const state = join(home, "state");
  mkdirSync(join(home, ".codex"), { recursive: true });
  mkdirSync(state, { mode: 0o700 });
  const servers = JSON.stringify({ mcpServers: { a: { command: "sh", args: ["-c", "cat"] } } });
  writeFileSync(join(home, ".claude.json"), servers);
  writeFileSync(join(home, ".codex", "config.toml"), '[mcp_servers.t]\ncommand = "sh"\n');
  writeFileSync(join(state, "holdfast.json"), servers);
  writeFileSync(join(state, "token"), "hf_0000000000000000\n", { mode: 0o600 });
  const one = { pid: 4_194_303, startTime: "1", bootId: "another boot" };
  const record = {
    ...one,
    url: "http://127.0.0.1:9",
    urls: ["http://127.0.0.1:9"],
    epoch: 1,
    front: one,
    guardian: one,
  };
  writeFileSync(join(state, "keeper.json"), JSON.stringify(record), { mode: 0o600 });
}

interface Ended {
  command: string;
  code: number | null;
  stdout: string;
  stderr: string;
}

/** For everything that the command starts, too. */
const playing = (flags: string[]) => ({ NODE_OPTIONS: flags.join(" ") });

/** In a copy of the home, so that no command finds what another one wrote. */
async function play(flags: string[], command: string, template: string): Promise<Ended> {
  const home = mkdtempSync(join(place, "home-"));
  cpSync(template, home, { recursive: true });
  const file = join(home, ".claude.json");
  const words = command.split(" ").map((word) => (word === "FILE" ? file : word));
  const child = spawn(process.execPath, [mainFile, ...words], {
    cwd: home,
    env: {
      PATH: process.env["PATH"],
      HOME: home,
      HOLDFAST_STATE: join(home, "state"),
      TMPDIR: home,
      ...playing(flags),
    },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: boundMs,
    killSignal: "SIGKILL",
  });
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  rmSync(home, { recursive: true });
  return { command, code: child.exitCode, stdout, stderr };
}

/** What is wrong with an end; undefined when it is a clear one. */
function faultOf({ command, code, stdout, stderr }: Ended, fence: RegExp): string | undefined {
  const printed = stdout + stderr;
  const show = `${command}: exit code ${code}\n${printed}`;
  if (code === null) return `${command} hangs\n${printed}`;
  if (/^\s+at .*:\d+|this is a defect|\bundefined\b|\[object/m.test(printed)) return `shows its inside: ${show}`;
  if (![0, 1, 2].includes(code) && !/command not found$/m.test(stderr)) return `a strange end: ${show}`;
  const isTable = /^Nothing was tried: /m.test(stdout); // the self-test says there why
  if (code !== 0 && !isTable && !/^(?:holdfast(?: run)?|error): \S.{15,}$/m.test(stderr))
    return `says nothing: ${show}`;
  const isRefused = needsFence.test(command) || (needsFile.test(command) && !noFile.test(stderr));
  if (isRefused && (code !== 1 || !fence.test(printed))) return `does not refuse: ${show}`;
  return undefined;
}

async function faults(
  flags: string[],
  template: string,
  fence: RegExp,
  tried: readonly string[] = commands,
): Promise<string[]> {
  const waiting = [...tried];
  const found: string[] = [];
  const worker = async () => {
    for (let command = waiting.shift(); command !== undefined; command = waiting.shift()) {
      const fault = faultOf(await play(flags, command, template), fence);
      if (fault !== undefined) found.push(fault);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return found;
}

/** Each command without commands of its own, by its words. */
function leavesOf(command: Command, path: readonly string[] = []): string[] {
  return command.commands.flatMap((one) => {
    const words = [...path, one.name()];
    return [
      ...(one.commands.length === 0 || words.join(" ") === "mcp" ? [words.join(" ")] : []),
      ...leavesOf(one, words),
    ];
  });
}

it("every command is tried", () => {
  const untried = leavesOf(makeProgram(() => async () => {})).filter(
    (leaf) => !commands.some((command) => command === leaf || command.startsWith(`${leaf} `)),
  );
  assert.deepEqual(untried, []);
});

/** What each says where it has no fence. */
const systems = {
  "a macOS without libproc": [played.darwin, /libSystem\.B\.dylib, which cannot be loaded here/],
  "a system without a backend": [played.freebsd, /no containment for freebsd/],
} as const;

for (const [name, [system, fence]] of Object.entries(systems)) {
  describe(`on ${name}, every command ends with a clear sentence`, { timeout: patiently(280_000) }, () => {
    it("in an empty home", async () => {
      const template = mkdtempSync(join(place, "template-"));
      assert.deepEqual(await faults(flagsToPlay(system), template, fence, sample(commands)), []);
    });

    it("among files of clients and of a gateway that died", async () => {
      const template = mkdtempSync(join(place, "template-"));
      furnish(template);
      const tried = system === played.darwin ? commands : sample(commands, 1);
      assert.deepEqual(await faults(flagsToPlay(system), template, fence, tried), []);
    });
  });
}

it("an argument that is no text is refused on a macOS, not changed", () => {
  const flags = flagsToPlay(played.darwin).map((flag) => `'${flag}'`);
  const line = `exec '${process.execPath}' ${flags.join(" ")} '${mainFile}' run -- printf %s "$(printf '\\377')"`;
  const { status, stderr } = spawnSync("sh", ["-c", line], { encoding: "utf8", timeout: boundMs });
  assert.deepEqual(
    [status, stderr],
    [2, "holdfast: run: the command holds bytes that are not UTF-8 text: put it into a script\n"],
  );
});
