/** Starts servers: in turn, within a concurrency limit, with back-off after failures, and only while a client waits. */
import type { FrontServer } from "../../protocol/keeper/front-config.ts";
import type { Clock } from "../../clock.ts";
import { asHoldfastError, HoldfastError } from "../../errors.ts";
import type { KeeperLink } from "../../protocol/keeper/link.ts";
import type { HeldRun } from "../../protocol/keeper/messages.ts";
import type { Log } from "../../log.ts";
import { behindBarrier } from "./barrier.ts";
import { statelessVersion } from "../wire/headers.ts";
import type { Numbers } from "../wire/numbers.ts";
import type { Bearers } from "./bearers.ts";
import { openRemote } from "./open-remote.ts";
import { writeRunHandoff, type RunHandoff } from "./run-handoff.ts";
import { RevisionAdapter } from "./revision-adapter.ts";
import { greet, learnLists, type InitializeResult } from "./handshake.ts";
import type { NodeServers } from "./node-wire.ts";
import { isNodeAway, openStdio } from "./open-stdio.ts";
import { noClient } from "./client.ts";
import { StdioWire } from "./stdio-wire.ts";
import { Upstream } from "./upstream.ts";
import type { Wire, WireEvents } from "./wire.ts";
import { Breaker } from "./breaker.ts";
import type { Catalog, ServerMetadata } from "./catalog.ts";
import { passOpening, unknownServer, type Opening } from "./opening.ts";
import { gone, type StartOrder } from "./order.ts";
import { keyOf, KnownRevisions } from "./known-revisions.ts";
import { Relearning } from "./relearning.ts";
import { RunningServer } from "./running-server.ts";
import type { StartGate } from "./start-gate.ts";

/** Older lists are fetched again at the server's next start. */
const metadataFreshMs = 10 * 60_000;
/** Stands for "no limit": the longest possible timer. */
const longMs = 2_147_483_647;

export interface StarterParts {
  link: KeeperLink;
  /** Where servers with `host: "<node>"` run. */
  nodes: NodeServers;
  clock: Clock;
  log: Log;
  numbers: Numbers;
  gate: StartGate;
  catalog: Catalog;
  messageBytesMax: number;
  bearers: Bearers;
}

/** A starting server: its events before it is handed out. */
interface StartingServer {
  order: StartOrder;
  upstream: Upstream;
  running: RunningServer | undefined;
  listsChanged: boolean;
  relearning: Relearning;
  /** It ended before it was up. */
  onLost?: (outcome: string) => void;
}

export class Starter {
  readonly #parts: StarterParts;
  readonly #breakers = new Map<string, Breaker>();
  readonly revisions = new KnownRevisions();

  constructor(parts: StarterParts) {
    this.#parts = parts;
  }

  breaker(server: FrontServer): Breaker {
    const key = keyOf(server);
    let breaker = this.#breakers.get(key);
    if (breaker === undefined) this.#breakers.set(key, (breaker = new Breaker(server.name, this.#parts.clock)));
    return breaker;
  }

  /** The config changed or removed the server. */
  forget(server: FrontServer): void {
    this.#breakers.delete(keyOf(server));
    this.revisions.forget(server);
  }

