/**
 * `--once`: one run, from the first dial to the gateway's receipt of the result. Every phase has a deadline:
 * connect → approval → invocation → (the run: its own limits and its lease) → acknowledgement.
 */
import type { RunView } from "../../protocol/run.ts";
import type { OutputEnd, OutputStream } from "../../protocol/background.ts";
import type { Clock, Timer } from "../../clock.ts";
import { exitCodeOfSignal } from "../../platform/self/index.ts";
import { HoldfastError } from "../../errors.ts";
import type { NodeFinish, NodeSettings } from "../../protocol/keeper/node.ts";
import type { Wire } from "./wire.ts";

type Phase = "connect" | "approval" | "invocation" | "run" | "acknowledgement";

const missing: Record<Exclude<Phase, "run">, string> = {
  connect: "the gateway did not take this node in",
  approval: "no admin approved this node",
  invocation: "no run came",
  acknowledgement: "the gateway did not take the result",
};

export type OnceSettings = Pick<NodeSettings, "connectMs" | "approvalMs" | "invocationMs" | "acknowledgeMs">;

export class Once {
  readonly #settings: OnceSettings;
  readonly #clock: Clock;
  readonly #onDone: (finish: NodeFinish) => void;
  #timer: Timer | undefined;
  #phase: Phase | undefined;
  #request: string | undefined;
  /** The run, once it has ended. */
  #ended: RunView | undefined;
  /** Streams that the gateway has not read in full. */
  readonly #unread = new Set<OutputStream>(["stdout", "stderr"]);
  /** The gateway knows that the run has ended; it may still be reading. */
  #isTold = false;
  #wire: Wire | undefined;

  constructor(settings: OnceSettings, clock: Clock, onDone: (finish: NodeFinish) => void) {
    this.#settings = settings;
    this.#clock = clock;
    this.#onDone = onDone;
    this.#enter("connect", settings.connectMs);
  }

  pending(): void {
    if (this.#phase === "connect") this.#enter("approval", this.#settings.approvalMs);
  }

  /** A link that returns during a phase does not restart its deadline. */
  welcome(wire: Wire): void {
    this.#wire = wire;
    if (this.#phase === "connect" || this.#phase === "approval") this.#enter("invocation", this.#settings.invocationMs);
  }

  /** Throws when there is another run already. */
  mayStart(request: string): void {
    if (this.#request === undefined || this.#request === request) return;
    throw new HoldfastError("run_limit", "this node takes one run (--once), and has it");
  }

  started(request: string): void {
    if (this.#request !== undefined) return;
    this.#request = request;
    this.#enter("run", 0);
  }

  /** Reported to the gateway on the current wire, if any; again after each welcome. True: it is the one run, and ended. */
  told(request: string, run: RunView): boolean {
    if (request !== this.#request || run.state !== "exited") return false;
    if (this.#ended === undefined) {
      this.#ended = run;
      this.#enter("acknowledgement", this.#settings.acknowledgeMs);
    }
    this.#wire?.whenTaken(() => {
      this.#isTold = true;
      this.#look();
    });
    return true;
  }

  /** A piece of output is on its way to the gateway. */
  read(request: string, stream: OutputStream, from: number, piece: OutputEnd & { run: RunView }): void {
    if (request !== this.#request || piece.run.state !== "exited") return;
    // Past the end: such a request asks for the length and reads nothing.
    if (from > piece.printed) return;
    const isAll = piece.offset + Buffer.byteLength(piece.bytes, "base64") >= piece.printed;
    if (!isAll) return;
    this.#wire?.whenTaken(() => {
      this.#unread.delete(stream);
      this.#look();
    });
  }

  /** The stream is empty, or the run has no such stream. */
  empty(stream: OutputStream): void {
    this.#unread.delete(stream);
    this.#look();
  }

  [Symbol.dispose](): void {
    this.#timer?.clear();
  }

  #look(): void {
    if (this.#isTold && this.#unread.size === 0) this.#done();
  }

  #done(): void {
    this[Symbol.dispose]();
    this.#onDone({ exitCode: exitCodeOf(this.#ended), failure: null });
  }

  #enter(phase: Phase, boundMs: number): void {
    this.#timer?.clear();
    this.#phase = phase;
    if (phase === "run") return;
    this.#timer = this.#clock.after(boundMs, () => this.#late(phase, boundMs));
  }

  #late(phase: Exclude<Phase, "run">, boundMs: number): void {
    // Its record has the outcome; reading the output is up to the gateway.
    if (this.#isTold) return this.#done();
    const message = `${missing[phase]} within ${boundMs} ms`;
    this.#onDone({ exitCode: null, failure: { code: "node_timeout", message } });
  }
}

/** The shell convention: 128 + n for signal n. */
function exitCodeOf(run: RunView | undefined): number {
  if (run === undefined) return 1;
  if (run.exitCode !== null) return run.exitCode & 0xff;
  return exitCodeOfSignal(run.signal ?? "") ?? 1;
}
