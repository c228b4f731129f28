/**
 * A host that starts one command in the way of one contender and lives until it is killed.
 * Usage: node host.ts CONTENDER COMMAND [ARGUMENT...]. "stop" on stdin ends the command as that contender does it, and
 * prints "stopped" when the contender says that it is done, or after `stopBoundMs`.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { createInterface } from "node:readline";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { contain } from "../../../src/library/contain.ts";
import { ContainedStdioTransport } from "../../../src/library/stdio-transport.ts";

/** Ends what was started; resolves when the contender would tell its caller that it is done. */
type Stop = () => Promise<unknown>;
type Start = (command: string, args: string[]) => Stop | Promise<Stop>;

const termGraceMs = 500;
const stopBoundMs = 8000;
const mainFile = fileURLToPath(new URL("../../../dist/main.js", import.meta.url));

/** Peers are installed beside the benches only, so their types are not there to be checked. */
const peer = async (name: string): Promise<Record<string, unknown>> => (await import(name)) as Record<string, unknown>;

async function exitOf(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
}

/** SIGTERM, a grace, SIGKILL, to the one pid that is known: what nearly every host does. */
function spawnAndKill(command: string, args: string[], graceMs = termGraceMs): Stop {
  const child = spawn(command, args, { stdio: ["pipe", "ignore", "ignore"] });
  return async () => {
    child.kill("SIGTERM");
    const force = setTimeout(() => child.kill("SIGKILL"), graceMs);
    await exitOf(child);
    clearTimeout(force);
  };
}

interface ExecaProcess extends Promise<unknown> {
  kill(): boolean;
}

function withExeca(extra: Record<string, boolean>): Start {
  return async (command, args) => {
    const { execa } = (await peer("execa")) as unknown as {
      execa: (command: string, args: string[], options: object) => ExecaProcess;
    };
    const given = {
      cleanup: true,
      forceKillAfterDelay: termGraceMs,
      stdin: "pipe",
      stdout: "ignore",
      stderr: "ignore",
    };
    const child = execa(command, args, { ...given, ...extra });
    const ended = child.catch(() => {}); // execa rejects for every command that was killed
    return () => {
      child.kill();
      return ended;
    };
  };
}

async function withTreeKill(command: string, args: string[]): Promise<Stop> {
  const { default: treeKill } = (await peer("tree-kill")) as unknown as {
    default: (pid: number, signal: string, done: () => void) => void;
  };
  const child = spawn(command, args, { stdio: ["pipe", "ignore", "ignore"] });
  return () => new Promise<void>((resolve) => treeKill(child.pid ?? 0, "SIGKILL", resolve));
}

const prefixed =
  (...words: string[]): Start =>
  (command, args) => {
    const [first = "", ...rest] = [...words, command, ...args];
    return spawnAndKill(first, rest);
  };

const starts: Record<string, Start> = {
  spawn: (command, args) => spawnAndKill(command, args),
  execa: withExeca({}),
  "execa-descendants": withExeca({ killDescendants: true }),
  "tree-kill": withTreeKill,
  async sdk(command, args) {
    const transport = new StdioClientTransport({ command, args, stderr: "ignore" });
    await transport.start();
    return () => transport.close();
  },
  setpriv: prefixed("setpriv", "--pdeathsig", "SIGKILL"),
  "systemd-run": prefixed("systemd-run", "--user", "--scope", "--quiet"),
  bwrap: prefixed("bwrap", "--unshare-pid", "--die-with-parent", "--dev-bind", "/", "/"),
  // The client knows nothing of the wrapper: it waits for it as long as the MCP SDK does.
  run: (command, args) => spawnAndKill(process.execPath, [mainFile, "run", "--", command, ...args], 2000),
  async contain(command, args) {
    const contained = await contain(command, args, { stdinGraceMs: 0, termGraceMs });
    return () => contained.stop();
  },
  async transport(command, args) {
    const transport = new ContainedStdioTransport({ command, args, stderr: "ignore" });
    await transport.start();
    return () => transport.close();
  },
};

const [, , name = "", command = "", ...args] = process.argv;
const start = starts[name];
if (start === undefined) throw new Error(`no such contender: ${name}`);
const stop = await start(command, args);
for await (const order of createInterface({ input: process.stdin })) {
  if (order !== "stop") continue;
  const bound = new Promise((resolve) => setTimeout(resolve, stopBoundMs).unref());
  await Promise.race([stop(), bound]);
  console.log("stopped");
}
