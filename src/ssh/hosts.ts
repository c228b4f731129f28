/**
 * All remote hosts of one keeper: connections shared by their runs, and the proof still owed for each lost connection: a
 * new guardian that finds nothing left. Connecting is repeated until there is proof.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Sources } from "../random.ts";
import type { Timer } from "../clock.ts";
import type { Epoch } from "../platform/types.ts";
import { asHoldfastError, HoldfastError } from "../errors.ts";
import { hasRoomForSockets } from "./control-path.ts";
import type { Destination } from "./destination.ts";
import type { RemoteTier } from "./remote/guardian-messages.ts";
import { SshConnection, type LinkTimes } from "./link.ts";
import { RemoteScripts } from "./remote/script.ts";

export interface HostsParts extends Sources {
  fences: Epoch;
  ownerId: string;
  epoch: number;
  /** Environment of every ssh: the user's keys, agent and config. */
  env: Record<string, string>;
  /** Directory of the control sockets; a path that is too long is replaced by a short one. */
  directory: string;
  times: LinkTimes;
  termGraceMs: number;
  runsPerConnection: number;
  /** How long a connection without runs is kept. */
  idleMs: number;
  /** Take this remote tier or a worse one. */
  only: string;
  log: (entry: HostEvent) => void;
}

type HostEvent =
  | { event: "host.connected"; host: string; tier: RemoteTier; swept: number }
  | { event: "host.lost"; host: string; why: string }
  | { event: "host.unreachable"; host: string; why: string; againMs: number };

/** One host as `status` shows it. */
export interface HostView {
  host: string;
  tier: RemoteTier | null;
  connections: number;
  runs: number;
  /** When a connection stopped answering; null while all answer. */
  silentSince: number | null;
  /** Whether it still needs a sweep for leftovers of a lost connection or an earlier keeper. */
  sweeping: boolean;
}

const retryMsMax = 30_000;
/** Connections lost right after they are ready, before the host counts as unreachable. */
const losesMax = 3;

interface Host {
  destination: Destination;
  links: Set<SshConnection>;
  /** Marks of lost connections not yet swept by a guardian. */
  gone: Set<string>;
  opening: Promise<SshConnection> | undefined;
  tier: RemoteTier | null;
  /** Waiters for the proof that a lost connection left nothing. */
  owed: (() => void)[];
  retry: Timer | undefined;
  retryMs: number;
}

export class RemoteHosts {
  readonly scripts = new RemoteScripts();
  readonly #parts: HostsParts;
  readonly #hosts = new Map<string, Host>();
  /** Containers of the connections, added before they start. */
  readonly #containers = new Set<string>();
  readonly #idle = new Map<SshConnection, Timer>();
  readonly #retiring = new Set<Promise<void>>();
  readonly #stopping = new AbortController();
  readonly #sockets: string;
  #next = 1;

  constructor(parts: HostsParts) {
    this.#parts = parts;
    const { directory } = parts;
    this.#sockets = hasRoomForSockets(directory) ? directory : mkdtempSync(join(tmpdir(), "holdfast-"));
  }

  /** A connection with room for one more run, reserved at once. Throws `host_unreachable`. */
  async acquire(destination: Destination): Promise<SshConnection> {
    const host = this.#host(destination);
    const room = () => [...host.links].find((each) => !each.lost && each.runs < this.#parts.runsPerConnection);
    // Others wait for the same connection and may take all its room; a host that accepts and hangs up at once must not
    // block callers.
    let lostInARow = 0;
    for (let link = room(); ; link = room()) {
      if (link !== undefined) {
        this.#idle.get(link)?.clear();
        link.runs += 1;
        return link;
      }
      const opened = await this.#open(host);
      lostInARow = opened.lost ? lostInARow + 1 : 0;
      if (lostInARow === losesMax)
        throw new HoldfastError("host_unreachable", `${destination.name}: it answers and loses the connection at once`);
    }
  }

  release(link: SshConnection): void {
    link.runs -= 1;
    if (link.runs === 0 && !link.lost) this.#rest(link);
  }

  #rest(link: SshConnection): void {
    this.#idle.get(link)?.clear();
    const { clock, idleMs } = this.#parts;
    this.#idle.set(
      link,
      clock.after(idleMs, () => this.#retire(link)),
    );
  }

  /** Resolves once a remote guardian has found only what is alive here. Never rejects; may stay pending. */
  proof(destination: Destination): Promise<void> {
    const host = this.#host(destination);
    return new Promise((resolve) => {
      host.owed.push(resolve);
      this.#prove(host);
    });
  }

  /** Whether this is the container of a connection: its processes are ours but belong to no run. */
  holds(id: string): boolean {
    return this.#containers.has(id);
  }

