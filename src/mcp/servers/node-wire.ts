/**
 * The wire to a stdio server on a node: lines are cut out of its output, which is pulled by offset, and its input is sent piece
 * by piece, each once. So a link that is lost for less than the lease costs time and nothing else.
 */
import type { Clock } from "../../clock.ts";
import { asHoldfastError, HoldfastError, type ErrorCode } from "../../errors.ts";
import type { OutputStream } from "../../protocol/keeper/background.ts";
import type { Runner } from "../../protocol/keeper/runner.ts";
import type { EndReason, FrontServer, NodePlace, RunView } from "../../protocol/keeper/messages.ts";
import type { Owned, Scope } from "../../ownership/scope.ts";
import { describeEnd } from "./owned-run.ts";
import { LineCutter } from "./line-cutter.ts";
import type { Wire, WireEvents } from "./wire.ts";

/** Asked for at one time; in base64 it fits into one frame of a node's connection. */
const readBytes = 256 * 1024;
/** One question for output waits over there for so long. */
const readWaitMs = 30_000;
/** Bytes of lines that were not passed on yet, above which no more are pulled. */
const unreleasedBytesMax = 1024 * 1024;
/** Bytes that may wait for the server's stdin before `send` says no. */
const queuedBytesMax = 4 * 1024 * 1024;
const pieceBytes = 192 * 1024;
/** A server that does not read is tried again so soon. */
const retryMs = 25;

/** What is needed of the nodes, whoever has them. */
export interface NodeServers extends Pick<Runner, "read" | "write" | "end"> {
  /** The run is on record before the node hears of it. Throws `node_unknown`, `node_absent`, `node_lost` and what the node says no with. */
  start(host: string, server: FrontServer, place: NodePlace, sessionId: string): Promise<RunView>;
}

export interface NodeWireParams {
  nodes: NodeServers;
  clock: Clock;
  server: FrontServer;
  place: NodePlace;
  /** Name of the node. */
  host: string;
  sessionId: string;
  /** Owns the run. If it is closing already, the run is ended at once. */
  scope: Scope;
}

/** The run as its scope holds it. */
class OwnedNodeRun implements Owned {
  readonly #nodes: NodeServers;
  readonly #run: string;
  #closing: Promise<void> | undefined;

  constructor(nodes: NodeServers, run: string) {
    this.#nodes = nodes;
    this.#run = run;
  }

  close(reason: EndReason): Promise<void> {
    this.#closing ??= this.#close(reason);
    return this.#closing;
  }

  /** Rejects with `node_lost` while nobody can say that it is gone: the reason is on record, and the node is told when it is back. */
  async #close(reason: EndReason): Promise<void> {
    const { id, survivors } = await this.#nodes.end({ run: this.#run, reason, hurried: false });
    if (survivors.length === 0) return;
    const left = survivors.map(({ pid, state, command }) => `pid ${pid} (${state}, ${command})`).join(", ");
    throw new HoldfastError("survivors", `run ${id} cannot be ended: ${left}`);
  }
}

export class NodeWire implements Wire {
  readonly #params: NodeWireParams;
  readonly #events: WireEvents;
  readonly #lines = new LineCutter();
  #id = "";
  #owned: OwnedNodeRun | undefined;
  #queue: Buffer[] = [];
  #queuedBytes = 0;
  #isSending = false;
  #unreleased = 0;
  #whenReleased: (() => void) | undefined;
  #closed = false;

  /** Rejects with why the node does not start it; then there is nothing to close. */
  static async open(params: NodeWireParams, events: WireEvents): Promise<NodeWire> {
    const { nodes, host, server, place, scope, sessionId } = params;
    const wire = new NodeWire(params, events);
    // While it starts it has an owner already, whose end waits for the start.
    const { promise, resolve } = Promise.withResolvers<void>();
    const start: Owned = { close: () => promise };
    scope.add(start, `start of ${server.name} on ${host}`);
    try {
      wire.#own(await nodes.start(host, server, place, sessionId));
    } finally {
      scope.release(start);
      resolve();
    }
    return wire;
  }

  private constructor(params: NodeWireParams, events: WireEvents) {
    this.#params = params;
    this.#events = events;
  }

  get runId(): string {
    return this.#id;
  }

