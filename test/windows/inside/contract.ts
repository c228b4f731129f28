/** Windows keeps the platform's contract: real processes, counted from the lists that they write themselves. */
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { platform } from "../../../src/platform/index.ts";
import type { ProcessRef } from "../../../src/platform/types.ts";
import { RealWorld, type Counted } from "../../platform/contract/real-world.ts";
import { contractSuite, type Backend } from "../../platform/contract/suite.ts";
import { hidingIn, isLive, linesOf, pidsIn } from "./trees.ts";

/** Name and processes at least; each is a case of attack.cjs. */
const attacks: [name: string, processes: number][] = [
  ["group", 2],
  ["setsid", 2],
  ["double-fork", 3],
  ["cleared", 2],
  ["cleared-double-fork", 3],
  ["deaf", 2],
  ["breakaway", 3],
  ["other-parent", 2],
  ["holds-stdout", 2],
  ["chain", 20],
  ["chains", 30],
  ["wide", 25],
  ["deep", 16],
];

/** Command lines as Linux shows them, which sees every process of wine. */
function commandsOnLinux(): string[] {
  const proc = String.raw`Z:\proc`;
  return readdirSync(proc)
    .filter((name) => /^[1-9]/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(join(proc, name, "stat"), "latin1");
        const isZombie = "ZX".includes(stat.slice(stat.lastIndexOf(")") + 2)[0] ?? "X");
        return isZombie ? [] : [readFileSync(join(proc, name, "cmdline"), "latin1").replaceAll("\0", " ")];
      } catch {
        return []; // it ended
      }
    });
}

class WindowsWorld extends RealWorld {
  readonly #seen = new Map<number, string>();
  #files = 0;

  constructor() {
    super("job");
  }

  protected register(): void {}

  leftovers(): string[] {
    return commandsOnLinux().filter((line) => line.includes(this.directory));
  }

  protected async endTheRest(): Promise<void> {
    await this.until("nothing is left", () => this.leftovers().length === 0).catch(() => {});
    assert.deepEqual(this.leftovers(), [], "left after the scene, as Linux sees it");
  }

  protected tree(name: string): Counted {
    this.#files += 1;
    const file = join(this.directory, `${this.#files}.pids`);
    const env = { SystemRoot: process.env["SystemRoot"] ?? "", PATH: process.env["PATH"] ?? "" };
    const survivors = () => pidsIn(file).flatMap((pid) => this.#refOf(pid));
    const count = () => {
      const lines = linesOf(file);
      assert.ok(!lines.includes("broke away"), "a breakaway that was not refused");
      return lines.length;
    };
    return { request: { ...hidingIn(file, name), env }, survivors, count };
  }

  /** Its identity at the first look; later a number that came back is not it. */
  #refOf(pid: number): ProcessRef[] {
    const startTime = platform.identify(pid)?.startTime;
    const first = this.#seen.get(pid) ?? startTime;
    if (first === undefined) return [];
    this.#seen.set(pid, first);
    const isSame = startTime === undefined || startTime === first;
    return isLive(pid) && isSame ? [{ pid, startTime: first, bootId: platform.bootId() }] : [];
  }
}

const backend: Backend = {
  name: "Windows under wine, job tier",
  proof: "kernel",
  trees: attacks.map(([name, processes]) => ({ name, processes })),
  refused: { command: process.execPath, cwd: String.raw`C:\no\such\directory` },
  cannot: {
    ask: "wine never delivers Ctrl+Break",
    limits: "wine ignores the limits of jobs",
    stopped: "Windows has no state for a halted process",
    unkillable: "no real process can be made unkillable at will",
  },
  async play(scene) {
    await using world = new WindowsWorld();
    await scene(world);
  },
};

contractSuite(backend);
