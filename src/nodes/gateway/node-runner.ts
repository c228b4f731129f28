/** The runner of nodes: each operation is answered by the run's node, by its record, or by the length of the node's absence. */
import type { RunView } from "../../protocol/run.ts";
import { requestMemoryMs, type BackgroundSpec } from "../../protocol/background.ts";
import type { Clock } from "../../clock.ts";
import { HoldfastError } from "../../errors.ts";
import type { OperationParams, Runner, RunnerOperation } from "../../protocol/keeper/runner.ts";
import type { NodeRun } from "./node-run.ts";
import { isNodeRun, type NodeRuns } from "./node-runs.ts";
import type { RemoteNode } from "./remote-node.ts";

const nothing = { bytes: "", sizes: [] };
const noOutput = { offset: 0, bytes: "", printed: 0 };

type OperationResult<O extends RunnerOperation> = Awaited<ReturnType<Runner[O]>>;

export interface NodeRunnerParts {
  clock: Clock;
  runs: NodeRuns;
  leaseMs: number;
  /** The approved node of that name. Throws `node_unknown`. */
  byName: (name: string) => RemoteNode;
  byId: (id: string) => RemoteNode;
  /** What the node says of itself. */
  systemOf: (id: string) => string;
  /** A node that is not approved may never return, so the outcome of its runs stays unknown. */
  isApproved: (id: string) => boolean;
}

interface Found {
  run: NodeRun;
  node: RemoteNode;
}

export class NodeRunner implements Runner {
  /** Scopes are kept by the gateway. */
  readonly replacesScopes = false;
  readonly #parts: NodeRunnerParts;
  /** The same, for the client that owns the run of an MCP server. */
  readonly servers: Pick<Runner, "read" | "write" | "end"> = {
    read: (params) => this.read(params),
    write: (params) => this.#write(this.#find(params.run), params),
    end: (params) => this.#end(this.#find(params.run), params),
  };

  constructor(parts: NodeRunnerParts) {
    this.#parts = parts;
  }

  /** Every host except this machine and those that its keeper reaches over ssh. */
  serves(host: string): boolean {
    return host !== "local" && !host.startsWith("ssh:");
  }

  /** Throws `node_unknown`. */
  systemOf(host: string): string {
    const { byName, systemOf } = this.#parts;
    return systemOf(byName(host).id);
  }

  holds(run: string): boolean {
    return isNodeRun(run);
  }

  /** Throws `node_unknown`, `node_absent`, `node_lost` and the node's refusals; only after `node_lost` may something run. */
  async start(spec: BackgroundSpec, server: string | null = null): Promise<RunView> {
    const { clock, runs, leaseMs, byName } = this.#parts;
    const node = byName(spec.host);
    await node.present();
    const run = runs.create(node.id, spec, server);
    run.starting = true;
    run.inputBytes = 0;
    // The gateway keeps sessions and scopes: the node knows the run by its request id and its lease.
    const ours = { host: "local", sessionId: null, scopeKey: null, replaceExistingScope: false };
    const whole = { ...spec, ...ours, request: run.id, leaseMs, onFrontLoss: "keep" as const, keepMs: null };
    // Later the node may have forgotten the request, and repeating it could start the run twice.
    const mayAsk = within(clock, requestMemoryMs);
    try {
      return node.took(run, await node.ask((link) => link.start(whole), mayAsk));
    } catch (thrown) {
      // A request given up may have started the run; a refused one did not.
      if (thrown instanceof HoldfastError && thrown.code === "node_lost") runs.giveUp(run, "node-lost");
      if (!run.settled) runs.forget(run);
      throw thrown;
    } finally {
      run.starting = false;
    }
  }

  async read(params: OperationParams<"read">): Promise<OperationResult<"read">> {
    const { run, node } = this.#find(params.run);
    if (run.exited) await node.present();
    const view = await node.askWithin((link, waitMs) => link.read({ ...params, waitMs }), params.waitMs);
    if (view === undefined) {
      const { printed } = run;
      return { ...nothing, offset: Math.min(params.offset, printed), printed, run: node.view(run) };
    }
    mustBeOutput(view.bytes, params.bytesMax, { run, node });
    run.printed = Math.max(run.printed, view.printed);
    return { ...view, run: node.took(run, view.run) };
  }

  /** Throws `run_ended` and `input_full` as the keeper does; accepted input is not accepted twice. */
  write(params: OperationParams<"write">): Promise<OperationResult<"write">> {
    return this.#write(this.#background(params.run), params);
  }

