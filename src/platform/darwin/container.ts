/**
 * One run on the `chain` tier: the command is started directly, as the leader of its own session and with the marker in its
 * environment, and its tree is remembered over looks. Empty is what two looks and a marker scan find nothing of.
 */
import { HoldfastError } from "../../errors.ts";
import { endScanned } from "../ending.ts";
import { markerOf } from "../marker.ts";
import { isAlive, type Container, type PoliteRequest, type ProcessInfo } from "../types.ts";
import type { Spawned, SpawnRequest, Watchdog } from "../types.ts";
import { inTime } from "../../clock.ts";
import { Chain, takeSnapshot } from "./chain.ts";
import type { Darwin } from "./darwin.ts";
import { signalOf } from "../unix/signals.ts";
import type { Xnu } from "./xnu.ts";

/** For a guardian to be on watch, and to end when it is dismissed. */
const guardianMs = 5000;

export interface ChainContainerOptions {
  readonly darwin: Darwin;
  readonly ownerId: string;
  readonly runId: string;
  /** A guardian of its own, for a process without an epoch: it ends the tree when this process ends. */
  readonly isGuarded?: boolean;
}

export class ChainContainer implements Container {
  readonly runId: string;
  readonly name: string;
  readonly #darwin: Darwin;
  readonly #ownerId: string;
  readonly #isGuarded: boolean;
  #guardian: Watchdog | undefined;
  #spawning: Promise<Spawned> | undefined;
  #chain: Chain | undefined;
  #main = 0;
  /** No command may be born from now on. */
  #isOver = false;
  #ending: Promise<ProcessInfo[]> | undefined;

  constructor({ darwin, ownerId, runId, isGuarded = false }: ChainContainerOptions) {
    this.#darwin = darwin;
    this.#ownerId = ownerId;
    this.runId = runId;
    this.name = `chain:${ownerId}/${runId}`;
    this.#isGuarded = isGuarded;
  }

  spawn(request: SpawnRequest): Promise<Spawned> {
    const spawning = this.#spawn(request);
    this.#spawning = spawning;
    return spawning;
  }

  async #spawn(request: SpawnRequest): Promise<Spawned> {
    // Throws where processes cannot be seen, with nothing started.
    const { xnu, system } = this.#darwin;
    const marker = markerOf(this.#ownerId, this.runId);
    try {
      if (this.#isGuarded) await this.#startGuardian(request, marker);
      if (this.#isOver) throw new HoldfastError("spawn_failed", `cannot start ${request.command}: its run has ended`);
      const { pid, stdin, stdout, stderr, born, exit } = system.spawn(request, marker);
      if (pid !== 0) this.#follow(xnu, pid);
      await born;
      const { processes } = this.#darwin;
      // An ended process gets a start time that matches none.
      const ref = processes.identify(pid) ?? { pid, startTime: "", bootId: processes.bootId() };
      return { stdin, stdout, stderr, ref, exit, mainPid: () => pid };
    } catch (thrown) {
      if (this.#chain === undefined) this.#guardian?.dismiss();
      throw thrown;
    }
  }

  async #startGuardian({ command }: SpawnRequest, marker: string): Promise<void> {
    const { system, clock } = this.#darwin;
    this.#guardian = system.startGuardian(marker);
    const { ready, exit } = this.#guardian;
    const isOnWatch = Promise.race([ready.then(() => true), exit.then(() => false)]);
    if (await inTime(clock, isOnWatch, guardianMs, false)) return;
    throw new HoldfastError("spawn_failed", `cannot start ${command}: its guardian did not start`);
  }

  /** In the turn of the birth: nobody has waited for the process yet, so its number and its session are still its own. */
  #follow(xnu: Xnu, pid: number): void {
    const { system, rescans } = this.#darwin;
    const chain = new Chain({ xnu, pidMax: system.pidMax, ownerId: this.#ownerId, runId: this.runId });
    const main = xnu.process(pid);
    if (main !== undefined) chain.add(main);
    const snapshot = takeSnapshot(xnu);
    chain.addSession(pid, snapshot.births);
    chain.look(snapshot);
    this.#main = pid;
    this.#chain = chain;
    rescans.add(chain);
  }

  list(): ProcessInfo[] {
    return (this.#chain?.look() ?? []).map((process) => this.#darwin.processes.infoOf(process)).filter(isAlive);
  }

  looksEmpty(): boolean {
    const chain = this.#chain;
    // Twice: what ended during the first look may have left a child that was not listed yet.
    return chain === undefined || (!chain.hasKnownAlive() && chain.look().length === 0 && chain.look().length === 0);
  }

  ask(request: PoliteRequest): boolean {
    const tree = this.list();
    const asked = tree.filter((info) => this.#darwin.signal(info, signalOf(request)));
    // A stopped process cannot react to the loss of its terminal.
    if (request === "hangup") for (const info of tree) this.#darwin.signal(info, "SIGCONT");
    return asked.length > 0;
  }

  signal(signal: NodeJS.Signals, to: "all" | "main"): boolean {
    const meant = this.list().filter(({ pid }) => to === "all" || pid === this.#main);
    return meant.filter((info) => this.#darwin.signal(info, signal)).length > 0;
  }

  end(boundMs: number): Promise<ProcessInfo[]> {
    this.#isOver = true;
    this.#ending ??= this.#end(boundMs).then((left) => {
      if (left.length > 0) this.#ending = undefined; // no proof yet: the next call looks again
      return left;
    });
    return this.#ending;
  }

  async #end(boundMs: number): Promise<ProcessInfo[]> {
    await this.#spawning?.catch(() => {}); // its caller gets the error
    const tree = {
      members: () => this.list(),
      looksEmpty: () => this.looksEmpty(),
      marked: () => this.#marked(),
      stand: () => {
        const last = this.#chain?.last;
        return last === undefined ? undefined : this.#darwin.processes.infoOf(last);
      },
    };
    const left = await endScanned(this.#darwin, tree, boundMs);
    if (left.length > 0) return left;
    if (this.#chain !== undefined) this.#darwin.rescans.remove(this.#chain);
    this.#guardian?.dismiss();
    if (this.#guardian !== undefined) await inTime(this.#darwin.clock, this.#guardian.exit, guardianMs, undefined);
    return left;
  }

  /** What the chain had not seen joins it, with its descendants. */
  async #marked(): Promise<ProcessInfo[]> {
    const { markerScans, xnu, processes } = this.#darwin;
    const found = (await markerScans.soon(this.#ownerId)).get(this.runId) ?? [];
    for (const info of found) {
      const now = xnu.process(info.pid);
      if (now !== undefined && processes.infoOf(now).startTime === info.startTime) this.#chain?.add(now, "marked");
    }
    return found;
  }
}
