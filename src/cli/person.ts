/** Asks the person at this terminal yes-or-no questions, each for a bounded time. */
import { createInterface } from "node:readline";
import { systemClock, turn } from "../clock.ts";
import { ownTerminal } from "../platform/self/index.ts";
import type { PersonAnswer } from "../keeper/background/consent.ts";

/** So long lines are dropped before a question is shown, in milliseconds. */
const typedAheadMs = 100;

export class Person implements Disposable {
  readonly #boundMs: number;
  readonly #gone = Promise.withResolvers<PersonAnswer>();
  #isGone = false;

  constructor(boundMs: number) {
    this.#boundMs = boundMs;
  }

  /** `nobody` where there is no terminal, or another program has it: to read from it then would stop this process. */
  async ask(question: string): Promise<PersonAnswer> {
    if (this.#isGone || !process.stdin.isTTY || !process.stderr.isTTY || ownTerminal() !== "foreground")
      return "nobody";
    const lines = createInterface({ input: process.stdin, output: process.stderr, terminal: false });
    const { promise, resolve } = Promise.withResolvers<PersonAnswer>();
    lines.once("close", () => resolve("nobody"));
    // A yes that came too late for the question before must not be the answer to this one.
    await systemClock.sleep(typedAheadMs);
    await turn(systemClock);
    const late = systemClock.after(this.#boundMs, () => resolve("late"));
    lines.once("line", (line) => resolve(/^y(?:es)?$/i.test(line.trim()) ? "yes" : "no"));
    const seconds = Math.round(this.#boundMs / 1000);
    process.stderr.write(`${question.split("\n").map(printable).join("\n")}\nallow this once? [y/N] (${seconds} s) `);
    const answer = await Promise.race([promise, this.#gone.promise]);
    late.clear();
    lines.close();
    process.stdin.pause();
    if (answer === "late") process.stderr.write("no answer: refused\n");
    return answer;
  }

  /** Nobody is asked any more; who waits hears `nobody`. */
  [Symbol.dispose](): void {
    this.#isGone = true;
    this.#gone.resolve("nobody");
  }
}

/** What somebody far away said is not for the terminal to obey. */
export function printable(text: string): string {
  return text.replaceAll(/\p{Cc}|\p{Bidi_Control}/gu, "�");
}