  send(line: Buffer): boolean {
    if (this.#closed || this.#queuedBytes > queuedBytesMax) return false;
    this.#queue.push(line, newline);
    this.#queuedBytes += line.length + 1;
    if (!this.#isSending) void this.#sendAll(); // never rejects
    return true;
  }

  async close(reason: EndReason): Promise<void> {
    this.#tellClosed(`MCP server ${JSON.stringify(this.#params.server.name)} was ended (${reason})`);
    await this.#owned?.close(reason);
    this.#release();
  }

  #own({ id }: RunView): void {
    const { nodes, scope } = this.#params;
    this.#id = id;
    this.#owned = scope.add(new OwnedNodeRun(nodes, id), `run ${id}`);
    void this.#hearAll(); // never rejects
    void this.#dropErrors();
  }

  // ── from the server ──

  async #hearAll(): Promise<void> {
    try {
      for (let offset = 0; ;) {
        const { bytes, next, over } = await this.#read("stdout", offset);
        if (this.#closed) return;
        this.#lines.push(bytes, (line) => this.#pass(line));
        if (over !== undefined) {
          this.#tellClosed(describeEnd(this.#params.server.name, over));
          return this.#release();
        }
        offset = next;
        if (this.#unreleased > unreleasedBytesMax) await new Promise<void>((resolve) => (this.#whenReleased = resolve));
      }
    } catch (thrown) {
      this.#lost(asHoldfastError(thrown));
    }
  }

  /** `over`: the run has ended, and this was its last word. */
  async #read(
    stream: OutputStream,
    offset: number,
  ): Promise<{ bytes: Buffer; next: number; over: RunView | undefined }> {
    const run = this.#id;
    const asked = { run, stream, offset, bytesMax: readBytes, waitMs: readWaitMs, viewer: false, pace: true };
    const view = await this.#params.nodes.read(asked);
    const bytes = Buffer.from(view.bytes, "base64");
    if (bytes.length > 0 && view.offset !== offset && stream === "stdout")
      throw new HoldfastError("gap", "a part of its output was not kept while its node was away");
    const next = bytes.length === 0 ? offset : view.offset + bytes.length;
    return { bytes, next, over: view.run.state === "exited" && next >= view.printed ? view.run : undefined };
  }

  #pass(line: Buffer): void {
    if (this.#closed || line.length === 0) return;
    this.#unreleased += line.length;
    let isReleased = false;
    this.#events.onLine(line, () => {
      if (isReleased) return;
      isReleased = true;
      this.#unreleased -= line.length;
      if (this.#unreleased > unreleasedBytesMax / 2) return;
      this.#whenReleased?.();
      this.#whenReleased = undefined;
    });
  }

  /** What it says on stderr stays on the node, where `holdfast logs` reads it; it only must not wait for a reader. */
  async #dropErrors(): Promise<void> {
    try {
      for (let offset = 0; !this.#closed;) {
        const { next, over } = await this.#read("stderr", offset);
        if (over !== undefined) return;
        offset = next;
      }
    } catch {
      // stdout tells what there is to tell.
    }
  }

  // ── to the server ──

  async #sendAll(): Promise<void> {
    this.#isSending = true;
    try {
      while (this.#queue.length > 0 && !this.#closed) {
        const waiting = Buffer.concat(this.#queue);
        this.#queue = [];
        for (let at = 0; at < waiting.length && !this.#closed; at += pieceBytes) {
          const piece = waiting.subarray(at, at + pieceBytes);
          await this.#sendPiece(piece.toString("base64"));
          this.#queuedBytes -= piece.length;
        }
      }
    } catch (thrown) {
      // A run that has ended says so with its output's end, in better words.
      const error = asHoldfastError(thrown);
      if (error.code !== "run_ended") this.#lost(error);
    } finally {
      this.#isSending = false;
    }
  }

  async #sendPiece(bytes: string): Promise<void> {
    const { nodes, clock } = this.#params;
    while (!this.#closed) {
      try {
        return void (await nodes.write({ run: this.#id, bytes, at: null, end: false }));
      } catch (thrown) {
        if (asHoldfastError(thrown).code !== "input_full") throw thrown;
      }
      await new Promise<void>((resolve) => clock.after(retryMs, resolve));
    }
  }

  // ── its end ──

  #lost({ code, message }: HoldfastError): void {
    const { server, host } = this.#params;
    const isNode = code.startsWith("node_") || code === "run_unknown";
    const remedy = isNode
      ? `; the next call starts it again when node ${host} is back (\`holdfast nodes list\`), or elsewhere if mcpServers.${server.name}.hostFallback says so`
      : "";
    this.#tellClosed(
      `MCP server ${JSON.stringify(server.name)} on node ${host} is lost: ${message}${remedy}`,
      isNode ? "node_lost" : code,
    );
    // What is left of it the node ends by itself with its lease, or when it is back: the run is on record as lost.
    if (isNode) this.#release();
    else void this.close("limit-exceeded").catch(() => {}); // its scope reports what cannot be ended
  }

  #release(): void {
    if (this.#owned !== undefined) this.#params.scope.release(this.#owned);
  }

  #tellClosed(outcome: string, code?: ErrorCode): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#whenReleased?.();
    this.#queue = [];
    this.#events.onClosed(outcome, code);
  }
}

const newline = Buffer.from("\n");
