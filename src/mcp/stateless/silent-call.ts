/** A call of our own on a client's behalf, of which only this matters: whether its server took it. */
import type { Timer } from "../../clock.ts";
import type { PatientCall } from "../aggregate/client-side.ts";
import type { CallParams } from "../call.ts";
import type { Edit } from "../splice.ts";

export class SilentCall implements PatientCall {
  readonly params: CallParams;
  deadline: Timer | undefined;
  done = false;
  /** Resolves with false when it was refused or given up. */
  readonly answered: Promise<boolean>;
  readonly #settle: (isTaken: boolean) => void;
  readonly #onDone: (call: SilentCall) => void;

  constructor(number: number, startedAt: number, onDone: (call: SilentCall) => void) {
    const both = { clientToken: undefined, startsTask: false, headers: {}, failStatus: 200 };
    this.params = { number, clientId: "1", startedAt, ...both };
    this.#onDone = onDone;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.answered = promise;
    this.#settle = resolve;
  }

  tell(_line: Buffer, _edits: Edit[], release: () => void): void {
    release();
  }

  answer(_line: Buffer, _edits: Edit[], release: () => void, result?: number): void {
    release();
    this.#end(result !== 0);
  }

  fail(): void {
    this.#end(false);
  }

  dismiss(): void {
    this.#end(false);
  }

  beat(): void {
    // Nobody waits at a socket for it.
  }

  #end(isTaken: boolean): void {
    if (this.done) return;
    this.done = true;
    this.deadline?.clear();
    this.#settle(isTaken);
    this.#onDone(this);
  }
}
