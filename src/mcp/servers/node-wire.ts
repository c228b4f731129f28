/**
 * The wire to a stdio server on a node: its output is pulled by offset and split into lines; its input is sent in
 * pieces, each once. A link that is lost for less than the lease therefore only costs time.
 */
import type { FrontServer, NodePlace } from "../../protocol/keeper/front-config.ts";
import type { EndReason, RunView } from "../../protocol/run.ts";
import type { OutputStream } from "../../protocol/background.ts";
import type { Clock } from "../../clock.ts";
import { asHoldfastError, HoldfastError, type ErrorCode } from "../../errors.ts";
import type { Runner } from "../../protocol/keeper/runner.ts";
import type { Owned, Scope } from "../../ownership/scope.ts";
import { describeEnd } from "./owned-run.ts";
import { LineCutter } from "./line-cutter.ts";
import type { Wire, WireEvents } from "./wire.ts";

/** Per read; in base64 it fits into one frame of a node's connection. */
const readBytes = 256 * 1024;
/** Longest wait of a read on the node. */
const readWaitMs = 30_000;
/** Bytes of unreleased lines that pause reading. */
const unreleasedBytesMax = 1024 * 1024;
/** Bytes queued for the server's stdin before `send` refuses. */
const queuedBytesMax = 4 * 1024 * 1024;
const pieceBytes = 192 * 1024;
/** Delay before retrying a server that does not read. */
const retryMs = 25;

/** The required part of the node service. */
export interface NodeServers extends Pick<Runner, "read" | "write" | "end"> {
  /** Records the run first. Throws `node_unknown`, `node_absent`, `node_lost` and the node's own refusals. */
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
  /** Owns the run; ends it at once if already closing. */
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

  /** Rejects with `node_lost` while the end is unproven: the reason is recorded, and the node is told on its return. */
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

  /** Rejects with the node's refusal; then there is nothing to close. */
  static async open(params: NodeWireParams, events: WireEvents): Promise<NodeWire> {
    const { nodes, host, server, place, scope, sessionId } = params;
    const wire = new NodeWire(params, events);
    // During the start an owner already exists, whose end waits for the start.
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

  /** `over`: the run has ended, and this was its last output. */
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

  /** Drains stderr; the node keeps it for `holdfast logs`, and it must not wait for a reader. */
  async #dropErrors(): Promise<void> {
    try {
      for (let offset = 0; !this.#closed;) {
        const { next, over } = await this.#read("stderr", offset);
        if (over !== undefined) return;
        offset = next;
      }
    } catch {
      // stdout reports any failure.
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
      // For a run that has ended, the end of its output is more informative.
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
    // The node ends the rest with its lease, or on its return: the run is recorded as lost.
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
