/**
 * Matches unreadable answers with their calls. Without an id, the answer belongs to one of the calls in flight: with
 * one call it is clear at once, with several as soon as the others have their answers.
 */

/** Lost answers without a known call; the oldest are forgotten. */
const groupsMax = 16;

export interface OpenCalls {
  /** Our numbers of the requests that wait for their answer. */
  numbers: () => number[];
  /** The answer of this request is lost. */
  fail: (number: number, why: string) => void;
}

interface Group {
  why: string;
  /** The candidates. */
  numbers: Set<number>;
}

export class LostAnswers {
  readonly #open: OpenCalls;
  #groups: Group[] = [];

  constructor(open: OpenCalls) {
    this.#open = open;
  }

  /** `numbers`: those found in the answer. */
  lost(numbers: number[], why: string): void {
    const waiting = this.#open.numbers();
    const group = new Set(numbers.length === 0 ? waiting : waiting.filter((each) => numbers.includes(each)));
    if (group.size === 0) {
      // An abandoned call is over now, too.
      for (const number of numbers) this.#open.fail(number, why);
      return;
    }
    this.#groups.push({ why, numbers: group });
    if (this.#groups.length > groupsMax) this.#groups.shift();
    this.#settle();
  }

  /** This one has its answer, so a lost one belongs to another. */
  answered(number: number): void {
    if (this.#groups.length === 0) return;
    for (const { numbers } of this.#groups) numbers.delete(number);
    this.#settle();
  }

  #settle(): void {
    for (let group = this.#decided(); group !== undefined; group = this.#decided()) {
      const { numbers, why } = group;
      this.#groups = this.#groups.filter((each) => each !== group);
      for (const number of numbers) {
        for (const other of this.#groups) other.numbers.delete(number);
        this.#open.fail(number, why);
      }
    }
  }

  /** A group with one candidate; or any, if there are as many lost answers as candidates. */
  #decided(): Group | undefined {
    const all = new Set(this.#groups.flatMap(({ numbers }) => [...numbers]));
    if (all.size <= this.#groups.length) return this.#groups[0];
    return this.#groups.find(({ numbers }) => numbers.size <= 1);
  }
}
