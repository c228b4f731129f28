/** Admits nodes: new ones wait for an admin, approved ones are welcomed, and each key gets one connection. */
import type { Sources } from "../../random.ts";
import type { Timer } from "../../clock.ts";
import type { Log } from "../../log.ts";
import { NodeLink, type LinkTimes } from "./link.ts";
import type { RemoteNode } from "./remote-node.ts";
import type { KnownNode, NodeRegistry } from "./node-registry.ts";
import { Handshake, type Proven } from "./handshake.ts";
import type { NodeWire } from "./wire.ts";

/** How long the older of two connections with one key has to prove that it is alive. */
const duplicateMs = 2000;
/** Most connections that wait for an admin, in total and per address; above it the oldest is closed. */
const pendingMax = 64;
const pendingPerAddressMax = 16;

export interface AdmissionParts extends Sources {
  registry: NodeRegistry;
  times: LinkTimes & { pendingMs: number };
  fingerprint: string;
  version: string;
  log: Log;
  remote: (id: string) => RemoteNode;
}

export class Admission {
  readonly #parts: AdmissionParts;
  readonly #handshakes = new Set<Handshake>();
  /** Handshakes that wait for an admin, oldest first, with their deadlines. */
  readonly #pending = new Map<Handshake, Timer>();
  /** The latest welcomed connection of each node. */
  readonly #welcome = new Map<string, Handshake>();
  /** One decision per node at a time, so that simultaneous connections are not both admitted. */
  readonly #deciding = new Map<string, Promise<void>>();
  #isClosed = false;

  constructor(parts: AdmissionParts) {
    this.#parts = parts;
  }

  /** A new connection. The caller passes on its messages and the loss of its wire. */
  greet(wire: NodeWire): Handshake {
    const { registry, version, fingerprint, log, clock, random } = this.#parts;
    const handshake = new Handshake(wire, {
      clock,
      random,
      gatewayId: registry.gatewayId,
      version,
      fingerprint,
      onProven: () => this.#proven(handshake),
      onRuns: (_, runs) => this.#here(handshake, runs),
      onState: (_, state) => this.#remoteOf(handshake).hears(state),
      onFault: (_, what) => log("node.fault", { node: handshake.proven?.id ?? null, address: wire.address, what }),
      onOver: (_, why) => this.#over(handshake, why),
    });
    this.#handshakes.add(handshake);
    handshake.begin();
    return handshake;
  }