  views(): HostView[] {
    return [...this.#hosts.values()].map((host) => ({
      host: host.destination.name,
      tier: host.tier,
      connections: host.links.size,
      runs: [...host.links].reduce((sum, link) => sum + link.runs, 0),
      silentSince: silentSinceOf(host.links),
      sweeping: host.owed.length > 0,
    }));
  }

  /** Makes no new connections and aborts pending ones, so that callers do not wait for a silent host. */
  stopConnecting(): void {
    this.#stopping.abort();
    for (const host of this.#hosts.values()) host.retry?.clear();
  }

  /** Ends every connection; runs must be over. */
  async close(): Promise<void> {
    this.stopConnecting();
    const hosts = [...this.#hosts.values()];
    await Promise.allSettled(hosts.map((host) => host.opening ?? Promise.resolve()));
    for (const timer of this.#idle.values()) timer.clear();
    await Promise.all(hosts.flatMap((host) => [...host.links].map((link) => link.close())));
    await Promise.all(this.#retiring);
    if (this.#sockets !== this.#parts.directory) rmSync(this.#sockets, { recursive: true, force: true });
  }

  #host(destination: Destination): Host {
    const known = this.#hosts.get(destination.name);
    if (known !== undefined) return known;
    const host: Host = {
      destination,
      links: new Set(),
      gone: new Set(),
      opening: undefined,
      tier: null,
      owed: [],
      retry: undefined,
      retryMs: 1000,
    };
    this.#hosts.set(destination.name, host);
    return host;
  }

  #open(host: Host): Promise<SshConnection> {
    host.opening ??= this.#connect(host).then(
      (link) => {
        host.opening = undefined;
        this.#prove(host); // for connections lost since
        return link;
      },
      (thrown: unknown) => {
        host.opening = undefined;
        this.#retryLater(host, asHoldfastError(thrown).message);
        throw thrown;
      },
    );
    return host.opening;
  }

  async #connect(host: Host): Promise<SshConnection> {
    const { clock, random, fences, ownerId, epoch, env, times, termGraceMs, only, log } = this.#parts;
    // The proof covers the present waiters: the new guardian does not know of later losses.
    const owed = [...host.owed];
    const gone = [...host.gone, ...[...host.links].filter(({ lost }) => lost).map(({ mark }) => mark)];
    const number = this.#next++;
    const name = random.bytes(4).toString("hex");
    const id = `r${epoch}-${name}`;
    this.#containers.add(id);
    const link = await SshConnection.open({
      clock,
      destination: host.destination,
      container: fences.create(id),
      env,
      socket: join(this.#sockets, name),
      scripts: this.scripts,
      guardian: {
        owner: `/${ownerId}/`,
        link: `/${ownerId}/${epoch}.${number}/`,
        epoch: `/${ownerId}/${epoch}.`,
        gone,
        graceMs: termGraceMs,
        only,
      },
      times,
      given: this.#stopping.signal,
      onLost: (lost, why) => this.#lost(host, lost, why),
      onGone: () => this.#containers.delete(id),
    });
    host.tier = link.tier;
    host.retryMs = 1000;
    host.links.add(link);
    log({ event: "host.connected", host: host.destination.name, tier: link.tier, swept: link.swept });
    this.#rest(link);
    for (const mark of gone) host.gone.delete(mark);
    host.owed = host.owed.filter((resolve) => !owed.includes(resolve));
    for (const resolve of owed) resolve();
    return link;
  }

  #lost(host: Host, link: SshConnection, why: string): void {
    this.#idle.get(link)?.clear();
    this.#idle.delete(link);
    if (!host.links.delete(link)) return;
    host.gone.add(link.mark);
    this.#parts.log({ event: "host.lost", host: host.destination.name, why });
    this.#prove(host);
  }

  #prove(host: Host): void {
    if (host.owed.length === 0 || host.opening !== undefined || host.retry !== undefined) return;
    if (!this.#stopping.signal.aborted) this.#open(host).catch(() => {}); // logged and repeated
  }

  #retryLater(host: Host, why: string): void {
    if (host.owed.length === 0 || host.retry !== undefined || this.#stopping.signal.aborted) return;
    this.#parts.log({ event: "host.unreachable", host: host.destination.name, why, againMs: host.retryMs });
    host.retry = this.#parts.clock.after(host.retryMs, () => {
      host.retry = undefined;
      this.#prove(host);
    });
    host.retryMs = Math.min(host.retryMs * 2, retryMsMax);
  }

  #retire(link: SshConnection): void {
    if (link.runs > 0 || link.lost) return;
    this.#idle.delete(link);
    this.#hosts.get(link.destination.name)?.links.delete(link);
    const closing = link.close().finally(() => this.#retiring.delete(closing)); // never rejects
    this.#retiring.add(closing);
  }
}

function silentSinceOf(links: ReadonlySet<SshConnection>): number | null {
  const silent = [...links].flatMap(({ silentSince }) => silentSince ?? []);
  return silent.length === 0 ? null : Math.min(...silent);
}
