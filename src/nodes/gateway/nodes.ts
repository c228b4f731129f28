/** The nodes of a gateway: the entry point of this folder. */
import type { RunView } from "../../protocol/run.ts";
import type { FrontConfig, NodePlace } from "../../protocol/keeper/front-config.ts";
import type { BackgroundSpec } from "../../protocol/background.ts";
import type { NodeView } from "../../protocol/api/node.ts";
import type { Sources } from "../../random.ts";
import { inTime, type Timer } from "../../clock.ts";
import { HoldfastError } from "../../errors.ts";
import { completeSpec } from "../../protocol/keeper/background-spec.ts";
import type { Log } from "../../log.ts";
import type { OpenDatabase } from "../../private-database.ts";
import { canOpenNodesDatabase, openNodesDatabase } from "./database.ts";
import { NodeRuns } from "./node-runs.ts";
import { Admission } from "./admission.ts";
import { RemoteNode } from "./remote-node.ts";
import { NodeRegistry, type KnownNode } from "./node-registry.ts";
import { NodesBook } from "./rows.ts";
import { NodeRunner } from "./node-runner.ts";
import type { Handshake } from "./handshake.ts";
import type { NodeWire } from "./wire.ts";

/** How long a revoked node has to end its runs before its connection closes. */
const revokeBoundMs = 3000;
/** Interval of the attempts to open a file that could not be opened. */
const openEveryMs = 5000;

export interface NodesParts extends Sources {
  config: FrontConfig["nodes"];
  directory: string;
  /** Epoch of the keeper. */
  epoch: number;
  version: string;
  /** SHA-256 of our certificate, lower-case hex; "" without TLS. */
  fingerprint: string;
  openDatabase?: OpenDatabase | undefined;
  /** The file of the nodes can be opened that could not be: this front should be replaced. */
  onFile?: () => void;
  log: Log;
}

type ServersOnNodes = NodeRunner["servers"] & {
  start: (host: string, server: { name: string }, place: NodePlace, sessionId: string) => Promise<RunView>;
};

export class Nodes {
  readonly #parts: NodesParts;
  readonly #book: NodesBook;
  readonly #registry: NodeRegistry;
  readonly #runs: NodeRuns;
  readonly #runner: NodeRunner;
  readonly #admission: Admission;
  readonly #remotes = new Map<string, RemoteNode>();
  /** Set while the file cannot be opened: this gateway does not know its own identity, nor whom it approved. */
  #awaitsFile: Timer | undefined;

  constructor(parts: NodesParts) {
    this.#parts = parts;
    const { config, directory, epoch, version, fingerprint, openDatabase, log, clock, random } = parts;
    const onMemory = () => (this.#awaitsFile = clock.every(openEveryMs, () => this.#lookForFile()));
    this.#book = new NodesBook(openNodesDatabase(directory, log, clock, { open: openDatabase, onMemory }), random);
    this.#registry = new NodeRegistry(this.#book, parts);
    this.#runs = new NodeRuns(this.#book, epoch, log, parts);
    const remote = (id: string) => this.#remote(id);
    const byName = (name: string) => this.#byName(name);
    const isApproved = (id: string) => this.#registry.get(id)?.state === "approved";
    const systemOf = (id: string) => this.#registry.get(id)?.about.platform ?? "";
    const { leaseMs } = config;
    this.#runner = new NodeRunner({ clock, runs: this.#runs, leaseMs, byName, byId: remote, systemOf, isApproved });
    this.#admission = new Admission({
      registry: this.#registry,
      times: config,
      fingerprint,
      version,
      log,
      clock,
      random,
      remote,
    });
    // Nodes with runs of the previous front have one lease to return, from now on.
    for (const run of this.#runs.all) if (!run.settled) this.#remote(run.row.node);
  }

  /** Why no node may connect now; undefined: any may try. */
  get problem(): string | undefined {
    if (this.#awaitsFile === undefined) return undefined;
    return "the record of this gateway's nodes cannot be opened (see node.store_lost in its log); it is tried every few seconds";
  }

  /** Throws `state_unusable` while nothing is known of nodes. */
  get #known(): NodeRegistry {
    if (this.problem !== undefined) throw new HoldfastError("state_unusable", this.problem);
    return this.#registry;
  }

