/** One keeper life on a simulated machine: its fence, its guardian, and the product's own sweeps. */
import { findMarked } from "../ending.ts";
import { runIdPrefix } from "../marker.ts";
import { endStrays, Sightings, sweepOwner } from "../sweep.ts";
import { untilTrue } from "../wait.ts";
import { FencedContainer } from "./fenced.ts";
import { GuardedContainer } from "./guarded.ts";
import { markerIn, startSimulatedGuardian } from "./guardian.ts";
import type { Kernel } from "./kernel.ts";
import type { Container, Epoch, Swept, TierName, Watchdog } from "../types.ts";
import type { SimulatedSystem } from "./system.ts";
import type { Fence, Pause } from "./process.ts";

export class SimulatedEpoch implements Epoch {
  readonly tier: TierName;
  readonly proof: "kernel" | "scan";
  readonly #platform: SimulatedSystem;
  readonly #owner: string;
  readonly #prefix: string;
  /** The whole of this epoch; undefined where the kernel has no fences. */
  readonly #fence: Fence | undefined;
  readonly #runs: Fence | undefined;
  /** Outside the fence, which it kills. */
  readonly #home: Fence | undefined;

  constructor(platform: SimulatedSystem, owner: string, epoch: number, tier: TierName) {
    this.#platform = platform;
    this.#owner = owner;
    this.#prefix = runIdPrefix(epoch);
    this.tier = tier;
    this.proof = tier === "cgroup" ? "kernel" : "scan";
    if (tier !== "cgroup") return;
    const { kernel } = platform;
    const name = `/holdfast-${owner}.${epoch}`;
    this.#fence = kernel.makeFence(name);
    this.#runs = kernel.makeFence(`${name}/runs`, this.#fence);
    this.#home = kernel.makeFence(`${name}-guardian`);
    platform.moveTo(kernel.makeFence(`${name}/self`, this.#fence));
  }

  create(runId: string): Container {
    if (this.#runs === undefined) return new GuardedContainer(this.#platform, this.#owner, runId);
    return new FencedContainer(this.#platform, this.#owner, runId, this.#runs);
  }

  watchdog(): Watchdog {
    const platform = this.#platform;
    const needle = `/${this.#owner}/${this.#prefix}`;
    const { kernel } = platform;
    const fence = this.#fence;
    return startSimulatedGuardian(platform, {
      birth: this.#home === undefined ? {} : { fence: this.#home },
      *endFirst() {
        if (fence !== undefined) yield* endFence(kernel, fence);
      },
      frontOf: ({ pid, startTime }) => {
        const front = kernel.find(pid);
        return front?.startTime === startTime ? front : undefined;
      },
      isMeant: ({ environment }) => markerIn(environment).includes(needle),
      endLast: () => {
        if (fence !== undefined) kernel.removeFence(fence);
      },
    });
  }

  async sweepEarlier(boundMs: number): Promise<Swept> {
    const platform = this.#platform;
    const seen = new Sightings(platform);
    for (const fence of platform.kernel.fences(`/holdfast-${this.#owner}.`)) {
      if (fence.parent !== platform.kernel.root || fence === this.#fence || fence === this.#home) continue;
      for (const process of platform.kernel.within(fence)) {
        const [kind, run = null] = process.fence.name.slice(fence.name.length + 1).split("/");
        seen.add(platform.kernel.info(process), kind === "runs" ? run : null);
      }
      if (platform.call()) platform.kernel.killFence(fence);
      await untilTrue(() => platform.call() && platform.kernel.within(fence).length === 0, boundMs, platform.clock);
      if (platform.call()) platform.kernel.removeFence(fence);
    }
    const fenced = seen.part();
    const marked = await sweepOwner(platform, this.#owner, (runId) => runId.startsWith(this.#prefix), boundMs);
    return { ended: [...fenced.ended, ...marked.ended], left: [...fenced.left, ...marked.left] };
  }

  endStrays(isHeld: (runId: string) => boolean, boundMs: number): Promise<Swept> {
    const isStray = (runId: string) => runId.startsWith(this.#prefix) && !isHeld(runId);
    return endStrays(this.#platform, async () => findMarked(this.#platform, this.#owner), isStray, boundMs);
  }

  close(): void {
    const { kernel } = this.#platform;
    this.#platform.moveTo(kernel.root);
    for (const fence of [this.#home, this.#fence]) if (fence !== undefined) kernel.removeFence(fence);
  }
}

function* endFence(kernel: Kernel, fence: Fence): Generator<Pause, void, void> {
  while (kernel.within(fence).length > 0) {
    kernel.killFence(fence);
    yield { untilMs: kernel.nowMs() + 1 };
  }
}