  /** Resolves with an initialized server. Rejects with an error for the caller. */
  async start(order: StartOrder): Promise<RunningServer> {
    const breaker = this.breaker(order.server);
    await breaker.admit();
    const leave = await breaker.enter(this.#parts.gate);
    try {
      if (order.scope.closing) throw gone();
      const running = await this.#start(order);
      breaker.cameUp();
      if (order.passesAll) breaker.undecided(); // ends its trial, if it was one
      return running;
    } catch (thrown) {
      const error = asHoldfastError(thrown);
      const wantsLogin = this.#parts.bearers.of(order.server)?.problem !== undefined;
      const isOthers = error.code === "run_limit" || error.code === "gateway_busy" || isNodeAway(error.code);
      if (order.scope.closing || wantsLogin || isOthers) breaker.undecided();
      else breaker.failed(error.message);
      throw order.scope.closing ? gone() : error;
    } finally {
      leave();
    }
  }

  /** Takes over a server of the previous front. Rejects with the reason of a failure. */
  async resume(order: StartOrder, { run, openIds }: HeldRun, { tokens, binding }: RunHandoff): Promise<RunningServer> {
    if (order.passesAll ? binding !== undefined : binding?.metadataKey !== order.metadataKey)
      throw new HoldfastError("server_unknown", "its server is another one now, or was addressed in another way");
    const { link, clock, catalog } = this.#parts;
    const { server, scope, sessionId } = order;
    const starting = this.#rise(order);
    starting.listsChanged = binding?.listsChanged ?? false;
    const { upstream } = starting;
    const { wire, heard } = this.#wireTo(order, upstream);
    wire.attach(await StdioWire.adopt({ link, clock, server: server.name, sessionId, scope }, run.id, heard));
    upstream.attach(wire);
    order.onRun(run.id, true);
    upstream.tokens.restore(tokens);
    upstream.settle(openIds);
    if (binding === undefined) return this.#stand(starting, wire, unknownServer, run.startedAt);
    const instructions = catalog.get(order.metadataKey)?.initialize.instructions;
    const initialize = { ...binding.initialize, ...(instructions === undefined ? {} : { instructions }) };
    this.#settleRevision(order, upstream, wire, initialize);
    const running = this.#stand(starting, wire, initialize, run.startedAt);
    // The previous front may not have fetched the change.
    if (binding.listsChanged) starting.relearning.begin();
    return running;
  }

  async #start(order: StartOrder): Promise<RunningServer> {
    const { clock, catalog } = this.#parts;
    const { server } = order;
    const starting = this.#rise(order);
    const { upstream } = starting;
    const { wire, heard } = this.#wireTo(order, upstream);
    wire.attach(await this.#open(order, heard));
    upstream.attach(wire);
    if (wire.runId !== undefined) order.onRun(wire.runId, true);
    try {
      if (order.opening !== undefined) return await this.#passOpening(starting, wire, order.opening);
      const boundMs = server.connectionTimeoutMs === 0 ? longMs : server.connectionTimeoutMs;
      const known = catalog.get(order.metadataKey);
      const initialize = await this.#greet(upstream, order, boundMs, known);
      this.#settleRevision(order, upstream, wire, initialize);
      const isFresh = known !== undefined && clock.now() - known.learnedAt < metadataFreshMs;
      if (!isFresh || JSON.stringify(known.initialize) !== JSON.stringify(initialize)) {
        const lists = await learnLists(upstream, initialize.capabilities, clock).catch((thrown: unknown) => {
          // Old metadata still serves.
          if (known === undefined || upstream.closed) throw thrown;
        });
        if (lists !== undefined) catalog.put(order.metadataKey, { initialize, lists, learnedAt: clock.now() });
      }
      const running = this.#stand(starting, wire, initialize);
      // A change may have been announced before the last list was answered, or of a list that was not fetched.
      if (starting.relearning.isDue) starting.relearning.begin();
      return running;
    } catch (thrown) {
      await Promise.resolve(wire.close("spawn-failed")).catch(() => {}); // its scope reports what cannot be ended
      throw thrown;
    }
  }

  /** `heard` takes the server's messages. */
  #wireTo({ introduction, server }: StartOrder, upstream: Upstream): { wire: RevisionAdapter; heard: WireEvents } {
    const { numbers, clock, log } = this.#parts;
    const giveUp = (outcome: string) => {
      wire.onClosed(outcome, undefined, "defect");
      void wire.close("defect").catch(() => {}); // its scope reports what cannot be ended
    };
    const guarded = (events: WireEvents): WireEvents => ({
      onLine: behindBarrier(events.onLine.bind(events), { server: server.name, log }, giveUp),
      onClosed: (outcome, code, reason) => events.onClosed(outcome, code, reason),
    });
    const wire = new RevisionAdapter({ server: server.name, introduction, numbers, clock }, guarded(upstream));
    return { wire, heard: guarded(wire) };
  }

