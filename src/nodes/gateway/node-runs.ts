/** All runs on nodes that this gateway manages, recorded before a node hears of them. */
import type { EndReason } from "../../protocol/run.ts";
import type { BackgroundSpec } from "../../protocol/background.ts";
import type { Sources } from "../../random.ts";
import { HoldfastError } from "../../errors.ts";
import { notEnded } from "../../protocol/keeper/run-view.ts";
import type { Log } from "../../log.ts";
import { OwedWrites } from "../../owed-writes.ts";
import { NodeRun } from "./node-run.ts";
import type { NodesBook, RunRow } from "./rows.ts";

/** Most live runs, over all nodes. */
const liveMax = 2000;
/** Most ended runs remembered; their output is on the node, as long as the node keeps it. */
const endedMax = 1000;

/** `n<epoch of the keeper>-<12 hex digits>`: distinct from local runs and from those of earlier keepers. */
export function isNodeRun(id: string): boolean {
  return /^n\d+-[0-9a-f]{12}$/.test(id);
}

export class NodeRuns {
  readonly #sources: Sources;
  readonly #book: NodesBook;
  readonly #epoch: number;
  readonly #log: Log;
  readonly #owed: OwedWrites;
  readonly #runs = new Map<string, NodeRun>();

  /** Runs of an earlier front of the same keeper go on; those of an earlier keeper are to be ended. */
  constructor(book: NodesBook, epoch: number, log: Log, sources: Sources) {
    this.#sources = sources;
    this.#book = book;
    this.#epoch = epoch;
    this.#log = log;
    this.#owed = new OwedWrites(sources.clock, (thrown, run) =>
      log("node.store_failed", { run, error: String(thrown) }),
    );
    for (const row of book.runs.all()) {
      const run = new NodeRun({ ...row }, sources.clock);
      this.#runs.set(row.id, run);
      if (run.exited) continue;
      if (row.epoch !== epoch) run.giveUp("keeper-lost");
      else if (row.onFrontLoss === "kill") run.row.endReason ??= "front-lost";
      this.write(run);
    }
  }

  get all(): NodeRun[] {
    return [...this.#runs.values()];
  }

  of(node: string): NodeRun[] {
    return this.all.filter((run) => run.row.node === node);
  }

  find(id: string): NodeRun | undefined {
    return this.#runs.get(id);
  }

  /** Throws `run_unknown`. */
  get(id: string): NodeRun {
    const run = this.#runs.get(id);
    if (run !== undefined) return run;
    throw new HoldfastError("run_unknown", `no run ${id}; \`holdfast process list --all\` shows those there are`);
  }

  /** Why a run that a node still has, but is unknown here, must end. */
  reasonForUnknown(id: string): EndReason {
    return id.startsWith(`n${this.#epoch}-`) ? "orphan-swept" : "keeper-lost";
  }

  /** Throws `run_limit`, and `state_unusable` when it cannot be recorded: then the node must not hear of it. */
  create(node: string, spec: BackgroundSpec, server: string | null = null): NodeRun {
    if (this.all.filter((run) => !run.settled).length >= liveMax)
      throw new HoldfastError("run_limit", `${liveMax} runs are alive on nodes; end some`);
    const { clock, random } = this.#sources;
    const { sessionId, scopeKey, onFrontLoss, cwd } = spec;
    const kind = server === null ? spec.kind : ("mcp" as const);
    const id = `n${this.#epoch}-${random.bytes(6).toString("hex")}`;
    const what = { id, epoch: this.#epoch, node, kind, server, command: spec.argv.join(" "), cwd };
    const whose = { sessionId, scopeKey, onFrontLoss };
    const row: RunRow = { ...what, ...whose, ...notEnded, state: "starting", startedAt: clock.now() };
    try {
      this.#book.runs.put(row);
    } catch (cause) {
      const remedy = "nothing was started; see that the state directory can be written";
      throw new HoldfastError("state_unusable", `the run cannot be put on record (${String(cause)}); ${remedy}`, {
        cause,
      });
    }
    const run = new NodeRun(row, clock);
    this.#runs.set(row.id, run);
    this.#log("run.intended", { run: row.id, kind, server, session: sessionId });
    this.#trim();
    return run;
  }

  /** On a full disk the record is right in memory, and written once there is room. */
  write(run: NodeRun): void {
    this.#owed.do(run.id, () => this.#book.runs.put(run.row));
  }

  giveUp(run: NodeRun, reason: EndReason): void {
    run.giveUp(reason);
    this.write(run);
  }

  forget(run: NodeRun): void {
    this.#runs.delete(run.id);
    this.#owed.do(run.id, () => void this.#book.runs.remove(run.id));
  }

  /** Writes what is owed, if there is room. */
  close(): void {
    this.#owed.close();
  }

  #trim(): void {
    const settled = this.all.filter((run) => run.settled);
    for (const run of settled.slice(0, Math.max(0, settled.length - endedMax))) this.forget(run);
  }
}
