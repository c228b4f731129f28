/** A node that comes and goes: stopped in order, killed, suspended for longer than its link bears, and back again. */
import { setTimeout as delay } from "node:timers/promises";
import { isHere, joinNode } from "../../test/nodes/helpers/join-node.ts";
import type { NodeProcess } from "../../test/nodes/helpers/node-process.ts";
import { Home } from "../../test/helpers/home.ts";
import type { Part, Place } from "./part.ts";

export const nodeName = "soak-node";
/** Longer than three beats of the config, so that the link is lost. */
const suspendedMs = 2500;

export class ComingNode implements Part, AsyncDisposable {
  readonly done = { connections: 0, stopped: 0, killed: 0, suspended: 0 };
  readonly home: Home;
  readonly #place: Place;
  #process: NodeProcess | undefined;

  constructor(place: Place, config: object) {
    this.#place = place;
    this.home = new Home(place.home.tier, config);
  }

  /** Undefined while it is away. */
  get pids(): { keeper: number; front: number; guardian: number } | undefined {
    if (this.#process === undefined) return undefined;
    const { front, guardian } = this.#process.record;
    return { keeper: this.#process.pid, front: front.pid, guardian: guardian.pid };
  }

  async come(): Promise<void> {
    if (this.#process !== undefined) return;
    const isKnown = this.home.ownerId !== undefined;
    this.done.connections++;
    if (isKnown) {
      this.#process = await joinNode(this.#place.gateway, nodeName, { home: this.home });
      return;
    }
    const { invite } = (await this.#place.gateway.rpc("node.invite")) as { invite: string };
    this.#process = await joinNode(this.#place.gateway, nodeName, { home: this.home, words: ["--invite", invite] });
  }

  async step(): Promise<void> {
    const { random, gateway } = this.#place;
    if (this.#process === undefined) return this.come();
    const way = random.pick(["stopped", "killed", "suspended"] as const);
    this.done[way]++;
    if (way !== "suspended") return this.#end(way);
    const { pids } = this;
    for (const pid of Object.values(pids ?? {})) process.kill(pid, "SIGSTOP");
    await delay(suspendedMs);
    for (const pid of Object.values(pids ?? {})) process.kill(pid, "SIGCONT");
    this.done.connections++;
    await isHere(gateway, nodeName);
  }

  async #end(way: "stopped" | "killed"): Promise<void> {
    const ending = this.#process;
    this.#process = undefined;
    if (ending === undefined) return;
    ending.child.kill(way === "killed" ? "SIGKILL" : "SIGTERM");
    await ending.ended();
    await isHere(this.#place.gateway, nodeName, false);
  }

  async rest(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process?.[Symbol.asyncDispose]();
    await this.home[Symbol.asyncDispose]();
  }
}
