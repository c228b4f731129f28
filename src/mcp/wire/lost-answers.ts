/**
 * Answers that came and cannot be read, and whose they were. Where no id tells, it was one of the calls in flight: with a
 * single one it is known at once, with several as soon as the others have theirs.
 */

/** Lost answers whose call is not known yet; the oldest are forgotten. */
const groupsMax = 16;

export interface OpenCalls {
  /** Our numbers of the requests that wait for their answer. */
  numbers: () => number[];
  /** There will be no answer. */
  fail: (number: number, why: string) => void;
}

interface Group {
  why: string;
  /** One of these it was. */
  numbers: Set<number>;
}

export class LostAnswers {
  readonly #open: OpenCalls;
  #groups: Group[] = [];

  constructor(open: OpenCalls) {
    this.#open = open;
  }

  /** `numbers`: those that stand in it. */
  lost(numbers: number[], why: string): void {
    const waiting = this.#open.numbers();
    const group = new Set(numbers.length === 0 ? waiting : waiting.filter((each) => numbers.includes(each)));
    if (group.size === 0) {
      // Of a call that was given up: it is over now, too.
      for (const number of numbers) this.#open.fail(number, why);
      return;
    }
    this.#groups.push({ why, numbers: group });
    if (this.#groups.length > groupsMax) this.#groups.shift();
    this.#settle();
  }

  /** This one has its answer, so that a lost one was another's. */
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

  /** A group of one; or any, where there are as many lost answers as calls that they can be to. */
  #decided(): Group | undefined {
    const all = new Set(this.#groups.flatMap(({ numbers }) => [...numbers]));
    if (all.size <= this.#groups.length) return this.#groups[0];
    return this.#groups.find(({ numbers }) => numbers.size <= 1);
  }
}
