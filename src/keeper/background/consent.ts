/** What a node's lists do not allow may be asked of the person at its terminal: one question at a time, each for a bounded time. */
import { HoldfastError } from "../../errors.ts";
import type { BackgroundSpec } from "../protocol/background.ts";

/** `nobody`: there is no terminal; `late`: no answer in time. Never rejects. */
export type PersonAnswer = "yes" | "no" | "late" | "nobody";
export type AskPerson = (question: string) => Promise<PersonAnswer>;

/** Questions that wait; a gateway cannot make more of them. */
const waitingMax = 16;

const why: Record<Exclude<PersonAnswer, "yes">, string> = {
  no: "the person at the node's terminal said no",
  late: "the person at the node's terminal did not answer in time",
  nobody: "nobody can be asked: the node has no terminal",
};

/** The lists do not allow it, and nothing else is wrong with it: the only refusal that a person may overrule. */
export class PolicyMiss extends HoldfastError {
  constructor(message: string) {
    super("exec_refused", message);
  }
}

export class Consent {
  readonly #ask: AskPerson;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(ask: AskPerson) {
    this.#ask = ask;
  }

  /** Resolves when the person said yes; else throws the miss, with why nobody overruled it. */
  async overrule(miss: PolicyMiss, { argv, cwd }: BackgroundSpec): Promise<void> {
    if (this.#waiting >= waitingMax)
      throw new PolicyMiss(`${miss.message}; ${waitingMax} questions wait for the person already`);
    this.#waiting += 1;
    const words = argv.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : JSON.stringify(word)));
    const question = `the gateway wants to run: ${words.join(" ")}${cwd === null ? "" : `\n  in ${cwd}`}\n  ${miss.message}`;
    const answer = this.#last.then(() => this.#ask(question));
    this.#last = answer;
    const said = await answer.finally(() => (this.#waiting -= 1));
    if (said !== "yes") throw new PolicyMiss(`${miss.message}; ${why[said]}`);
  }
}