  #rise(order: StartOrder): StartingServer {
    const { clock, log, numbers, messageBytesMax } = this.#parts;
    const { server } = order;
    const breaker = this.breaker(server);
    const upstream: Upstream = new Upstream({
      server: server.name,
      shared: order.shared,
      passesAll: order.passesAll,
      asksClients: Object.keys(order.introduction.capabilities).length > 0,
      requestTimeoutMs: server.requestTimeoutMs,
      messageBytesMax,
      numbers,
      clock,
      log,
      onClosed: (outcome, reason) => {
        const { runId } = upstream;
        const { running } = starting;
        if (runId !== undefined) order.onRun(runId, false);
        running?.ended();
        starting.onLost?.(outcome);
        if (running === undefined && !order.passesAll) return; // the start fails, and is counted there
        if (upstream.answered > 0) breaker.succeeded();
        else if (running?.isWanted !== false && !order.scope.closing) breaker.failed(outcome);
        order.onClosed?.(outcome, reason);
      },
      onBusy: (busy) => starting.running?.busyChanged(busy),
      onListChanged: () => {
        starting.listsChanged = true;
        starting.relearning.isDue = true;
        if (starting.running === undefined) return;
        leaveHandoff(starting);
        starting.relearning.begin();
      },
      onToken: () => leaveHandoff(starting),
    });
    const relearning = new Relearning(clock, async () => {
      if (starting.running !== undefined) await order.onListChanged(starting.running);
    });
    const starting: StartingServer = { order, upstream, running: undefined, listsChanged: false, relearning };
    if (order.client !== undefined) upstream.join(order.client);
    return starting;
  }

  async #passOpening(starting: StartingServer, wire: Wire, opening: Opening): Promise<RunningServer> {
    const { upstream, order } = starting;
    const { server, client = noClient } = order;
    const lost = Promise.withResolvers<never>();
    starting.onLost = (outcome) => lost.reject(new HoldfastError("run_ended", outcome));
    let running: RunningServer | undefined;
    const stand = (initialize: InitializeResult) => void (running = this.#stand(starting, wire, initialize));
    const passed = passOpening({ opening, upstream, client, server, clock: this.#parts.clock, stand });
    await Promise.race([passed, lost.promise]);
    return running!;
  }

  #stand(starting: StartingServer, wire: Wire, initialize: InitializeResult, startedAt?: number): RunningServer {
    const { upstream, order } = starting;
    const { clock } = this.#parts;
    const onRetired = () => upstream.leaveHandoff("");
    const running = new RunningServer({
      upstream,
      initialize,
      wire,
      clock,
      server: order.server,
      startedAt,
      onRetired,
    });
    starting.running = running;
    leaveHandoff(starting);
    return running;
  }

  /** A server that exits on the revision probe is session-based: it is never probed again. */
  async #greet(
    upstream: Upstream,
    { server, introduction }: StartOrder,
    boundMs: number,
    known: ServerMetadata | undefined,
  ): Promise<InitializeResult> {
    const kind = this.revisions.of(server, known);
    try {
      return await greet(upstream, introduction, boundMs, kind);
    } catch (thrown) {
      if (upstream.closed && kind === "unknown") this.revisions.endedWhenAsked(server);
      const isLate = thrown instanceof Error && thrown.message.includes(`within ${boundMs} ms`);
      if (!isLate || server.timeoutHint === undefined) throw thrown;
      throw new Error(`${thrown.message}; ${server.timeoutHint}`, { cause: thrown });
    }
  }

  #settleRevision(order: StartOrder, upstream: Upstream, wire: RevisionAdapter, initialize: InitializeResult): void {
    if (initialize.protocolVersion !== statelessVersion) return;
    // A stateless client requested only this revision; the server may support sessions, too.
    if (order.introduction.protocolVersion !== statelessVersion) this.revisions.refusedSessions(order.server);
    upstream.isStateless = true;
    wire.become(initialize);
  }

  #open({ server, scope, sessionId, metadataKey }: StartOrder, upstream: WireEvents): Promise<Wire> {
    const { link, nodes, clock, log, messageBytesMax, bearers } = this.#parts;
    const bearer = bearers.of(server);
    if (server.kind !== "stdio") {
      const tools = this.#parts.catalog.get(metadataKey)?.lists.tools ?? [];
      return openRemote({ server, clock, log, messageBytesMax, scope, bearer, tools }, upstream);
    }
    return openStdio({ link, nodes, clock, log, server, sessionId, scope }, upstream);
  }
}

/** A server that is retired or was never handed out ends with this front. */
function leaveHandoff({ order: { metadataKey, passesAll }, upstream, running, listsChanged }: StartingServer): void {
  if (running?.usable !== true) return;
  const { instructions: _, ...initialize } = running.initialize;
  const binding = passesAll ? undefined : { metadataKey, initialize, listsChanged };
  upstream.leaveHandoff(writeRunHandoff({ tokens: upstream.tokens.entries(), binding }));
}
