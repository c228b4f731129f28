/** Lets nodes in: who is new waits for an admin, who is approved is welcome, and of two with one key only one is. */
import type { Sources } from "../../random.ts";
import type { Timer } from "../../clock.ts";
import type { Log } from "../../log.ts";
import { NodeLink, type LinkTimes } from "./link.ts";
import type { RemoteNode } from "./remote-node.ts";
import type { KnownNode, Roster } from "./roster.ts";
import { Visit, type Proven } from "./visit.ts";
import type { NodeWire } from "./wire.ts";

/** Time for the older of two with one key to prove that it lives. */
const duplicateMs = 2000;
/** Connections that wait for an admin, in all and from one address; above it the oldest goes. */
const pendingMax = 64;
const pendingPerAddressMax = 16;

export interface ReceptionParts extends Sources {
  roster: Roster;
  times: LinkTimes & { pendingMs: number };
  fingerprint: string;
  version: string;
  log: Log;
  remote: (id: string) => RemoteNode;
}

export class Reception {
  readonly #parts: ReceptionParts;
  readonly #visits = new Set<Visit>();
  /** Those that wait for an admin, oldest first, with the end of their time. */
  readonly #pending = new Map<Visit, Timer>();
  /** The connection of each node that was made welcome last. */
  readonly #welcome = new Map<string, Visit>();
  /** One at a time for each node: two that come at once must not both be let in. */
  readonly #deciding = new Map<string, Promise<void>>();
  #isClosed = false;

  constructor(parts: ReceptionParts) {
    this.#parts = parts;
  }

  /** A new connection. Give it what it says, and tell it when its wire is gone. */
  greet(wire: NodeWire): Visit {
    const { roster, version, fingerprint, log, clock, random } = this.#parts;
    const visit = new Visit(wire, {
      clock,
      random,
      gatewayId: roster.gatewayId,
      version,
      fingerprint,
      onProven: () => this.#proven(visit),
      onRuns: (_, runs) => this.#here(visit, runs),
      onState: (_, state) => this.#remoteOf(visit).hears(state),
      onFault: (_, what) => log("node.fault", { node: visit.proven?.id ?? null, address: wire.address, what }),
      onOver: (_, why) => this.#over(visit, why),
    });
    this.#visits.add(visit);
    visit.begin();
    return visit;
  }

