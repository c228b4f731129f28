/** Asks the person at the node's terminal about commands outside its lists: one question at a time, each with a time limit. */
import type { BackgroundSpec } from "../../protocol/background.ts";
import { HoldfastError } from "../../errors.ts";

/** `nobody`: there is no terminal; `late`: no answer in time. Never rejects. */
export type PersonAnswer = "yes" | "no" | "late" | "nobody";
export type AskPerson = (question: string) => Promise<PersonAnswer>;

/** Pending questions; a bound on what a gateway can cause. */
const waitingMax = 16;
/** Characters of a question: anything longer than a screen goes unread. */
const shownMax = 1500;

const why: Record<Exclude<PersonAnswer, "yes">, string> = {
  no: "the person at the node's terminal said no",
  late: "the person at the node's terminal did not answer in time",
  nobody: "there is no person to ask: the node has no terminal",
};

/** A command outside the lists but otherwise valid: the only refusal that a person may overrule. */
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

  /** Resolves when the person says yes; otherwise throws the miss with the reason. */
  async overrule(miss: PolicyMiss, spec: BackgroundSpec): Promise<void> {
    if (this.#waiting >= waitingMax)
      throw new PolicyMiss(`${miss.message}; ${waitingMax} questions wait for the person already`);
    const question = questionOf(miss, spec);
    if (question.length > shownMax)
      throw new PolicyMiss(`${miss.message}; it is too long to be shown to the person at the node's terminal`);
    this.#waiting += 1;
    const answer = this.#last.then(() => this.#ask(question));
    this.#last = answer;
    const said = await answer.finally(() => (this.#waiting -= 1));
    if (said !== "yes") throw new PolicyMiss(`${miss.message}; ${why[said]}`);
  }
}

/** Everything that decides what is started; only the names of the environment, since values may be secrets. */
function questionOf(miss: PolicyMiss, { argv, cwd, env }: BackgroundSpec): string {
  const names = Object.keys(env);
  return [
    `the gateway wants to run: ${argv.map(shown).join(" ")}`,
    ...(cwd === null ? [] : [`  in ${shown(cwd)}`]),
    ...(names.length === 0 ? [] : [`  with the variables ${names.map(shown).join(" ")}`]),
    `  ${visible(miss.message)}`,
  ].join("\n");
}

/** One argument, quoted where it is ambiguous. */
function shown(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : visible(JSON.stringify(word));
}

/** Escapes invisible and cursor-moving characters: the person decides by what is on the screen. */
function visible(text: string): string {
  return text.replaceAll(/(?! )[\p{C}\p{Z}]/gu, (odd) => `\\u{${(odd.codePointAt(0) ?? 0).toString(16)}}`);
}
