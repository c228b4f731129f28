/** The programs whose trees hide, and which of them a system can play. */
import { fileURLToPath } from "node:url";
import { platform } from "../platform/index.ts";
import { shellScript } from "../platform/self/index.ts";
import { macosAttacks, shellAttacks, windowsAttacks, type Attack } from "./ways-to-hide.ts";

export interface Trees {
  readonly attacks: readonly Attack[];
  /** Programs that each attack needs on PATH. */
  readonly attackPrograms: readonly string[];
  readonly serverPrograms: readonly string[];
  /** Command line of a tree that lists its processes in `file` and prints "ready". `place`: a directory for programs. */
  attack(name: string, file: string, place: string): string[];
  /** Command line of an MCP server with `serverProcesses` processes, listed in `file`. */
  server(file: string): string[];
  /** Command line of a program that starts a command and stays. */
  caller(command: readonly string[]): string[];
}

/** The server and its five helpers. */
export const serverProcesses = 6;

/** Lifetime of the programs, in case the self-test is killed. */
const leftBehindSeconds = 120;

const beside = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const node = (name: string, ...args: string[]) => [process.execPath, beside(name), ...args];
const lifetime = String(leftBehindSeconds);

const caller = (command: readonly string[]) => node("caller.cjs", lifetime, ...command);

const shellTrees: Trees = {
  attacks: shellAttacks,
  attackPrograms: ["bash"],
  serverPrograms: ["sh", "setsid", "nohup", "env", "grep", "sleep"],
  attack: (name, file, place) => {
    const launcher = platform.witness.reaperProgram(place);
    return ["bash", beside("attack.sh"), name, file, launcher, lifetime];
  },
  server: (file) => shellScript(beside("server.sh"), file, lifetime),
  caller,
};

const nodeTrees = (attacks: readonly Attack[], attackPrograms: readonly string[], suffix: "" | "-unix"): Trees => ({
  attacks,
  attackPrograms,
  serverPrograms: [],
  attack: (name, file) => node(`attack${suffix}.cjs`, name, file, lifetime),
  server: (file) => node(`server${suffix}.cjs`, file, lifetime),
  caller,
});

export const treesOf: Readonly<Record<typeof platform.witness.trees, Trees>> = {
  shell: shellTrees,
  windows: nodeTrees(windowsAttacks, [], ""),
  macos: nodeTrees(macosAttacks, ["bash", "nohup"], "-unix"),
};

export const ownTrees: Trees = treesOf[platform.witness.trees];
