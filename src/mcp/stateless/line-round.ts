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
  readonly #onStream: () => void;
  #onGone: () => void;
  #isOver = false;
  /** Its answer is a stream of changes, which ends with its client. */
  isStream = false;

  constructor(
    params: CallParams,
    stream: LineStream,
    events: {
      /** The client left it. */
      onGone: () => void;
      /** In every case. */
      onOver: () => void;
      /** Its answer is a stream from now on. */
      onStream: () => void;
    },
  ) {
    this.#id = params.clientId;
    this.#stream = stream;
    this.#onGone = events.onGone;
    this.#onOver = events.onOver;
    this.#onStream = events.onStream;
  }

  tell(line: Buffer, edits: Edit[], release: () => void): void {
    this.#stream.send(splice(line, edits, lineFraming.head, lineFraming.tail), release);
  }

  answer(line: Buffer, edits: Edit[], release: () => void): void {
    if (this.#isOver) return release();
    this.#isOver = true;
    this.tell(line, edits, release);
    // The last of all: a client whose input ended is let go once its last request is over.
    this.#over();
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
    this.isStream = true;
    this.#onStream();
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
