/** Keeps one connection to the gateway: one at a time, redialled with growing delays. */
import type { Sources, Random } from "../../random.ts";
import { asHoldfastError, type HoldfastError } from "../../errors.ts";
import type { NodeProgress } from "../../protocol/keeper/node.ts";
import { addressOf, connect, type ConnectTcp, type Target } from "./connect.ts";
import { GatewayConnection, type ConnectionEnd, type GatewayConnectionParts } from "./gateway-connection.ts";

/** Longest attempt, up to the gateway's decision about this node. */
const attemptMsMax = 10_000;

export interface DialerParts extends Omit<GatewayConnectionParts, "provenMs">, Sources {
  target: Target;
  connectTcp: ConnectTcp;
  onLost: () => void;
  onProgress: (progress: NodeProgress) => void;
}

export class Dialer {
  readonly #parts: DialerParts;
  readonly #backOff: BackOff;
  readonly #stop = new AbortController();
  #connection: GatewayConnection | undefined;
  #hasBeenWelcome = false;

  constructor(parts: DialerParts) {
    this.#parts = parts;
    this.#backOff = new BackOff(parts.random);
  }

  /** Resolves after `close`, or with the error that makes retries pointless: before the first welcome, or by refusal. */
  async run(): Promise<HoldfastError | undefined> {
    const { clock, target, onProgress, onLost } = this.#parts;
    const { signal } = this.#stop;
    const url = addressOf(target);
    onProgress({ phase: "connecting", text: `connecting to ${url}`, data: { url } });
    while (!signal.aborted) {
      const end = await this.#once(target, signal);
      onLost();
      if (signal.aborted) return undefined;
      const isFinal = end.refusal !== undefined && (!this.#hasBeenWelcome || end.isGatewaysWord);
      if (isFinal) return end.refusal;
      const ms = this.#backOff.next();
      onProgress({
        phase: "lost",
        text: `${end.why.startsWith(url) ? "" : `${url}: `}${end.why}; next try in ${ms} ms`,
        data: { url, retryMs: ms },
      });
      await clock.sleep(ms, signal).catch(() => {}); // closed during the delay
    }
    return undefined;
  }

  /** Says goodbye to the gateway; resolves when the connection is gone. */
  async close(): Promise<void> {
    this.#connection?.wire.end("this node stops");
    this.#stop.abort();
    await this.#connection?.ended;
  }

  /** One connection, from dialling to its end. */
  async #once(target: Target, signal: AbortSignal): Promise<ConnectionEnd & { isGatewaysWord: boolean }> {
    const boundMs = Math.min(this.#parts.settings.connectMs, attemptMsMax);
    try {
      const onWelcome: GatewayConnectionParts["onWelcome"] = (wire, welcome) => {
        this.#backOff.reset();
        this.#hasBeenWelcome = true;
        this.#parts.onWelcome(wire, welcome);
      };
      const parts = { ...this.#parts, onWelcome, provenMs: boundMs };
      this.#connection = await connect(
        target,
        { clock: this.#parts.clock, connectTcp: this.#parts.connectTcp, boundMs, signal },
        (...opened) => new GatewayConnection(...opened, parts),
      );
      // Closed while it was opening.
      if (signal.aborted) this.#connection.wire.end("this node stops");
      const end = await this.#connection.ended;
      return { ...end, isGatewaysWord: end.refusal !== undefined && end.refusal.code !== "gateway_other" };
    } catch (thrown) {
      const error = asHoldfastError(thrown);
      const refusal = error.code === "certificate_untrusted" ? error : undefined;
      return { why: error.message, wasWelcome: false, refusal, isGatewaysWord: false };
    } finally {
      this.#connection = undefined;
    }
  }
}

/** Doubles, with full jitter, so that the nodes do not all redial a returning gateway at once. */
const firstMs = 250;
const lastMs = 15_000;

export class BackOff {
  readonly #random: Random;
  #nextMs = firstMs;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Milliseconds to wait now; the bound of the next delay is twice as long. */
  next(): number {
    const ms = Math.round(this.#random.fraction() * this.#nextMs);
    this.#nextMs = Math.min(this.#nextMs * 2, lastMs);
    return ms;
  }

  reset(): void {
    this.#nextMs = firstMs;
  }
}
