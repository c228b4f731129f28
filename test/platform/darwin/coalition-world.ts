/**
 * launchd and coalitions played on Linux: the fixture's launchctl really starts jobs, and the cgroup of a job stands for its
 * coalition.
 */
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, rmdirSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { systemClock } from "../../../src/clock.ts";
import { coalitionParts, openCoalition, type CoalitionOptions } from "../../../src/platform/darwin/coalition-open.ts";
import type { CoalitionParts } from "../../../src/platform/darwin/coalition-tree.ts";
import { launchctlOf, type Launchctl } from "../../../src/platform/darwin/launchctl.ts";
import { XnuProcesses } from "../../../src/platform/darwin/processes.ts";
import type { System } from "../../../src/platform/ending.ts";
import { MarkerScans } from "../../../src/platform/marked.ts";
import type { Epoch } from "../../../src/platform/types.ts";
import { readJobState } from "../../fixtures/launchd/job-state.ts";
import { ProcXnu } from "../../helpers/proc-xnu.ts";
import { cgroupMount } from "../../helpers/tiers.ts";

const program = fileURLToPath(new URL("../../fixtures/launchd/launchctl.ts", import.meta.url));

const xnu = new ProcXnu();
const processes = new XnuProcesses(() => xnu);
const system: System = { clock: systemClock, processes, signal: (ref, signal) => processes.signal(ref, signal) };
const darwin = { ...system, processes, xnu, markerScans: new MarkerScans(system) };

const sweepProgram = fileURLToPath(new URL("../../fixtures/launchd/sweep.ts", import.meta.url));

type Life = Pick<CoalitionOptions, "ownerId" | "epoch">;

/** One life of a keeper whose state is in `directory`. `launchctl`: another one, such as one that is missing. */
function optionsOf(directory: string, life: Life, launchctl = playedLaunchctl(directory)): CoalitionOptions {
  return { darwin, directory, launchctl, sweeper: [process.execPath, sweepProgram], ...life };
}

export function playedParts(directory: string, life: Life, launchctl?: Launchctl): CoalitionParts {
  return coalitionParts(optionsOf(directory, life, launchctl));
}

export function playedEpoch(directory: string, life: Life): Epoch {
  return openCoalition(optionsOf(directory, life));
}

export function playedLaunchctl(directory: string, boundMs?: number): Launchctl {
  return launchctlOf([process.execPath, program, join(directory, "launchd"), cgroupMount()?.own ?? ""], boundMs);
}

export class CoalitionWorld implements AsyncDisposable {
  readonly owner = randomBytes(8).toString("hex");
  readonly directory = mkdtempSync(join(tmpdir(), "holdfast coalition-"));
  readonly #launchd = join(this.directory, "launchd");
  readonly jobs = join(this.directory, "jobs");
  readonly parts: CoalitionParts;

  constructor() {
    mkdirSync(this.#launchd);
    this.parts = this.partsWith();
  }

  partsWith(launchctl?: Launchctl, epoch = 1): CoalitionParts {
    return playedParts(this.directory, { ownerId: this.owner, epoch }, launchctl);
  }

  /** Makes launchctl fail: `hang-VERB`, `fail-VERB`, `without-gui`, `idle`. */
  set(fault: string, text = ""): void {
    writeFileSync(join(this.#launchd, fault), text);
  }

  clear(fault: string): void {
    rmSync(join(this.#launchd, fault), { force: true });
  }

  loaded(): string[] {
    return readdirSync(this.#launchd).filter((name) => name.endsWith(".job"));
  }

  /** Of the main process of a job. */
  pidOf(name: string): number | undefined {
    return readJobState(this.#launchd, `holdfast.${this.owner}.${name}`)?.pid ?? undefined;
  }

  groupInodes(): bigint[] {
    return this.#groups().map((group) => BigInt(statSync(group).ino));
  }

  #groups(): string[] {
    const base = cgroupMount()?.own ?? "";
    const names = readdirSync(base).filter((each) => each.startsWith(`launchd-holdfast.${this.owner}.`));
    return names.map((name) => join(base, name));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of readdirSync(this.#launchd)) if (/^(?:hang|fail)-|^without/.test(name)) this.clear(name);
    for (const name of this.loaded()) {
      const { domain } = JSON.parse(readFileSync(join(this.#launchd, name), "utf8")) as { domain: string };
      await playedLaunchctl(this.directory)(["bootout", `${domain}/${name.slice(0, -4)}`]);
    }
    for (const group of this.#groups()) {
      writeFileSync(join(group, "cgroup.kill"), "1");
      while (readFileSync(join(group, "cgroup.events"), "latin1").includes("populated 1")) await delay(5);
      rmdirSync(group);
    }
    rmSync(this.directory, { recursive: true, maxRetries: 5 });
  }
}