  isPending(id: string): boolean {
    return [...this.#pending.keys()].some(({ proven }) => proven?.id === id);
  }

  /** An admin let it in: whoever waits is welcome at once. */
  approved(node: KnownNode): void {
    for (const visit of this.#pending.keys()) if (visit.proven?.id === node.id) this.#admit(visit, visit.proven);
  }

  /** An admin put it out: its connections end. */
  dismissed(id: string, code: "node_rejected" | "node_revoked"): void {
    for (const visit of this.#visits) {
      if (visit.proven?.id === id) visit.refuse(code, refusals[code], "revoked");
    }
  }

  /** It is nobody now: whoever waits with that key may come again, as a stranger. */
  forgotten(id: string): void {
    for (const visit of this.#visits) if (visit.proven?.id === id) visit.end("revoked", "an admin forgot this node");
  }

  /** Doors shut, and everybody out. */
  close(): void {
    this.#isClosed = true;
    for (const visit of this.#visits) visit.end("shutdown", "the gateway is stopping");
  }

  #over(visit: Visit, why: string): void {
    this.#visits.delete(visit);
    this.#stopWaiting(visit);
    const { proven, link } = visit;
    if (proven === undefined || link === undefined) return;
    const remote = this.#remoteOf(visit);
    if (this.#welcome.get(proven.id) === visit) {
      this.#welcome.delete(proven.id);
      remote.came();
    }
    if (remote.link !== link) return;
    remote.leave(link);
    this.#parts.roster.seen(proven.id);
    this.#parts.log("node.lost", { node: proven.id, name: remote.name, address: visit.wire.address, why });
  }

  #proven(visit: Visit): void {
    const { roster, log } = this.#parts;
    const { proven } = visit;
    if (proven === undefined) return;
    const before = roster.get(proven.id);
    const node = roster.meet(proven);
    const { address } = visit.wire;
    if (node.state === "approved") {
      if (before?.state !== "approved") log("node.approved", { node: node.id, name: node.name, by: "invitation" });
      return this.#admit(visit, proven);
    }
    if (node.state !== "pending") {
      const code = node.state === "rejected" ? "node_rejected" : "node_revoked";
      return visit.refuse(code, refusals[code]);
    }
    if (before === undefined) log("node.pending", { node: node.id, name: node.name, address });
    for (const other of this.#pending.keys())
      if (other.proven?.id === node.id) other.end("replaced", "it came back over another connection");
    this.#wait(visit);
    visit.wait();
  }

  #wait(visit: Visit): void {
    const same = [...this.#pending.keys()].filter(({ wire }) => wire.address === visit.wire.address);
    const [oldest] =
      same.length >= pendingPerAddressMax ? same : this.#pending.size >= pendingMax ? this.#pending.keys() : [];
    oldest?.end("crowded", "too many wait to be approved");
    const late = () => visit.end("auth-timeout", "it was not approved in time; it may come again");
    this.#pending.set(visit, this.#parts.clock.after(this.#parts.times.pendingMs, late));
  }

  #stopWaiting(visit: Visit): void {
    this.#pending.get(visit)?.clear();
    this.#pending.delete(visit);
  }

  #admit(visit: Visit, proven: Proven): void {
    this.#stopWaiting(visit);
    const before = this.#deciding.get(proven.id) ?? Promise.resolve();
    const decided = before.then(() => this.#decide(visit, proven));
    this.#deciding.set(proven.id, decided);
    void decided.finally(() => {
      if (this.#deciding.get(proven.id) === decided) this.#deciding.delete(proven.id);
    });
  }

  /** Never rejects. */
  async #decide(visit: Visit, proven: Proven): Promise<void> {
    const { roster, times, clock } = this.#parts;
    const older = this.#welcome.get(proven.id);
    if (older !== undefined && older !== visit && !older.over) {
      const isSame = older.proven?.instance === proven.instance;
      if (!isSame && (await older.link?.isAlive(duplicateMs)) === true)
        return visit.refuse("node_duplicate", refusals.node_duplicate);
      older.end("replaced", "it came back over another connection");
    }
    // While the older one was asked an admin may have decided otherwise.
    const node = roster.get(proven.id);
    if (visit.over || this.#isClosed || node?.state !== "approved") return visit.end("shutdown", "not now");
    this.#welcome.set(proven.id, visit);
    this.#remoteOf(visit).comes();
    const link = new NodeLink(visit.wire, proven, times, clock);
    visit.welcome(link, node.name, { leaseMs: times.leaseMs, beatMs: times.beatMs });
    link.begin();
  }

  /** It is welcome, and has told what it runs. */
  #here(visit: Visit, runs: Parameters<RemoteNode["arrive"]>[1]): void {
    const { link, proven } = visit;
    if (link === undefined || proven === undefined) return;
    const remote = this.#remoteOf(visit);
    remote.arrive(link, runs);
    const { id: node, instance } = proven;
    this.#parts.log("node.connected", { node, name: remote.name, address: visit.wire.address, instance });
  }

  #remoteOf({ proven }: Visit): RemoteNode {
    return this.#parts.remote(proven?.id ?? "");
  }
}

const refusals = {
  node_rejected: "an admin of the gateway rejected this node; `holdfast nodes approve` lets it in",
  node_revoked: "an admin of the gateway revoked this node; `holdfast nodes approve` lets it in again",
  node_duplicate:
    "another node with the same key is connected and lives; two machines must not share a state directory's key",
} as const;
