/** Keeps one connection to the gateway: never two at once, and after each end another try, later each time. */
import type { Sources } from "../../random.ts";
import { asHoldfastError, type HoldfastError } from "../../errors.ts";
import type { NodeProgress } from "../../protocol/keeper/node.ts";
import { BackOff } from "./back-off.ts";
import { addressOf, connect, type Target } from "./connect.ts";
import { Talk, type TalkEnd, type TalkParts } from "./talk.ts";

/** Longest of one attempt, up to the gateway's word about us. */
const attemptMsMax = 10_000;

export interface DialerParts extends Omit<TalkParts, "provenMs">, Sources {
  target: Target;
  onLost: () => void;
  onProgress: (progress: NodeProgress) => void;
}

export class Dialer {
  readonly #parts: DialerParts;
  readonly #backOff: BackOff;
  readonly #stop = new AbortController();
  #talk: Talk | undefined;
  #hasBeenWelcome = false;

  constructor(parts: DialerParts) {
    this.#parts = parts;
    this.#backOff = new BackOff(parts.random);
  }

  /** Resolves after `close`, or with what makes it no use to try on: only ever before the first welcome, or when the gateway says so. */
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
      await clock.sleep(ms, signal).catch(() => {}); // closed meanwhile
    }
    return undefined;
  }

  /** The gateway is told goodbye; resolves when the connection is gone. */
  async close(): Promise<void> {
    this.#talk?.wire.end("this node stops");
    this.#stop.abort();
    await this.#talk?.ended;
  }

  /** From the dial to the end of that connection. */
  async #once(target: Target, signal: AbortSignal): Promise<TalkEnd & { isGatewaysWord: boolean }> {
    const boundMs = Math.min(this.#parts.settings.connectMs, attemptMsMax);
    try {
      const onWelcome: TalkParts["onWelcome"] = (wire, welcome) => {
        this.#backOff.reset();
        this.#hasBeenWelcome = true;
        this.#parts.onWelcome(wire, welcome);
      };
      const parts = { ...this.#parts, onWelcome, provenMs: boundMs };
      this.#talk = await connect(
        target,
        { clock: this.#parts.clock, boundMs, signal },
        (...opened) => new Talk(...opened, parts),
      );
      // Closed while it was being opened.
      if (signal.aborted) this.#talk.wire.end("this node stops");
      const end = await this.#talk.ended;
      return { ...end, isGatewaysWord: end.refusal !== undefined && end.refusal.code !== "gateway_other" };
    } catch (thrown) {
      const error = asHoldfastError(thrown);
      const refusal = error.code === "certificate_untrusted" ? error : undefined;
      return { why: error.message, wasWelcome: false, refusal, isGatewaysWord: false };
    } finally {
      this.#talk = undefined;
    }
  }
}
