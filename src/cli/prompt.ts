/** Yes-or-no questions to the person at this terminal. No answer is a no. */
import { createInterface } from "node:readline";
import { systemClock, turn } from "../clock.ts";
import { ownTerminal } from "../platform/self/index.ts";
import { plainLine } from "../plain-text.ts";
import type { PersonAnswer } from "../keeper/background/consent.ts";

const isYes = (answer: string) => /^y(?:es)?$/i.test(answer.trim());

/** For a command that waits for the answer; ^C and end of input mean no. Asks on stderr: stdout is for the result. */
export async function agrees(question: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await new Promise<boolean>((resolve) => {
      terminal.once("close", () => resolve(false));
      terminal.question(question, (answer) => resolve(isYes(answer)));
    });
  } finally {
    terminal.close();
  }
}

/** Lines typed during this time before a question are dropped. */
const typedAheadMs = 100;

/** For a long-running process: each question has a time limit; disposal stops further ones. */
export class ConsentPrompt implements Disposable {
  readonly #boundMs: number;
  readonly #gone = Promise.withResolvers<PersonAnswer>();
  #isGone = false;

  constructor(boundMs: number) {
    this.#boundMs = boundMs;
  }

  /** `nobody` without a terminal of our own: reading from one in use by another program would stop this process. */
  async ask(question: string): Promise<PersonAnswer> {
    if (this.#isGone || !process.stdin.isTTY || !process.stderr.isTTY || ownTerminal() !== "foreground")
      return "nobody";
    const lines = createInterface({ input: process.stdin, output: process.stderr, terminal: false });
    const { promise, resolve } = Promise.withResolvers<PersonAnswer>();
    lines.once("close", () => resolve("nobody"));
    // A late yes to the previous question must not answer this one.
    await systemClock.sleep(typedAheadMs);
    await turn(systemClock);
    const late = systemClock.after(this.#boundMs, () => resolve("late"));
    lines.once("line", (line) => resolve(isYes(line) ? "yes" : "no"));
    const seconds = Math.round(this.#boundMs / 1000);
    process.stderr.write(`${question.split("\n").map(plainLine).join("\n")}\nallow this once? [y/N] (${seconds} s) `);
    const answer = await Promise.race([promise, this.#gone.promise]);
    late.clear();
    lines.close();
    process.stdin.pause();
    if (answer === "late") process.stderr.write("no answer: refused\n");
    return answer;
  }

  /** Answers an open question with `nobody`. */
  [Symbol.dispose](): void {
    this.#isGone = true;
    this.#gone.resolve("nobody");
  }
}
