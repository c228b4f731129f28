/**
 * All far sides of one keeper: connections shared by the runs there, and the proof that is owed for each host that was
 * lost: a new connection whose guardian found nothing left, tried again until it is had.
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Containment } from "../contain/types.ts";
import { asHoldfastError } from "../errors.ts";
import type { Destination } from "./destination.ts";
import { FarLink, type FarTier, type LinkTimes } from "./link.ts";

export interface HostsParts {
  containment: Containment;
  ownerId: string;
  epoch: number;
  /** Environment of every ssh: the user's keys, agent and config. */
  env: Record<string, string>;
  /** Where control sockets may be made; a long path is replaced by a short one. */
  directory: string;
  times: LinkTimes;
  termGraceMs: number;
  runsPerConnection: number;
  /** A connection without runs is kept for so long. */
  idleMs: number;
  /** Take this far tier or a worse one. */
  only: string;
  log: (entry: HostEvent) => void;
}

type HostEvent =
  | { event: "host.connected"; host: string; tier: FarTier; swept: number }
  | { event: "host.lost"; host: string; why: string }
  | { event: "host.unreachable"; host: string; why: string; againMs: number };

/** One host as `status` shows it. */
export interface HostView {
  host: string;
  tier: FarTier | null;
  connections: number;
  runs: number;
  /** Whether it is still owed a look at what a lost connection or an earlier life left there. */
  sweeping: boolean;
}

/** Longest path of a unix socket, less what ssh adds while it makes one. */
const socketBytesMax = 107 - 18;
const retryMsMax = 30_000;

interface Host {
  destination: Destination;
  links: Set<FarLink>;
  opening: Promise<FarLink> | undefined;
  tier: FarTier | null;
  /** Whoever waits for the proof that nothing of a lost connection is left. */
  owed: (() => void)[];
  retry: NodeJS.Timeout | undefined;
  retryMs: number;
}

export class FarHosts {
  readonly #parts: HostsParts;
  readonly #hosts = new Map<string, Host>();
  /** Containers of the connections, from before their start. */
  readonly #containers = new Set<string>();
  readonly #idle = new Map<FarLink, NodeJS.Timeout>();
  readonly #sockets: string;
  #next = 1;
  #closed = false;

  constructor(parts: HostsParts) {
    this.#parts = parts;
    const fits = join(parts.directory, "12345678").length <= socketBytesMax;
    this.#sockets = fits ? parts.directory : mkdtempSync(join(tmpdir(), "holdfast-"));
  }

  /** A connection with room for one more run, which is counted on it at once. Throws `host_unreachable`. */
  async acquire(destination: Destination): Promise<FarLink> {
    const host = this.#host(destination);
    for (;;) {
      const link = [...host.links].find((each) => !each.lost && each.runs < this.#parts.runsPerConnection);
      if (link !== undefined) {
        clearTimeout(this.#idle.get(link));
        link.runs += 1;
        return link;
      }
      await this.#open(host);
    }
  }

  release(link: FarLink): void {
    link.runs -= 1;
    if (link.runs === 0 && !link.lost) this.#rest(link);
  }

  #rest(link: FarLink): void {
    clearTimeout(this.#idle.get(link));
    const timer = setTimeout(() => void this.#retire(link), this.#parts.idleMs); // never rejects
    timer.unref();
    this.#idle.set(link, timer);
  }

  /** Resolves once a guardian over there has found nothing left of what is not alive here. Never rejects; may never come. */
  proof(destination: Destination): Promise<void> {
    const host = this.#host(destination);
    return new Promise((resolve) => {
      host.owed.push(resolve);
      this.#prove(host);
    });
  }

  /** Whether this is the container of a connection: what is in it belongs to no run, and yet to us. */
  holds(id: string): boolean {
    return this.#containers.has(id);
  }

  views(): HostView[] {
    return [...this.#hosts.values()].map((host) => ({
      host: host.destination.name,
      tier: host.tier,
      connections: host.links.size,
      runs: [...host.links].reduce((sum, link) => sum + link.runs, 0),
      sweeping: host.owed.length > 0,
    }));
  }

  /** Ends every connection; runs must be over. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#idle.values()) clearTimeout(timer);
    const hosts = [...this.#hosts.values()];
    for (const host of hosts) clearTimeout(host.retry);
    await Promise.allSettled(hosts.map((host) => host.opening ?? Promise.resolve()));
    await Promise.all(hosts.flatMap((host) => [...host.links].map((link) => link.close())));
    if (this.#sockets !== this.#parts.directory) rmSync(this.#sockets, { recursive: true, force: true });
  }

  #host(destination: Destination): Host {
    const known = this.#hosts.get(destination.name);
    if (known !== undefined) return known;
    const host: Host = { destination, links: new Set(), opening: undefined, tier: null, owed: [], retry: undefined, retryMs: 1000 }; // prettier-ignore
    this.#hosts.set(destination.name, host);
    return host;
  }

  #open(host: Host): Promise<FarLink> {
    host.opening ??= this.#connect(host).finally(() => {
      host.opening = undefined;
    });
    return host.opening;
  }

  async #connect(host: Host): Promise<FarLink> {
    const { containment, ownerId, epoch, env, times, termGraceMs, only, log } = this.#parts;
    const number = this.#next++;
    const markOf = (link: number | string) => `/${ownerId}/${epoch}.${link}/`;
    const name = randomBytes(4).toString("hex");
    const id = `r${epoch}-${name}`;
    this.#containers.add(id);
    const link = await FarLink.open({
      destination: host.destination,
      container: containment.create(id),
      env,
      socket: join(this.#sockets, name),
      guardian: {
        owner: `/${ownerId}/`,
        link: markOf(number),
        keep: [markOf(number), ...[...host.links].filter(({ lost }) => !lost).map(({ mark }) => mark)],
        graceMs: termGraceMs,
        only,
      },
      times,
      onLost: (lost, why) => this.#lost(host, lost, why),
      onGone: () => this.#containers.delete(id),
    });
    host.tier = link.tier;
    host.retryMs = 1000;
    host.links.add(link);
    log({ event: "host.connected", host: host.destination.name, tier: link.tier, swept: link.swept });
    this.#rest(link);
    for (const resolve of host.owed.splice(0)) resolve();
    return link;
  }

  #lost(host: Host, link: FarLink, why: string): void {
    clearTimeout(this.#idle.get(link));
    this.#idle.delete(link);
    if (!host.links.delete(link)) return;
    this.#parts.log({ event: "host.lost", host: host.destination.name, why });
    if (host.owed.length > 0) this.#prove(host);
  }

  #prove(host: Host): void {
    if (this.#closed || host.opening !== undefined || host.retry !== undefined) return;
    this.#open(host).catch((thrown: unknown) => {
      const { message } = asHoldfastError(thrown);
      this.#parts.log({ event: "host.unreachable", host: host.destination.name, why: message, againMs: host.retryMs });
      if (this.#closed) return;
      host.retry = setTimeout(() => {
        host.retry = undefined;
        this.#prove(host);
      }, host.retryMs);
      host.retry.unref();
      host.retryMs = Math.min(host.retryMs * 2, retryMsMax);
    });
  }

  async #retire(link: FarLink): Promise<void> {
    if (link.runs > 0 || link.lost) return;
    this.#idle.delete(link);
    this.#hosts.get(link.destination.name)?.links.delete(link);
    await link.close();
  }
}
