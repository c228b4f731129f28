/** Starts servers: in turn, not too many at once, not again and again when they fail, and never for somebody who is gone. */
import type { Clock } from "../../clock.ts";
import { asHoldfastError, HoldfastError } from "../../errors.ts";
import type { KeeperLink } from "../../keeper/protocol/link.ts";
import type { FrontServer } from "../../keeper/protocol/messages.ts";
import type { Log } from "../../log.ts";
import type { Scope } from "../../ownership/scope.ts";
import type { Numbers } from "../numbers.ts";
import { greet, learnLists, type Introduction } from "../upstream/handshake.ts";
import type { Party } from "../upstream/party.ts";
import { openRemote } from "../upstream/open-remote.ts";
import { StdioWire } from "../upstream/stdio-wire.ts";
import { Upstream } from "../upstream/upstream.ts";
import type { Wire } from "../upstream/wire.ts";
import { Breaker } from "./breaker.ts";
import type { Catalog } from "./catalog.ts";
import { RunningServer } from "./running-server.ts";
import type { StartGate } from "./start-gate.ts";

/** Lists that are older than this are learnt anew when their server is started anyway. */
const factsFreshMs = 10 * 60_000;
/** Stands for "no bound": as long as a timer can be. */
const longMs = 2_147_483_647;

export interface StarterParts {
  link: KeeperLink;
  clock: Clock;
  log: Log;
  numbers: Numbers;
  gate: StartGate;
  catalog: Catalog;
  messageBytesMax: number;
}

export interface StartOrder {
  server: FrontServer;
  introduction: Introduction;
  /** Where its facts are kept. */
  factsKey: string;
  shared: boolean;
  /** The one session that may be told things from the first moment on; a pool's sessions join later. */
  party?: Party;
  /** Owns the server's processes. */
  scope: Scope;
  /** Under this id the keeper writes the run down. */
  sessionId: string;
  onRun: (runId: string, alive: boolean) => void;
  /** One of its lists is another now. */
  onListChanged: (running: RunningServer) => void;
}

export class Starter {
  readonly #parts: StarterParts;
  readonly #breakers = new Map<string, Breaker>();

  constructor(parts: StarterParts) {
    this.#parts = parts;
  }

  breaker(server: FrontServer): Breaker {
    const key = `${server.name} ${server.fingerprint}`;
    let breaker = this.#breakers.get(key);
    if (breaker === undefined) this.#breakers.set(key, (breaker = new Breaker(server.name, this.#parts.clock)));
    return breaker;
  }

  /** Resolves with a server that has answered `initialize`. Rejects with what a caller may be told. */
  async start(order: StartOrder): Promise<RunningServer> {
    const breaker = this.breaker(order.server);
    await breaker.admit();
    const leave = await this.#parts.gate.enter();
    try {
      if (order.scope.closing) throw gone();
      return await this.#start(order, breaker);
    } catch (thrown) {
      const error = asHoldfastError(thrown);
      if (order.scope.closing || error.code === "run_limit" || error.code === "gateway_busy") breaker.undecided();
      else breaker.failed(error.message);
      throw order.scope.closing ? gone() : error;
    } finally {
      leave();
    }
  }

  async #start(order: StartOrder, breaker: Breaker): Promise<RunningServer> {
    const { clock, log, numbers, catalog, messageBytesMax } = this.#parts;
    const { server } = order;
    let running: RunningServer | undefined;
    const upstream: Upstream = new Upstream({
      server: server.name,
      shared: order.shared,
      asksClients: Object.keys(order.introduction.capabilities).length > 0,
      requestTimeoutMs: server.requestTimeoutMs,
      messageBytesMax,
      numbers,
      clock,
      log,
      onClosed: (outcome) => {
        const { runId } = upstream;
        if (runId !== undefined) order.onRun(runId, false);
        running?.ended();
        if (running === undefined) return; // the start fails, and is counted there
        if (upstream.answered > 0) breaker.succeeded();
        else if (running.isWanted && !order.scope.closing) breaker.failed(outcome);
      },
      onBusy: (busy) => running?.busyChanged(busy),
      onListChanged: () => running !== undefined && order.onListChanged(running),
    });
    if (order.party !== undefined) upstream.join(order.party);
    const wire = await this.#open(order, upstream);
    upstream.attach(wire);
    if (wire.runId !== undefined) order.onRun(wire.runId, true);
    try {
      const boundMs = server.connectionTimeoutMs === 0 ? longMs : server.connectionTimeoutMs;
      const initialize = await greet(upstream, order.introduction, boundMs);
      const known = catalog.get(order.factsKey);
      const isFresh = known !== undefined && clock.now() - known.learnedAt < factsFreshMs;
      if (!isFresh || JSON.stringify(known.initialize) !== JSON.stringify(initialize)) {
        const lists = await learnLists(upstream, initialize.capabilities);
        catalog.put(order.factsKey, { initialize, lists, learnedAt: clock.now() });
      }
      running = new RunningServer({ upstream, initialize, wire, clock, server });
      return running;
    } catch (thrown) {
      await Promise.resolve(wire.close("spawn-failed")).catch(() => {}); // its scope reports what cannot be ended
      throw thrown;
    }
  }

  #open({ server, scope, sessionId }: StartOrder, upstream: Upstream): Promise<Wire> {
    const { link, clock, messageBytesMax } = this.#parts;
    if (server.kind !== "stdio") return openRemote({ server, clock, messageBytesMax, scope }, upstream);
    return StdioWire.open({ link, clock, server: server.name, sessionId, scope }, upstream);
  }
}

function gone(): HoldfastError {
  return new HoldfastError("run_ended", "the session ended while its server was starting");
}
