/** Requests that the server asked its client: our number for each, and the id and token as the server wrote them. */

/** Questions that may wait for an answer at one time; a server that asks more is refused. */
const questionsMax = 1000;

export interface Question {
  number: number;
  serverId: string;
  serverToken: string | undefined;
}

export class Questions {
  readonly #open = new Map<number, Question>();
  readonly #base: number;
  #next = 1;

  /** `base`: the numbers are base + n, so that no number of an earlier front is ever taken for one of this. */
  constructor(base: number) {
    this.#base = base;
  }

  /** Undefined: too many are open. */
  ask(serverId: string, serverToken: string | undefined): Question | undefined {
    if (this.#open.size >= questionsMax) return undefined;
    const question = { number: this.#base + this.#next++, serverId, serverToken };
    this.#open.set(question.number, question);
    return question;
  }

  get(number: number): Question | undefined {
    return this.#open.get(number);
  }

  /** Takes it off the list: it has its answer, or there will be none. */
  settle(number: number): Question | undefined {
    const question = this.#open.get(number);
    this.#open.delete(number);
    return question;
  }

  /** By the id as the server wrote it; only cancellations need this, so a walk is cheap enough. */
  find(serverId: string): Question | undefined {
    for (const question of this.#open.values()) if (question.serverId === serverId) return question;
    return undefined;
  }
}