  #lookForFile(): void {
    const { directory, openDatabase, onFile } = this.#parts;
    if (canOpenNodesDatabase(directory, { open: openDatabase })) onFile?.();
  }

  /** A new connection on `/node`. The caller passes its messages and the loss of its wire to the handshake. */
  greet(wire: NodeWire): Handshake {
    return this.#admission.greet(wire);
  }

  /** Throws `state_unusable`. */
  list(): NodeView[] {
    return this.#known.all.map((node) => this.#view(node));
  }

  /** For figures, which show none while nothing is known. */
  get views(): NodeView[] {
    return this.#registry.all.map((node) => this.#view(node));
  }

  /** The name under which runs are sent to it. Throws `node_unknown`. */
  nameOf(word: string): string {
    return this.#known.find(word).name;
  }

  /** Throws `node_unknown`. */
  describe(word: string): { node: NodeView; runs: RunView[] } {
    const node = this.#known.find(word);
    const live = this.#runner.liveRuns.filter(({ row }) => row.node === node.id);
    return { node: this.#view(node), runs: live.map((run) => this.#remote(node.id).view(run)) };
  }

  /** Throws `node_unknown` and `node_name_taken`. */
  approve(word: string, name?: string): NodeView {
    const node = this.#known.approve(word, name);
    this.#parts.log("node.approved", { node: node.id, name: node.name, by: "admin" });
    this.#admission.approved(node);
    return this.#view(node);
  }

  async reject(word: string): Promise<NodeView> {
    const node = this.#known.reject(word);
    this.#parts.log("node.rejected", { node: node.id, name: node.name });
    return this.#dismiss(node, "node_rejected");
  }

  /** Ends its runs first, within a short bound, then disconnects it. */
  async revoke(word: string): Promise<NodeView> {
    const node = this.#known.revoke(word);
    this.#parts.log("node.revoked", { node: node.id, name: node.name });
    return this.#dismiss(node, "node_revoked");
  }

  /** Forgets an unapproved node and its run records. Throws `node_approved`. Returns its last view. */
  forget(word: string): NodeView {
    const forgotten = this.#known.forget(word);
    const { id, name } = forgotten;
    const was = this.#view(forgotten);
    this.#parts.log("node.forgotten", { node: id, name });
    this.#admission.forgotten(id);
    for (const run of this.#runs.of(id)) {
      this.#runs.giveUp(run, "node-lost");
      this.#runs.forget(run);
    }
    this.#remotes.delete(id);
    return was;
  }

  rename(word: string, name: string): NodeView {
    return this.#view(this.#known.rename(word, name));
  }

  invite(validMs: number, name: string | null): { secret: string; expiresAt: number } {
    return this.#known.invite(validMs, name);
  }

  /** For the clients of MCP servers on nodes. */
  get servers(): ServersOnNodes {
    const runner = this.#runner;
    return {
      ...runner.servers,
      start: (host, { name }, place, sessionId) => runner.start(serverSpec(host, place, sessionId), name),
    };
  }

  /** Background runs on nodes. */
  get runner(): NodeRunner {
    return this.#runner;
  }

  get fingerprint(): string {
    return this.#parts.fingerprint;
  }

  /** Counts of live runs on nodes by shown state. */
  runStates(): Map<string, number> {
    const counts = new Map([
      ["running", 0],
      ["lost", 0],
    ]);
    for (const { state } of this.#runner.views()) counts.set(state, (counts.get(state) ?? 0) + 1);
    return counts;
  }

  /** Ends all runs on nodes when the gateway stops; those that take longer than `boundMs` end with their lease. */
  async endRuns(boundMs: number): Promise<void> {
    await this.#end(
      this.#runs.all.filter((run) => !run.settled).map(({ id }) => id),
      "shutdown",
      boundMs,
    );
  }

  /** Disconnects all nodes and sends no more requests. */
  close(): void {
    this.#awaitsFile?.clear();
    this.#admission.close();
    this.#runs.close();
    this.#book.close();
  }

  async #dismiss(node: KnownNode, code: "node_rejected" | "node_revoked"): Promise<NodeView> {
    const live = this.#runs.of(node.id).filter((run) => !run.settled);
    if (this.#remote(node.id).link !== undefined) {
      const ids = live.map(({ id }) => id);
      await this.#end(ids, "cancelled", revokeBoundMs);
    }
    this.#admission.dismissed(node.id, code);
    return this.#view(node);
  }

  async #end(runs: string[], reason: "shutdown" | "cancelled", boundMs: number): Promise<void> {
    // A run that cannot be ended has its reason on record, and its returning node is told: no need to wait.
    const isHere = (run: string) => this.#remotes.get(this.#runs.find(run)?.row.node ?? "")?.link !== undefined;
    const ends = runs.map((run) => ({
      waits: isHere(run),
      end: this.#runner.servers.end({ run, reason, hurried: false }).catch(() => {}),
    }));
    const awaited = Promise.all(ends.filter(({ waits }) => waits).map(({ end }) => end));
    await inTime(this.#parts.clock, awaited, boundMs, undefined);
  }

  #remote(id: string): RemoteNode {
    let remote = this.#remotes.get(id);
    if (remote === undefined) {
      const { clock, config, log } = this.#parts;
      const name = () => this.#registry.get(id)?.name ?? id;
      remote = new RemoteNode(id, { clock, runs: this.#runs, leaseMs: config.leaseMs, log, name });
      this.#remotes.set(id, remote);
    }
    return remote;
  }

  #byName(name: string): RemoteNode {
    const known = this.#known;
    const node = known.approved(name) ?? known.find(name);
    if (node.state === "approved") return this.#remote(node.id);
    const remedy =
      node.state === "pending" ? "`holdfast nodes approve` lets it in" : "`holdfast nodes list` shows who may";
    throw new HoldfastError("node_unknown", `node ${name} is ${node.state}, not approved; ${remedy}`);
  }

  #view(known: KnownNode): NodeView {
    const { publicKey: _, ...node } = this.#registry.get(known.id) ?? known;
    const link = this.#remotes.get(node.id)?.link;
    const live = this.#runner.liveRuns.filter(({ row }) => row.node === node.id);
    const here = {
      address: link?.wire.address ?? null,
      connectedAt: link?.openedAt ?? null,
      once: link?.once ?? false,
    };
    return {
      ...node,
      ...here,
      lastSeenAt: link === undefined ? node.lastSeenAt : (link.silentSince ?? this.#parts.clock.now()),
      silentSince: link?.silentSince ?? null,
      connected: link !== undefined,
      waiting: this.#admission.isPending(node.id),
      roundTripMs: link?.roundTripMs ?? null,
      runs: live.length,
    };
  }
}

/** The spec of an MCP server for its node: a command with separate streams whose output waits for its reader. */
function serverSpec(host: string, { argv, cwd, env, limits }: NodePlace, sessionId: string): BackgroundSpec {
  // In the foreground, so that unread output is never overwritten. Only this front knows which client made which request.
  const asServer = { background: false, streams: "apart", onFrontLoss: "kill", noOutputTimeoutMs: 0 } as const;
  return completeSpec(argv, { host, cwd, env, limits, sessionId, ...asServer });
}