  isPending(id: string): boolean {
    return [...this.#pending.keys()].some(({ proven }) => proven?.id === id);
  }

  /** An admin approved it: waiting connections are welcomed. */
  approved(node: KnownNode): void {
    for (const handshake of this.#pending.keys())
      if (handshake.proven?.id === node.id) this.#admit(handshake, handshake.proven);
  }

  /** An admin rejected or revoked it: its connections end. */
  dismissed(id: string, code: "node_rejected" | "node_revoked"): void {
    for (const handshake of this.#handshakes) {
      if (handshake.proven?.id === id) handshake.refuse(code, refusals[code], "revoked");
    }
  }

  /** Its record is gone: its waiting connections may retry as unknown ones. */
  forgotten(id: string): void {
    for (const handshake of this.#handshakes)
      if (handshake.proven?.id === id) handshake.end("revoked", "an admin forgot this node");
  }

  /** Ends all connections and admits no more. */
  close(): void {
    this.#isClosed = true;
    for (const handshake of this.#handshakes) handshake.end("shutdown", "the gateway is stopping");
  }

  #over(handshake: Handshake, why: string): void {
    this.#handshakes.delete(handshake);
    this.#stopWaiting(handshake);
    const { proven, link } = handshake;
    if (proven === undefined || link === undefined) return;
    const remote = this.#remoteOf(handshake);
    if (this.#welcome.get(proven.id) === handshake) {
      this.#welcome.delete(proven.id);
      remote.came();
    }
    if (remote.link !== link) return;
    remote.leave(link);
    this.#parts.registry.seen(proven.id);
    this.#parts.log("node.lost", { node: proven.id, name: remote.name, address: handshake.wire.address, why });
  }

  #proven(handshake: Handshake): void {
    const { registry, log } = this.#parts;
    const { proven } = handshake;
    if (proven === undefined) return;
    const before = registry.get(proven.id);
    const node = registry.meet(proven);
    const { address } = handshake.wire;
    if (node.state === "approved") {
      if (before?.state !== "approved") log("node.approved", { node: node.id, name: node.name, by: "invitation" });
      return this.#admit(handshake, proven);
    }
    if (node.state !== "pending") {
      const code = node.state === "rejected" ? "node_rejected" : "node_revoked";
      return handshake.refuse(code, refusals[code]);
    }
    if (before === undefined) log("node.pending", { node: node.id, name: node.name, address });
    for (const other of this.#pending.keys())
      if (other.proven?.id === node.id) other.end("replaced", "it came back over another connection");
    this.#wait(handshake);
    handshake.wait();
  }

  #wait(handshake: Handshake): void {
    const same = [...this.#pending.keys()].filter(({ wire }) => wire.address === handshake.wire.address);
    const [oldest] =
      same.length >= pendingPerAddressMax ? same : this.#pending.size >= pendingMax ? this.#pending.keys() : [];
    oldest?.end("crowded", "too many wait to be approved");
    const late = () => handshake.end("auth-timeout", "it was not approved in time; it may come again");
    this.#pending.set(handshake, this.#parts.clock.after(this.#parts.times.pendingMs, late));
  }

  #stopWaiting(handshake: Handshake): void {
    this.#pending.get(handshake)?.clear();
    this.#pending.delete(handshake);
  }

  #admit(handshake: Handshake, proven: Proven): void {
    this.#stopWaiting(handshake);
    const before = this.#deciding.get(proven.id) ?? Promise.resolve();
    const decided = before.then(() => this.#decide(handshake, proven));
    this.#deciding.set(proven.id, decided);
    void decided.finally(() => {
      if (this.#deciding.get(proven.id) === decided) this.#deciding.delete(proven.id);
    });
  }

  /** Never rejects. */
  async #decide(handshake: Handshake, proven: Proven): Promise<void> {
    const { registry, times, clock } = this.#parts;
    const older = this.#welcome.get(proven.id);
    if (older !== undefined && older !== handshake && !older.over) {
      const isSame = older.proven?.instance === proven.instance;
      if (!isSame && (await older.link?.isAlive(duplicateMs)) === true)
        return handshake.refuse("node_duplicate", refusals.node_duplicate);
      older.end("replaced", "it came back over another connection");
    }
    // An admin may have decided while the older connection was being checked.
    const node = registry.get(proven.id);
    if (handshake.over || this.#isClosed || node?.state !== "approved") return handshake.end("shutdown", "not now");
    this.#welcome.set(proven.id, handshake);
    this.#remoteOf(handshake).comes();
    const link = new NodeLink(handshake.wire, proven, times, clock);
    handshake.welcome(link, node.name, { leaseMs: times.leaseMs, beatMs: times.beatMs });
    link.begin();
  }

  /** A welcomed node reported its runs. */
  #here(handshake: Handshake, runs: Parameters<RemoteNode["arrive"]>[1]): void {
    const { link, proven } = handshake;
    if (link === undefined || proven === undefined) return;
    const remote = this.#remoteOf(handshake);
    remote.arrive(link, runs);
    const { id: node, instance } = proven;
    this.#parts.log("node.connected", { node, name: remote.name, address: handshake.wire.address, instance });
  }

  #remoteOf({ proven }: Handshake): RemoteNode {
    return this.#parts.remote(proven?.id ?? "");
  }
}

const refusals = {
  node_rejected: "an admin of the gateway rejected this node; `holdfast nodes approve` lets it in",
  node_revoked: "an admin of the gateway revoked this node; `holdfast nodes approve` lets it in again",
  node_duplicate:
    "another node with the same key is connected and lives; two machines must not share a state directory's key",
} as const;
