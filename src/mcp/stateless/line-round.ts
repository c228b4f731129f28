/** A round over the one line that a stdio client has: everything under the request's id, until it is answered or given up. */
import { lineFraming, type LineStream } from "../aggregate/line-call.ts";
import type { CallParams } from "../call.ts";
import { errorBody, type RpcFault } from "../json-rpc.ts";
import { splice, type Edit } from "../splice.ts";
import type { Changes, Round } from "./round.ts";

export class LineRound implements Round {
  readonly #id: string;
  readonly #stream: LineStream;
  readonly #onOver: () => void;
  #onGone: () => void;
  #isOver = false;

  /** `onOver` runs in every case, `onGone` only when the client left it. */
  constructor(params: CallParams, stream: LineStream, onGone: () => void, onOver: () => void) {
    this.#id = params.clientId;
    this.#stream = stream;
    this.#onGone = onGone;
    this.#onOver = onOver;
  }

  tell(line: Buffer, edits: Edit[], release: () => void): void {
    this.#stream.send(splice(line, edits, lineFraming.head, lineFraming.tail), release);
  }

  answer(line: Buffer, edits: Edit[], release: () => void): void {
    if (this.#isOver) return release();
    this.#over();
    this.tell(line, edits, release);
  }

  fail(fault: RpcFault): void {
    this.answer(errorBody(this.#id, fault), [], () => {});
  }

  dismiss(): void {
    this.#over();
  }

  beat(now: number): void {
    this.#stream.beat(now);
  }

  takeStream(onGone: () => void): Changes {
    this.#onGone = onGone;
    return {
      send: (message) => this.tell(message, [], () => {}),
      beat: (now) => this.beat(now),
      end: () => this.leave(),
    };
  }

  /** The client wants no answer any more. */
  leave(): void {
    if (this.#isOver) return;
    this.#over();
    this.#onGone();
  }

  #over(): void {
    this.#isOver = true;
    this.#onOver();
  }
}
