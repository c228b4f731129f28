/** The wire to a stdio server: one run of the keeper's, owned by one scope from the moment it exists. */
import type { EndReason, RunView } from "../../protocol/run.ts";
import type { Clock, Timer } from "../../clock.ts";
import type { KeeperLink } from "../../protocol/keeper/link.ts";
import type { LinkedRun, RunEvents, SentIds } from "../../protocol/keeper/linked-run.ts";
import type { Scope } from "../../ownership/scope.ts";
import { holdStart } from "./starting-run.ts";
import { describeEnd, notStarted, OwnedRun } from "./owned-run.ts";
import type { Legacy, Wire, WireEvents } from "./wire.ts";

/** A server that closed its output but does not exit is ended after this time: it cannot answer. */
const muteMsMax = 2000;

export interface StdioWireParams {
  link: KeeperLink;
  clock: Clock;
  server: string;
  /** The keeper records the run under this id. */
  sessionId: string;
  /** Owns the run; ends it at once if already closing. */
  scope: Scope;
}

export class StdioWire implements Wire, RunEvents {
  readonly #params: StdioWireParams;
  readonly #events: WireEvents;
  legacy: Legacy | undefined;
  #run: LinkedRun | undefined;
  #owned: OwnedRun | undefined;
  #mute: Timer | undefined;
  #closed = false;

  /** Rejects when the keeper cannot start the server; then there is nothing to close. */
  static async open(params: StdioWireParams, events: WireEvents): Promise<StdioWire> {
    const wire = new StdioWire(params, events);
    const { link, scope, server, sessionId } = params;
    using _ = holdStart(link, scope, server, sessionId);
    const run = await link.startRun(server, sessionId, wire).catch((thrown: unknown) => {
      throw notStarted(server, thrown);
    });
    wire.#own(run);
    return wire;
  }

  /** Takes over a run of the previous front. Rejects when it has ended. */
  static async adopt(params: StdioWireParams, runId: string, events: WireEvents): Promise<StdioWire> {
    const wire = new StdioWire(params, events);
    wire.#own(await params.link.adoptRun(runId, wire));
    return wire;
  }

  private constructor(params: StdioWireParams, events: WireEvents) {
    this.#params = params;
    this.#events = events;
  }

  get runId(): string | undefined {
    return this.#run?.id;
  }

  send(line: Buffer, ids?: SentIds): boolean {
    return this.#run?.send(line, ids) ?? false;
  }

  async close(reason: EndReason): Promise<void> {
    this.#tellClosed(`MCP server ${JSON.stringify(this.#params.server)} was ended (${reason})`, reason);
    await this.#owned?.close(reason);
    if (this.#owned !== undefined) this.#params.scope.release(this.#owned);
  }

  onLine(line: Buffer, release: () => void, again: boolean): void {
    if (this.#closed) release();
    else this.#events.onLine(line, release, again);
  }

  onEnd(): void {
    if (this.#closed) return;
    // Most servers exit now, and an exit code says more than a closed pipe: wait for it briefly.
    this.#mute = this.#params.clock.after(muteMsMax, () => {
      this.#tellClosed(`MCP server ${JSON.stringify(this.#params.server)} closed its output`);
      void this.close("exited").catch(() => {}); // the scope reports survivors at its end
    });
  }

  onState(view: RunView): void {
    if (view.state !== "exited" && view.state !== "lost" && view.survivors.length === 0) return;
    this.#tellClosed(describeEnd(this.#params.server, view), view.endReason ?? "exited");
    if (view.state === "exited" && this.#owned !== undefined) this.#params.scope.release(this.#owned);
  }

  #own(run: LinkedRun): void {
    const { scope, link } = this.#params;
    this.#run = run;
    this.legacy = {
      closed: (number) => run.closed(number),
      asked: (number, serverId) => run.asked(number, serverId),
      withdrawn: (number) => run.withdrawn(number),
      // A run that has ended needs no handoff state.
      leave: (blob) => void link.ask("run.setBlob", { run: run.id, blob }).catch(() => {}),
    };
    this.#owned = scope.add(new OwnedRun(run), `run ${run.id}`);
    if (run.view.state === "exited") scope.release(this.#owned);
  }

  #tellClosed(outcome: string, reason: EndReason = "exited"): void {
    this.#mute?.clear();
    if (this.#closed) return;
    this.#closed = true;
    this.#events.onClosed(outcome, undefined, reason);
  }
}
