/** A world of real processes for the contract, whatever the system: its own keeper's epoch, and other keepers to lose. */
import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { setTimeout as delay } from "node:timers/promises";
import { platform } from "../../../src/platform/index.ts";
import type { Epoch, SpawnRequest, TierName } from "../../../src/platform/types.ts";
import { readUntil } from "../../helpers/read-until.ts";
import { until } from "../../helpers/until.ts";
import type { OtherKeeper, Tree, World } from "./backend.ts";

const contractHost = fileURLToPath(new URL("../../fixtures/contract-host.ts", import.meta.url));

export const boundMs = 10_000;

/** A tree that is not started yet, and how its processes are counted. */
export interface Counted extends Pick<Tree, "survivors" | "count"> {
  readonly request: SpawnRequest;
}

export abstract class RealWorld implements World, AsyncDisposable {
  readonly platform = platform;
  readonly owner = randomBytes(8).toString("hex");
  protected readonly directory = mkdtempSync(join(tmpdir(), "holdfast-contract-"));
  readonly #tier: TierName;
  readonly #owners = new Map([[this.owner, this.owner]]);
  readonly #keepers: OtherKeeper[] = [];
  #epoch: Epoch | undefined;
  #runs = 0;

  constructor(tier: TierName) {
    this.#tier = tier;
  }

  /** A tree of the system's own program; each call is another one. */
  protected abstract tree(name: string): Counted;
  /** In the same turn as the start. */
  protected abstract register(host: ChildProcess): void;
  abstract leftovers(): string[];
  /** Last of all; the directory goes afterwards. */
  protected abstract endTheRest(): Promise<void>;

  /** Opened late: another keeper must find this process where it was. */
  get epoch(): Epoch {
    this.#epoch ??= platform.open(this.owner, 2, { directory: this.directory, only: this.#tier }).epoch;
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
    const { request, ...counted } = this.tree(tree);
    return { container, spawn: () => container.spawn(request), ...counted };
  }

  async start(tree: string): Promise<Tree> {
    const prepared = this.prepare(tree);
    const spawned = await prepared.spawn();
    await readUntil(spawned.stdout, "ready");
    return { ...prepared, spawned };
  }

  async keeper(name: string, epoch: number, { isGuarded }: { isGuarded: boolean }): Promise<OtherKeeper> {
    const owner = this.#owners.get(name) ?? randomBytes(8).toString("hex");
    this.#owners.set(name, owner);
    const words = [contractHost, this.#tier, owner, String(epoch), this.directory];
    if (isGuarded) words.push("guarded");
    const host = spawn(process.execPath, words, {
      stdio: ["pipe", "pipe", "inherit"],
      // On Windows libuv's own job would end it with this process.
      detached: process.platform === "win32",
      windowsHide: true,
    });
    this.register(host);
    await readUntil(host.stdout, "open");
    const keeper: OtherKeeper = {
      start: async (tree, runId) => {
        const { request, ...counted } = this.tree(tree);
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

  async [Symbol.asyncDispose](): Promise<void> {
    for (const keeper of this.#keepers) await keeper.lose();
    this.#epoch?.close();
    for (const owner of this.#owners.values()) {
      const { epoch } = platform.open(owner, 9, { directory: this.directory, only: this.#tier });
      await epoch.sweepEarlier(boundMs);
      epoch.close();
    }
    await this.endTheRest();
    rmSync(this.directory, { recursive: true, maxRetries: 5 });
  }
}
