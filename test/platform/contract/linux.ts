/** The contract's backend for Linux: real processes on one tier, counted from the lists that they write themselves. */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { platform } from "../../../src/platform/index.ts";
import { installProgram } from "../../../src/platform/linux/programs.ts";
import { registerChild } from "../../../src/platform/linux/own-children.ts";
import type { Epoch, TierName } from "../../../src/platform/types.ts";
import { readUntil } from "../../helpers/fence.ts";
import { needs, needsNamespace, needsRoot } from "../../helpers/needs.ts";
import { killWhatIsLeft, pidsByEnvironment, readListed, survivorsOf } from "../../helpers/pids.ts";
import { attackScript, fixture } from "../../helpers/servers.ts";
import { cgroupMount } from "../../helpers/tiers.ts";
import { until } from "../../helpers/until.ts";
import type { Backend, OtherKeeper, Tree, World } from "./suite.ts";

const boundMs = 10_000;

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

class LinuxWorld implements World, AsyncDisposable {
  readonly platform = platform;
  readonly owner = randomBytes(8).toString("hex");
  readonly #directory = mkdtempSync(join(tmpdir(), "holdfast-contract-"));
  readonly #base = cgroupMount()?.own ?? "";
  readonly #tier: TierName;
  readonly #owners = new Map([[this.owner, this.owner]]);
  readonly #keepers: OtherKeeper[] = [];
  readonly #files: string[] = [];
  #epoch: Epoch | undefined;
  #runs = 0;

  constructor(tier: TierName) {
    this.#tier = tier;
  }

  /** Opened late: another keeper must find this process where it was. */
  get epoch(): Epoch {
    this.#epoch ??= platform.open(this.owner, 2, { directory: this.#directory, only: this.#tier }).epoch;
    return this.#epoch;
  }

  async until(what: string, look: () => boolean): Promise<void> {
    await until(what, look, { boundMs });
  }

  async moment(): Promise<void> {
    await delay(Math.random() * 5);
  }

  prepare(tree: string) {
    this.#runs += 1;
    const container = this.epoch.create(`r2-${this.#runs.toString(16).padStart(8, "0")}`);
    const { request, ...counted } = this.#tree(tree);
    return { container, spawn: () => container.spawn(request), ...counted };
  }

  async start(tree: string): Promise<Tree> {
    const prepared = this.prepare(tree);
    const spawned = await prepared.spawn();
    if (spawned.stdout === null) throw new Error("no stdout");
    await readUntil(spawned.stdout, "ready");
    return { ...prepared, spawned };
  }

  async keeper(name: string, epoch: number, { isGuarded }: { isGuarded: boolean }): Promise<OtherKeeper> {
    const owner = this.#owners.get(name) ?? randomBytes(8).toString("hex");
    this.#owners.set(name, owner);
    const words = [fixture("contract-host.ts"), this.#tier, owner, String(epoch), this.#directory];
    if (isGuarded) words.push("guarded");
    const host = spawn(process.execPath, words, { stdio: ["pipe", "pipe", "inherit"] });
    registerChild(host);
    await readUntil(host.stdout, "open");
    const keeper: OtherKeeper = {
      start: async (tree, runId) => {
        const { request, ...counted } = this.#tree(tree);
        host.stdin.write(`${JSON.stringify({ runId, ...request })}\n`);
        await readUntil(host.stdout, `ready ${runId}`);
        return counted;
      },
      lose: async () => {
        if (host.exitCode !== null || host.signalCode !== null) return;
        host.kill("SIGKILL");
        await once(host, "exit");
      },
    };
    this.#keepers.push(keeper);
    return keeper;
  }

  leftovers(): string[] {
    const fences = existsSync(this.#base) ? readdirSync(this.#base) : [];
    const marked = pidsByEnvironment((environment) => environment.includes(this.owner));
    return [...fences.filter((name) => name.startsWith(`holdfast-${this.owner}.`)), ...marked.map(String)];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const keeper of this.#keepers) await keeper.lose();
    this.#epoch?.close();
    for (const owner of this.#owners.values()) {
      const { epoch } = platform.open(owner, 9, { directory: this.#directory, only: this.#tier });
      await epoch.sweepEarlier(boundMs);
      epoch.close();
    }
    for (const file of this.#files) await killWhatIsLeft(file);
    rmSync(this.#directory, { recursive: true });
  }

  #tree(name: string) {
    const file = join(this.#directory, `${this.#files.length}.pids`);
    this.#files.push(file);
    writeFileSync(file, "");
    const env = { PATH: process.env["PATH"] ?? "" };
    const launcher = installProgram(this.#directory, "launcher");
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
    // No real process can be made unkillable at will; kernel-limits.test.ts has the limits.
    cannot: ["unkillable", "limits"],
    async play(scene) {
      await using world = new LinuxWorld(tier);
      await scene(world);
    },
  };
}