  async resize(params: OperationParams<"resize">): Promise<null> {
    const { node } = mustLive(this.#background(params.run));
    await node.ask((link) => link.resize(params));
    return null;
  }

  /** Throws `node_lost` when it is unknown whether the signal was sent. */
  async signal(params: OperationParams<"signal">): Promise<null> {
    const { node } = mustLive(this.#background(params.run));
    await node.askOnce((link) => link.signal(params));
    return null;
  }

  /** Resolves when the node reports an empty tree. Throws `node_lost` when that takes too long; the request stays on record. */
  end(params: OperationParams<"end">): Promise<RunView> {
    return this.#end(this.#background(params.run), params);
  }

  /** Throws `node_lost` for a run that was given up. */
  async wait({ run: id, waitMs }: OperationParams<"wait">): Promise<RunView> {
    const { run, node } = this.#background(id);
    await run.settles(waitMs);
    if (run.givenUp) throw node.goneError();
    return node.view(run);
  }

  /** Like `wait`, with the output that the node has; none while it is away. Throws `node_absent` for an ended run. */
  async outcome(params: OperationParams<"outcome">): Promise<OperationResult<"outcome">> {
    const { run, node } = this.#background(params.run);
    if (run.givenUp) throw node.goneError();
    const told = await node.askWithin((link, waitMs) => link.outcome({ ...params, waitMs }), params.waitMs);
    if (told === undefined) {
      if (run.exited) await node.present();
      return { run: node.view(run), stdout: noOutput, stderr: noOutput };
    }
    const { stdout, stderr } = told;
    for (const { bytes } of [stdout, stderr]) mustBeOutput(bytes, params.bytesMax, { run, node });
    run.printed = Math.max(run.printed, stdout.printed + stderr.printed);
    return { run: node.took(run, told.run), stdout, stderr };
  }

  /** Deletes its record here; its output on the node goes with the node's own history. */
  async remove({ run: id, end }: OperationParams<"remove">): Promise<null> {
    const { run } = this.#background(id);
    if (!run.settled) {
      if (!end)
        throw new HoldfastError("run_alive", `run ${id} has not ended; end it first, or remove it with its end`);
      await this.end({ run: id, reason: "cancelled", hurried: false });
    }
    this.#parts.runs.forget(run);
    return null;
  }

  async owners(): Promise<{ run: string; sessionId: string }[]> {
    return this.#parts.runs.all.flatMap(({ id, settled, row: { kind, sessionId, endReason } }) =>
      // A server's run is owned by its MCP client.
      kind === "mcp" || settled || sessionId === null || endReason !== null ? [] : [{ run: id, sessionId }],
    );
  }

  /** Runs that may be live, without those given up on a node that may never return. */
  get liveRuns(): NodeRun[] {
    const { runs, isApproved } = this.#parts;
    return runs.all.filter((run) => !run.exited && (!run.givenUp || isApproved(run.row.node)));
  }

  /** The live runs from the records here, without a request to any node. */
  async live(): Promise<RunView[]> {
    return this.views();
  }

  views(): RunView[] {
    return this.liveRuns.map((run) => this.#parts.byId(run.row.node).view(run));
  }

  /** Live runs with the processes that their nodes report in time; those of a silent node as last known. */
  async list({ all }: { all: boolean }): Promise<RunView[]> {
    const { runs, byId } = this.#parts;
    const shown = all ? runs.all : this.liveRuns;
    const nodes = new Set(shown.filter((run) => !run.settled).map(({ row }) => row.node));
    await Promise.all([...nodes].map((id) => byId(id).look()));
    return shown.map((run) => byId(run.row.node).view(run));
  }

  /** Throws `run_unknown` for a server's run: only its owner writes to it and ends it. */
  #background(id: string): Found {
    const found = this.#find(id);
    if (found.run.row.kind !== "mcp") return found;
    const message = `run ${id} is an MCP server's, not a background run; it ends with its session`;
    throw new HoldfastError("run_unknown", message);
  }

  #find(id: string): Found {
    const run = this.#parts.runs.get(id);
    return { run, node: this.#parts.byId(run.row.node) };
  }

  #write(found: Found, { run: id, bytes, at: from, end }: OperationParams<"write">): Promise<{ inputBytes: number }> {
    const { run, node } = mustLive(found);
    return run.afterInput(async () => {
      const send = (text: string, at: number | null, isEnd: boolean) =>
        node.ask((link) => link.write({ run: id, bytes: text, at, end: isEnd }));
      run.inputBytes ??= from ?? (await send("", null, false)).inputBytes;
      const taken = await send(bytes, from ?? run.inputBytes, end);
      run.inputBytes = taken.inputBytes;
      return taken;
    });
  }

  async #end({ run, node }: Found, { reason, hurried }: OperationParams<"end">): Promise<RunView> {
    if (run.exited) return node.view(run);
    // Recorded first: if the node is away, this front or the next tells it on its return.
    run.row.endReason ??= reason;
    this.#parts.runs.write(run);
    run.endsAsked += 1;
    return node.took(run, await node.end({ run: run.id, reason, hurried, nth: run.endsAsked }));
  }
}

/** A node is not trusted: its output is base64, and at most as long as was asked for. */
function mustBeOutput(bytes: string, bytesMax: number, { run, node }: Found): void {
  if (Buffer.byteLength(bytes, "base64") > bytesMax)
    throw node.fault(`more output at once than was asked for (${run.id})`);
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(bytes)) throw node.fault(`output that is not base64 (${run.id})`);
}

function mustLive(found: Found): Found {
  const { id, exited, row } = found.run;
  if (exited) throw new HoldfastError("run_ended", `run ${id} has ended (${row.endReason ?? "exited"})`);
  return found;
}

/** Checks both clocks: one stops while the machine sleeps, the other can be set. */
function within(clock: Clock, boundMs: number): () => boolean {
  const [counted, told] = [clock.monotonic(), clock.now()];
  return () => Math.max(clock.monotonic() - counted, clock.now() - told) < boundMs;
}
