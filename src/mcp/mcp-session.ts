/** A client's session on one server: the session, the run that it owns and the relay between them. */
import type { Clock, Timer } from "../clock.ts";
import { asHoldfastError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { KeeperLink } from "../protocol/keeper/link.ts";
import type { LinkedRun, RunEvents } from "../protocol/keeper/linked-run.ts";
import type { FrontConfig, HeldRun, RunView } from "../protocol/keeper/messages.ts";
import type { Session } from "../sessions/session.ts";
import { behindBarrier } from "./barrier.ts";
import type { Call } from "./call.ts";
import type { Envelope } from "./envelope.ts";
import { settleOld } from "./adoption.ts";
import { rpcCode, type RpcFault } from "./json-rpc.ts";
import { OwnedRun, describeEnd, notStarted } from "./owned-run.ts";
import type { Breaker } from "./pool/breaker.ts";
import type { StartGate } from "./pool/start-gate.ts";
import type { Pulse } from "./pulse.ts";
import type { Relay } from "./relay.ts";
import { holdStart } from "./starting-run.ts";
import { writeBlob, type RunBlob } from "./run-blob.ts";

/** A server that closed its output but does not exit is ended after so long: it cannot answer any more. */
const muteMsMax = 2000;

export interface McpSessionParts {
  server: FrontConfig["servers"][number];
  session: Session;
  relay: Relay;
  link: KeeperLink;
  clock: Clock;
  log: Log;
  gate: StartGate;
  pulse: Pulse;
  /** The server's failures, of all sessions together. */
  breaker: Breaker;
}

export class McpSession implements Pick<RunEvents, "onEnd" | "onState"> {
  readonly session: Session;
  readonly relay: Relay;
  readonly server: McpSessionParts["server"];
  readonly #parts: McpSessionParts;
  #outcome: string | undefined;
  #mute: Timer | undefined;
  /** Whether the server's start, or its whole life, is one more failure is open. */
  #isJudged = true;
  /** The server is not starting any more. */
  #leaveGate: () => void = () => {};

  constructor(parts: McpSessionParts) {
    this.#parts = parts;
    this.server = parts.server;
    this.session = parts.session;
    this.relay = parts.relay;
    parts.pulse.add(parts.relay);
    parts.session.onEnd((reason) => {
      parts.pulse.remove(parts.relay);
      this.#mute?.clear();
      this.#leaveGate();
      this.#judge(undefined);
      this.relay.close(unavailable(this.#outcome ?? `the session was ended (${reason})`));
    });
  }

  /** The protocol revision that the server chose. */
  get negotiated(): string | undefined {
    return this.session.protocolVersion ?? undefined;
  }

  /** Starts the server and hands it the client's `initialize`. Every failure ends the session and answers the call. */
  async begin(call: Call, envelope: Envelope, body: Buffer): Promise<void> {
    const { server, session, relay, link, gate, breaker } = this.#parts;
    try {
      await breaker.admit();
    } catch (thrown) {
      const { message, code: reason } = asHoldfastError(thrown);
      call.fail({ code: rpcCode.unavailable, message, reason });
      void session.close("spawn-failed"); // nothing was started
      return;
    }
    this.#isJudged = false;
    if (session.ended) this.#judge(undefined);
    this.#leaveGate = await breaker.enter(gate);
    if (session.ended) {
      this.#leaveGate();
      return call.fail(unavailable(this.#outcome ?? "the session was ended"));
    }
    this.#armConnectionTimeout(call);
    using _ = holdStart(link, session.scope, server.name, session.id);
    try {
      this.#own(await link.startRun(server.name, session.id, this.#events()));
    } catch (thrown) {
      const { message, code: reason } = notStarted(server.name, thrown);
      this.#judge(reason === "run_limit" || reason === "gateway_busy" ? undefined : message);
      call.fail({ code: rpcCode.unavailable, message, reason });
      void session.close("spawn-failed");
      return;
    }
    if (session.ended) call.fail(unavailable(this.#outcome ?? "the session was ended"));
    else if (!relay.request(call, envelope, body))
      this.#endWith(`MCP server ${JSON.stringify(server.name)} takes no input`, "timeout");
  }

  /** Goes on where the front before this one was cut off. Rejects when the run ended meanwhile. */
  async resume({ run: { id }, openIds }: HeldRun, blob: RunBlob): Promise<void> {
    this.#isJudged = false;
    this.relay.answered = 1; // to the front before
    this.relay.tokens.restore(blob.tokens);
    const run = await this.#parts.link.adoptRun(id, this.#events());
    this.#own(run);
    settleOld(run, openIds);
  }

  /** Leaves to the next front what it must know of this run. */
  leaveBlob(): void {
    const blob = writeBlob({ tokens: this.relay.tokens.entries() });
    // A run that ended meanwhile needs no blob.
    for (const run of this.session.runs) void this.#parts.link.ask("run.setBlob", { run, blob }).catch(() => {});
  }

  #events(): RunEvents {
    const { server, log } = this.#parts;
    const hear = (line: Buffer, release: () => void, again = false) => this.relay.onLine(line, release, again);
    return {
      onLine: behindBarrier(hear, { server: server.name, log }, (outcome) => this.#endWith(outcome, "defect")),
      onEnd: () => this.onEnd(),
      onState: (view) => this.onState(view),
    };
  }

  #own(run: LinkedRun): void {
    const { session, relay } = this;
    relay.attach(run);
    session.runs.add(run.id);
    // If the session ended meanwhile its scope ends the run at once.
    session.scope.add(new OwnedRun(run), `run ${run.id}`);
  }

  /** What the server said to `initialize`. */
  hearInitialized(line: Buffer, isError: boolean): void {
    this.#leaveGate();
    this.#parts.breaker.undecided(); // it is up: its trial, if it was one, is over
    if (isError) {
      void this.session.close("session-ended");
      return;
    }
    const { result } = JSON.parse(line.toString()) as { result?: { protocolVersion?: unknown } };
    if (typeof result?.protocolVersion === "string") this.session.agreeOn(result.protocolVersion);
    this.leaveBlob();
  }

  onEnd(): void {
    if (this.session.ended) return;
    // Most servers exit now, and their exit code says more than a closed pipe does: wait for it, but not long.
    const message = `MCP server ${JSON.stringify(this.#parts.server.name)} closed its output`;
    this.#mute = this.#parts.clock.after(muteMsMax, () => this.#endWith(message, "exited"));
  }

  onState(view: RunView): void {
    if (view.state === "exited" || view.state === "lost" || view.survivors.length > 0) {
      this.#endWith(describeEnd(this.#parts.server.name, view), view.endReason ?? "exited");
    }
  }

  /** Calls in flight are told why. Resolves when the server is gone, and never rejects. */
  async end(outcome: string, reason: NonNullable<RunView["endReason"]>): Promise<void> {
    this.#outcome ??= outcome;
    await this.session.close(reason); // what cannot be ended is logged by the session set
  }

  /** `failure`: what the server did. Undefined: it was ended by us or its client, which says nothing against it. */
  #judge(failure: string | undefined): void {
    if (this.#isJudged) return;
    this.#isJudged = true;
    const { breaker, relay } = this.#parts;
    // The first answer is that to `initialize`.
    if (relay.answered > 1) breaker.succeeded();
    else if (failure === undefined) breaker.undecided();
    else breaker.failed(failure);
  }

  #endWith(outcome: string, reason: NonNullable<RunView["endReason"]>): void {
    if (!this.session.ended) this.#judge(outcome);
    void this.end(outcome, reason);
  }

  #armConnectionTimeout(call: Call): void {
    const { server, clock } = this.#parts;
    const { name, connectionTimeoutMs, timeoutHint } = server;
    if (connectionTimeoutMs === 0) return;
    const key = `mcpServers.${name}.connectionTimeoutMs`;
    const message = `MCP server ${JSON.stringify(name)} did not answer initialize within ${key} = ${connectionTimeoutMs}${timeoutHint === undefined ? "" : `; ${timeoutHint}`}`;
    call.deadline = clock.after(connectionTimeoutMs, () => this.#endCall(call, message + this.relay.dropped));
  }

  #endCall(call: Call, message: string): void {
    call.fail({ code: rpcCode.timeout, message, reason: "run_ended" });
    this.#endWith(message, "timeout");
  }
}

function unavailable(message: string): RpcFault {
  return { code: rpcCode.unavailable, message, reason: "run_ended" };
}
