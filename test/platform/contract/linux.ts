/** The contract's backend for Linux: real processes on one tier, counted from the lists that they write themselves. */
import type { ChildProcess } from "node:child_process";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { platform } from "../../../src/platform/index.ts";
import { installProgram } from "../../../src/platform/linux/programs.ts";
import { registerChild } from "../../../src/platform/linux/own-children.ts";
import type { TierName } from "../../../src/platform/types.ts";
import { needs, needsNamespace, needsRoot } from "../../helpers/needs.ts";
import { killWhatIsLeft, pidsByEnvironment, readListed, survivorsOf } from "../../helpers/pids.ts";
import { attackScript, fixture } from "../../helpers/servers.ts";
import { cgroupMount } from "../../helpers/tiers.ts";
import { RealWorld, type Counted } from "./real-world.ts";
import type { Backend } from "./backend.ts";

/** Name and processes at least; each is a case of attack.sh. */
const attacks: [name: string, processes: number][] = [
  ["group", 2],
  ["setsid", 2],
  ["double-fork", 2],
  ["cleared", 2],
  ["cleared-double-fork", 2],
  ["disowned", 2],
  ["own-subreaper", 3],
  ["stopped", 2],
  ["deaf", 2],
  ["chain", 20],
  ["chains", 40],
  ["pid-namespace", 2],
  ["holds-stdout", 2],
  ["zombie-parent", 2],
  ["wide", 1001],
  ["deep", 201],
  ["other-uid", 2],
  ["frozen", 2],
];

function attackSkip(name: string): string | false {
  if (name === "pid-namespace") return needsNamespace("pid");
  if (name === "other-uid") return needsRoot("another user's process") || needs("setpriv");
  return name === "frozen" && needs("awk");
}

/** Ends when it is asked, and so does what it has started. */
const polite = `trap 'exit 7' TERM
  setsid sh "$1" "$2" one sleep 1000 & (setsid sh "$1" "$2" two sleep 1000 &)
  while [ "$(wc -l <"$2")" -lt 2 ]; do sleep 0.01; done
  echo ready
  while :; do sleep 0.02; done`;

class LinuxWorld extends RealWorld {
  readonly #base = cgroupMount()?.own ?? "";
  readonly #files: string[] = [];

  protected register(host: ChildProcess): void {
    registerChild(host);
  }

  leftovers(): string[] {
    const fences = existsSync(this.#base) ? readdirSync(this.#base) : [];
    const marked = pidsByEnvironment((environment) => environment.includes(this.owner));
    return [...fences.filter((name) => name.startsWith(`holdfast-${this.owner}.`)), ...marked.map(String)];
  }

  protected async endTheRest(): Promise<void> {
    for (const file of this.#files) await killWhatIsLeft(file);
  }

  protected tree(name: string): Counted {
    const file = join(this.directory, `${this.#files.length}.pids`);
    this.#files.push(file);
    writeFileSync(file, "");
    const env = { PATH: process.env["PATH"] ?? "" };
    const launcher = installProgram(this.directory, "launcher");
    const args =
      name === "polite"
        ? ["-c", polite, basename(file), fixture("record.sh"), file]
        : [attackScript, name, file, launcher];
    const survivors = () =>
      survivorsOf(file).map(({ pid, startTime }) => ({ pid, startTime, bootId: platform.bootId() }));
    return { request: { command: "bash", args, env }, survivors, count: () => readListed(file).length };
  }
}

export function linuxBackend(tier: TierName): Backend {
  return {
    name: `Linux, ${tier} tier`,
    proof: "kernel",
    trees: attacks
      .filter(([name]) => name !== "frozen" || tier === "cgroup") // only who may write cgroupfs can freeze itself
      .map(([name, processes]) => ({ name, processes, skip: attackSkip(name) })),
    refused: { command: "sh", cwd: "/no/such/directory" },
    cannot: {
      unkillable: "no real process can be made unkillable at will",
      limits: "kernel-limits.test.ts has them",
    },
    async play(scene) {
      await using world = new LinuxWorld(tier);
      await scene(world);
    },
  };
}
